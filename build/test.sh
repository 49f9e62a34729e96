#!/usr/bin/env bash
# Runs every test, in three lanes beside each other: the product's Go tests with the
# parts that stand alone, and what people do in a browser in two halves.
# Each part is told whole, one after the other. One dev cluster serves all
# Go packages, each test in a namespace of its own; tests that break nodes or
# apiservers start their own, and so does each run of the browser.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

scratch=$(mktemp -d)
trap 'stop_lanes; rm -rf "$scratch"' EXIT
declare -A lanes

# lane NAME: begins the function of that name beside this script, in a group of
# processes of its own.
lane() {
  set -m
  (set -e; "$1") >"$scratch/$1.log" 2>&1 </dev/null &
  lanes[$1]=$!
  set +m
}

# told NAME: waits for a lane, prints what it said, and fails where it failed.
told() {
  local failed=0
  wait "${lanes[$1]}" || failed=$?
  unset "lanes[$1]"
  cat "$scratch/$1.log"
  return "$failed"
}

stop_lanes() {
  for pid in "${lanes[@]}"; do
    kill -TERM -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}

# Most of these tests wait most of the time, so more of a package run at once than
# there are processors. The longest packages begin first.
long=(./internal/app/server ./internal/podexec/transport ./test/endings ./test/logins ./test/proxy ./internal/clusters/eks)

# What meets the shared cluster is asked each time, and Go would link it each time,
# which costs four seconds of a processor: -o keeps these programs, and links only
# those that changed. Of all others Go remembers the result, and need not link them.
product_tests() {
  local flags=(-race '-ldflags=-s -w' -parallel 4 -timeout 20m) shared others failed=0
  shared=$(grep -rlF --include='*_test.go' '/internal/kubetest"' internal test | xargs dirname | sort -u | sed 's,^,./,')
  shared+=" ./internal/kubetest"
  others=$(go list ./... | grep -vxF "$(go list $shared)")
  mkdir -p bin/tests
  go test "${flags[@]}" -o bin/tests/ "${long[@]}" $shared || failed=$?
  go test "${flags[@]}" $others || failed=$?
  return "$failed"
}

product() {
  say "Go, with -race, against a real control plane"
  mkfifo "$scratch/ready"
  # It has room, and would spend a seventh of its time on collecting garbage.
  GOGC=300 bin/devcluster --dir "$scratch/cluster" --addr 127.0.0.1:0 --exit-with-parent >"$scratch/ready" 2>"$scratch/devcluster.log" &
  cluster=$!
  if ! timeout 120 grep -q -m1 '^ready' "$scratch/ready"; then
    echo "The dev cluster did not come up:"
    tail -n 40 "$scratch/devcluster.log"
    return 1
  fi
  failed=0
  PERISCOPE_TEST_KUBECONFIG="$scratch/cluster/kubeconfig" DEVCLUSTER_BIN="$PWD/bin/devcluster" product_tests || failed=$?
  kill -TERM "$cluster"
  wait "$cluster" || true
  parts
  return "$failed"
}

# browser NAME ARG…: runs files of test/e2e on a server and a cluster of their own.
browser() {
  bin/demo --dir "$scratch/$1" -- npm --prefix test/e2e run --silent test -- "${@:2}"
}

# What people do waits more than it works, so it is told in two halves, on a server
# and a cluster each: the second half is every file that is not in the first.
#
# The browser is the one without the parts of a window: it is the same engine, and a
# fresh profile costs it half the time.
export CHROMIUM=/usr/bin/chromium-headless-shell
dock=(dock tokens cli returning agent gallery picture)

deeds() {
  say "The browser (Playwright): the dock, and every page"
  browser dock "${dock[@]/%/.test.ts}"
}

shells() {
  say "The browser (Playwright): shells"
  browser shells $(printf -- '--exclude %s.test.ts ' "${dock[@]}")
}

# The dev cluster's tests start nothing but its own programs, so Go remembers
# their result as long as these are the same: what they hold, not how old they are.
# It takes a name that begins with this folder's for a file of the module, whose
# time counts, even where "/.." follows.
parts() {
  say "The browser (Playwright): logins by a provider, in each tier"
  bin/demo --dir "$scratch/logins" --oidc -- npm --prefix test/e2e run --silent test:oidc
  say "The pages (vitest)"
  npm --prefix web test --silent
  say "The dev cluster's own tests"
  (bin=$PWD/bin && cd devcluster && DEVCLUSTER_BIN="$bin/devcluster" KUBECTL_BIN="$bin/kubectl" \
    DEVCLUSTER_SUM=$(cat "$bin/devcluster" "$bin/kubectl" | sha256sum) CGO_ENABLED=0 go test ./...)
  say "The OpenID provider's own tests"
  (cd devidp && CGO_ENABLED=0 go test ./...)
}

say "Compiling the product's tests (the first time takes minutes)"
go list -race -export -test -deps ./... >/dev/null # before anything that a busy machine would slow down
say "All tests, in three lanes beside each other, each part told when it has ended (about six minutes)"
failed=0
for name in product deeds shells; do
  lane "$name"
done
for name in product deeds shells; do
  told "$name" || failed=1
done
exit "$failed"
