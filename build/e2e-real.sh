#!/usr/bin/env bash
# Runs what meets a node on a real one: containerd, runc and a kubelet on this
# machine, in namespaces of their own (test/realnode). Needs root.
set -euo pipefail
SECONDS=0
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
  echo "A real node needs root: its containers are real ones. Run this as root." >&2
  exit 1
fi
others=(./internal/podexec/transport ./internal/app/server) # the product in the test's process
export PATH=$PATH:/usr/sbin:/sbin # not everybody's has runc's and ip's folder
build/deps.sh real
devcluster/build.sh ../bin kubelet
echo "Building the tests"
CGO_ENABLED=0 go build -buildvcs=false -o bin/realnode ./test/realnode
go test -race -run '^$' ./test/inpod ./test/endings "${others[@]}" >/dev/null # nothing can be fetched there

# The images have the names that deploy's manifests give them.
if ! bin/realnode --log bin/realnode.log \
  --image registry.example.com/periscope:dev=deploy/server/Dockerfile \
  --image registry.example.com/periscope-agent:dev=deploy/agent/Dockerfile -- bash -euc '
  go test -race -count=1 -timeout 20m -v ./test/inpod
  go test -race -count=1 -timeout 20m -v ./test/endings
  go test -race -count=1 -timeout 20m -p 1 "$@"
' bash "${others[@]}"; then
  echo "It failed. bin/realnode.log has all that the node wrote; it ends with:" >&2
  tail -n 40 bin/realnode.log >&2
  exit 1
fi
echo "All of it held, in $((SECONDS / 60)) min $((SECONDS % 60)) s"
