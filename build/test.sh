#!/usr/bin/env bash
# Runs every test. One dev cluster serves all packages, each test in a namespace
# of its own; tests that break nodes or apiservers start their own.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

scratch=$(mktemp -d)
trap 'stop_cluster; rm -rf "$scratch"' EXIT
cluster=

stop_cluster() {
  [ -n "$cluster" ] || return 0
  kill -TERM "$cluster" 2>/dev/null || true
  wait "$cluster" 2>/dev/null || true
  cluster=
}

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

say "The dev cluster's own tests"
(cd devcluster && DEVCLUSTER_BIN="$PWD/../bin/devcluster" KUBECTL_BIN="$PWD/../bin/kubectl" CGO_ENABLED=0 go test -count=1 ./...)

say "Go, with -race, against a real control plane"
start_cluster
PERISCOPE_TEST_KUBECONFIG="$scratch/cluster/kubeconfig" DEVCLUSTER_BIN="$PWD/bin/devcluster" \
  go test -race -timeout 20m ./...
stop_cluster

say "The pages (vitest)"
(cd web && npm test --silent)

say "The browser (Playwright)"
npm --prefix test/e2e ci --no-audit --no-fund --loglevel=error >/dev/null
bin/demo --dir "$scratch/demo" -- npm --prefix test/e2e run --silent test
