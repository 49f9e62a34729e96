#!/usr/bin/env bash
# Floods a browser's terminal for a minute, and cuts its connections while 64 MiB go
# through them. Has 200 agents lose their server, twice. Then leaves shells alone
# behind a real proxy for as long as $1 says, with the idle limit of a common load
# balancer, and asks them something at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

TMPDIR=$(mktemp -d) # so that nothing is left after Ctrl-C
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

echo "A flood in a browser, for 60 s"
PERISCOPE_FLOOD_SECONDS=60 bin/demo --dir "$TMPDIR/demo" -- npm --prefix test/e2e run --silent test -- flood

echo "64 MiB and a paste through a storm of cuts, in a browser"
PERISCOPE_STORM_MIB=64 bin/demo --dir "$TMPDIR/demo" -- npm --prefix test/e2e run --silent test -- resume -t storm

echo "200 agents lose their server twice, and come back"
go test -race -count=1 -v -timeout 10m ./test/herd -agents 200

echo "Quiet shells behind a proxy, for $1; a line each minute"
go test -race -count=1 -v -timeout 2h ./test/proxy -limit 20s -quiet "$1"
