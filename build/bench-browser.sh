#!/usr/bin/env bash
# What of docs/performance.md needs a browser: typing on a page through an agent (row 3), and how soon the same shell
# is back (row 10).
set -euo pipefail
cd "$(dirname "$0")/.."

TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

npm --prefix test/e2e ci --no-audit --no-fund --loglevel=error >/dev/null
export PERISCOPE_TYPING=7 PERISCOPE_RETURNS=20
bin/demo --dir "$TMPDIR/demo" -- npm --prefix test/e2e run --silent test -- agent returning -t "typing on a page|coming back"
