#!/bin/sh
# build.sh [FOLDER [PROGRAM…]]: builds devcluster and kubectl, or those programs of
# Kubernetes that are named, into FOLDER, which is seen from here (../bin). The
# first build compiles Kubernetes, which takes minutes; later builds compile only
# what has changed. The programs name no commit, so the same code is the same file.
set -eu

if [ "$(uname -s)" != Linux ]; then
	echo "Linux is needed, since the pods are its processes; this is $(uname -s). Take a virtual machine." >&2
	exit 1
fi
cd "$(dirname "$0")"
out=${1:-../bin}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- devcluster kubectl
mkdir -p "$out"

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
major=$(echo "$version" | sed 's/^v\([0-9]*\)\..*/\1/')
minor=$(echo "$version" | sed 's/^v[0-9]*\.\([0-9]*\)\..*/\1/')
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	flags="$flags -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

# build NAME: says every ten seconds that it is still at work.
build() {
	package=k8s.io/kubernetes/cmd/$1
	[ "$1" != devcluster ] || package=.
	echo "building $1 (Kubernetes $version)"
	CGO_ENABLED=0 go build -buildvcs=false -ldflags "$flags" -o "$out/$1" "$package" &
	compiler=$!
	trap 'kill "$compiler" 2>/dev/null || true; wait "$compiler" || true; rm -rf "$GOTMPDIR"' INT TERM EXIT
	waited=0
	while kill -0 "$compiler" 2>/dev/null; do
		sleep 0.2
		waited=$((waited + 1))
		if [ $((waited % 50)) -eq 0 ]; then
			echo "  compiling $1 for $((waited / 5)) s ($(find "$(go env GOCACHE)" -newer "$out/.started" -name '*-d' 2>/dev/null | wc -l) packages so far; the first time takes minutes)"
		fi
	done
	wait "$compiler"
	trap - INT TERM EXIT
}

# The compiler, which is killed, leaves its folder.
GOTMPDIR=$(mktemp -d)
export GOTMPDIR
touch "$out/.started"
for program; do
	build "$program"
done
rm -rf "$out/.started" "$GOTMPDIR"
