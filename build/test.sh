#!/usr/bin/env bash
# Runs every test, in two lanes beside each other: what needs the processor, and
# what mostly waits (for nodes that are cut, for a browser). One dev cluster
# serves all Go packages, each test in a namespace of its own; tests that break
# nodes or apiservers start their own, and each lane's browser has its own server.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

scratch=$(mktemp -d)
trap 'stop_cluster; stop_lane; rm -rf "$scratch"' EXIT
cluster=
lane=

# stop PID: ends a child of this script and all that it started.
stop() {
  [ -n "$1" ] || return 0
  kill -TERM "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

stop_cluster() { stop "$cluster"; cluster=; }
stop_lane() { stop "${lane:+-$lane}"; lane=; }

start_cluster() {
  mkfifo "$scratch/ready"
  bin/devcluster --dir "$scratch/cluster" --addr 127.0.0.1:0 --exit-with-parent >"$scratch/ready" 2>"$scratch/devcluster.log" &
  cluster=$!
  if ! timeout 120 grep -q -m1 '^ready' "$scratch/ready"; then
    echo "The dev cluster did not come up:" >&2
    tail -n 40 "$scratch/devcluster.log" >&2
    exit 1
  fi
}

# browser NAME ARG…: runs files of test/e2e on a server and a cluster of their own.
browser() {
  bin/demo --dir "$scratch/$1" -- npm --prefix test/e2e run --silent test -- "${@:2}"
}

waiting_lane() {
  say "The dev cluster's own tests"
  (cd devcluster && DEVCLUSTER_BIN="$PWD/../bin/devcluster" KUBECTL_BIN="$PWD/../bin/kubectl" CGO_ENABLED=0 go test -count=1 ./...)
  say "The OpenID provider's own tests"
  (cd devidp && CGO_ENABLED=0 go test -count=1 ./...)
  say "The browser (Playwright): every page"
  browser pages gallery picture
  say "The browser (Playwright): logins by a provider, in each tier"
  bin/demo --dir "$scratch/logins" --oidc -- npm --prefix test/e2e run --silent test:oidc
}

npm --prefix test/e2e ci --no-audit --no-fund --loglevel=error >/dev/null
set -m
(set -e; waiting_lane) >"$scratch/lane.log" 2>&1 </dev/null &
lane=$!
set +m

say "Go, with -race, against a real control plane (beside it, told below: the dev cluster's own tests, every page in the browser)"
start_cluster
PERISCOPE_TEST_KUBECONFIG="$scratch/cluster/kubeconfig" DEVCLUSTER_BIN="$PWD/bin/devcluster" \
  go test -race -timeout 20m ./...
stop_cluster

say "The pages (vitest)"
(cd web && npm test --silent)

say "The browser (Playwright): what people do"
browser deeds --exclude gallery.test.ts --exclude picture.test.ts

waited=0
wait "$lane" || waited=$?
lane=
cat "$scratch/lane.log"
exit "$waited"
