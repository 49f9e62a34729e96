#!/usr/bin/env bash
# Leaves shells alone behind a real proxy for as long as $1 says, with the idle
# limit of a common load balancer, and asks them something at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

TMPDIR=$(mktemp -d) # so that nothing is left after Ctrl-C
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

echo "Quiet shells behind a proxy, for $1; a line each minute"
go test -race -count=1 -v -timeout 2h ./test/proxy -limit 20s -quiet "$1"
