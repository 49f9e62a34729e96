#!/usr/bin/env bash
# Formatting, linters, types and generated files: everything but tests.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l cmd internal test web/embed.go devcluster devidp ekswebhook)
if [ -n "$unformatted" ]; then
  printf 'Not formatted (run gofmt -w):\n%s\n' "$unformatted" >&2
  exit 1
fi
echo "Linting Go"
go run "$1" run ./...
(cd devidp && CGO_ENABLED=0 go vet ./... && go run "$1" run --config ../.golangci.yml ./...)
(cd test/bench/tunnel && CGO_ENABLED=0 go vet ./... && go run "$1" run --config ../../../.golangci.yml ./...)
(cd ekswebhook && CGO_ENABLED=0 go vet ./... && go run "$1" run --config ../.golangci.yml ./...)
echo "Checking the pages"
npm --prefix web run --silent check
echo "Checking the browser tests"
npm --prefix test/e2e run --silent check
echo "Checking generated files"
build/generate.sh --check
