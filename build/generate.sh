#!/usr/bin/env bash
# Writes what is made from the Go code anew: api/openapi.yaml, api/ends.json, the
# browser's types and docs/configuration.md. With --check it fails where one is stale.
set -euo pipefail
cd "$(dirname "$0")/.."

go test -count=1 ./internal/httpapi -run TestOpenAPI -update >/dev/null
go test -count=1 ./internal/podexec -run TestEndsJSON -update >/dev/null
go test -count=1 ./internal/config -run Markdown -update >/dev/null
if [ ! build/types/node_modules/.package-lock.json -nt build/types/package-lock.json ]; then
  npm --prefix build/types ci --no-audit --no-fund --loglevel=error >/dev/null
  touch build/types/node_modules/.package-lock.json
fi
build/types/node_modules/.bin/openapi-typescript api/openapi.yaml --output web/src/api/schema.ts >/dev/null

if [ "${1:-}" = --check ]; then
  if ! git diff --quiet -- api/openapi.yaml api/ends.json web/src/api/schema.ts docs/configuration.md; then
    git diff --stat -- api/openapi.yaml api/ends.json web/src/api/schema.ts docs/configuration.md >&2
    echo "Generated files are stale. Run make generate and commit what it writes." >&2
    exit 1
  fi
fi
