#!/usr/bin/env bash
# Row 10 of docs/performance.md, which needs a browser: how soon the same shell is back.
set -euo pipefail
cd "$(dirname "$0")/.."

TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

npm --prefix test/e2e ci --no-audit --no-fund --loglevel=error >/dev/null
PERISCOPE_RETURNS=20 bin/demo --dir "$TMPDIR/demo" -- npm --prefix test/e2e run --silent test -- returning
