#!/bin/sh
# Builds bin/devcluster and bin/kubectl. The first build compiles Kubernetes,
# which takes minutes; later builds compile only what has changed.
set -eu

cd "$(dirname "$0")"
out=${1:-../bin}
mkdir -p "$out"

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
major=$(echo "$version" | sed 's/^v\([0-9]*\)\..*/\1/')
minor=$(echo "$version" | sed 's/^v[0-9]*\.\([0-9]*\)\..*/\1/')
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	flags="$flags -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done

# build NAME PACKAGE: says every ten seconds that it is still at work.
build() {
	echo "building $1 (Kubernetes $version)"
	CGO_ENABLED=0 go build -ldflags "$flags" -o "$out/$1" "$2" &
	compiler=$!
	trap 'kill "$compiler" 2>/dev/null || true' INT TERM EXIT
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

touch "$out/.started"
build devcluster .
build kubectl k8s.io/kubernetes/cmd/kubectl
rm -f "$out/.started"
