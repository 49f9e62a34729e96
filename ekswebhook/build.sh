#!/bin/sh
# Builds bin/ekswebhook. Later builds compile only what has changed.
set -eu

cd "$(dirname "$0")"
out=${1:-../bin}
mkdir -p "$out"
echo "building ekswebhook"
CGO_ENABLED=0 go build -buildvcs=false -ldflags '-s -w' -o "$out/ekswebhook" .
