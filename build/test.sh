#!/usr/bin/env bash
# Runs every test, in three lanes beside each other: the product's Go tests with the
# logins and the programs beside it, and what people do in a browser in two halves,
# the first with the pages' own tests, so that all three end at about one time.
# Each part is told whole, one after the other. One dev cluster serves all
# Go packages, each test in a namespace of its own, and one all that is done in a
# browser, on a server for each lane; tests that break nodes or apiservers start
# their own.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

scratch=$(mktemp -d)
trap 'stop_lanes; stop_clusters; rm -rf "$scratch" "${tests:-}"' EXIT
declare -A lanes
clusters=()

# Go remembers a package's result as long as all that its tests asked for is the same,
# the environment too, so the Go tests' cluster is at the same place each time: outside
# this folder, whose files count by their time. Another devcluster is another place, and
# so is one whose place is taken, by another run or one that was killed.
place() {
  local known=bin/tests/place last
  last=$(cat $known 2>/dev/null) || true
  if [ ! bin/devcluster -nt $known ] && mkdir -m 700 "$last" 2>/dev/null; then
    tests=$last
  else
    tests=$(mktemp -d)
    echo "$tests" >$known
  fi
}

# cluster NAME FOLDER: starts a control plane and a node beside this script.
cluster() {
  mkfifo "$scratch/$1.ready"
  # It has room, and would spend a seventh of its time on collecting garbage.
  GOGC=300 bin/devcluster --dir "$2" --addr 127.0.0.1:0 --exit-with-parent >"$scratch/$1.ready" 2>"$scratch/$1.log" &
  clusters+=($!)
}

# ready NAME: waits for them.
ready() {
  timeout 120 grep -q -m1 '^ready' "$scratch/$1.ready" && return
  echo "The dev cluster did not come up:"
  tail -n 40 "$scratch/$1.log"
  return 1
}

stop_clusters() {
  [ ${#clusters[@]} = 0 ] || kill -TERM "${clusters[@]}" 2>/dev/null || true
  wait "${clusters[@]}" 2>/dev/null || true
}

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

# stop_lanes ends those that are left. The go command takes its folders in /tmp away
# where it is interrupted, but knows no TERM; a lane's shell would begin its next part.
stop_lanes() {
  local pid patience=50
  for pid in "${lanes[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
    kill -INT -- "-$pid" 2>/dev/null || true
  done
  for pid in "${lanes[@]}"; do
    wait "$pid" 2>/dev/null || true
    while kill -0 -- "-$pid" 2>/dev/null && [ $((patience--)) -gt 0 ]; do
      sleep 0.2
    done
    kill -TERM -- "-$pid" 2>/dev/null || true
  done
}

# Most of these tests wait most of the time, so more of a package run at once than
# there are processors. The longest packages begin first.
long=(./internal/app/server ./internal/podexec/transport ./test/endings ./test/logins ./test/proxy ./internal/clusters/eks)

product() {
  say "Go, with -race, against a real control plane"
  local failed=0
  PERISCOPE_TEST_KUBECONFIG="$tests/kubeconfig" DEVCLUSTER_BIN="$PWD/bin/devcluster" \
    go test -race '-ldflags=-s -w' -parallel 4 -timeout 20m "${long[@]}" ./... || failed=$?
  parts || failed=$?
  return "$failed"
}

# people NAME ARG…: runs a command on a server of its own, and tells what that said
# last where the command failed.
people() {
  local failed=0
  bin/demo --dir "$scratch/$1" --cluster "$scratch/people" "${@:2}" || failed=$?
  [ "$failed" = 0 ] || { echo "The log of the demo $1 ends with:"; tail -n 60 "$scratch/$1/demo.log"; }
  return "$failed"
}

# browser NAME ARG…: runs files of test/e2e in the same way.
browser() {
  people "$1" -- npm --prefix test/e2e run --silent test -- "${@:2}"
}

# What people do waits more than it works, so it is told in two halves, on a server
# each: the second half is every file that is not in the first.
#
# The browser is the one without the parts of a window: it is the same engine, and a
# fresh profile costs it half the time.
export CHROMIUM=/usr/bin/chromium-headless-shell
dock=(dock debug tokens agent gallery picture)

deeds() {
  local failed=0
  say "The browser (Playwright): the dock, and every page"
  browser dock "${dock[@]/%/.test.ts}" || failed=$?
  say "The pages (vitest)"
  npm --prefix web test --silent || failed=$?
  return "$failed"
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
  local failed=0
  say "The browser (Playwright): logins by a provider, in each tier"
  people logins --oidc -- npm --prefix test/e2e run --silent test:oidc || failed=$?
  say "The dev cluster's own tests"
  (bin=$PWD/bin && cd devcluster && DEVCLUSTER_BIN="$bin/devcluster" KUBECTL_BIN="$bin/kubectl" \
    DEVCLUSTER_SUM=$(cat "$bin/devcluster" "$bin/kubectl" | sha256sum) CGO_ENABLED=0 go test ./...) || failed=$?
  say "The OpenID provider's own tests"
  (cd devidp && CGO_ENABLED=0 go test ./...) || failed=$?
  return "$failed"
}

say "Starting two control planes, one of them with the demo's workloads"
place
cluster tests "$tests"
cluster people "$scratch/people"
ready tests
ready people
bin/kubectl --kubeconfig "$scratch/people/kubeconfig" apply -f devcluster/seed >/dev/null
say "All tests, in three lanes beside each other, each part told when it has ended (about six minutes)"
failed=0
for name in product deeds shells; do
  lane "$name"
done
for name in product deeds shells; do
  told "$name" || failed=1
done
exit "$failed"
