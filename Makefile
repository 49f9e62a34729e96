# Periscope's few commands. `make help` lists them. Each installs what it needs
# and says what it is doing.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEMO_DIR ?= .demo
DEMO_PORT ?= 0
SOAK     ?= 15m

# Git tells nothing of a folder of another user, and Go would build nothing there.
GOFLAGS  ?= $(shell go env GOFLAGS 2>/dev/null)
override GOFLAGS += -buildvcs=false
export GOFLAGS

TEST_FILES := $(shell find internal test cmd \( -name '*.go' -o -name testdata \) -not -path '*/node_modules/*' 2>/dev/null)
# What the programs are made from: the store's migrations are embedded.
GO_FILES  := $(shell find cmd internal web/embed.go \( -name '*.go' -o -name '*.sql' \) -not -name '*_test.go' 2>/dev/null)
# program_files FOLDER: what a program with a module of its own is made from.
program_files = $(shell find $(1) \( -name '*.go' -not -name '*_test.go' \) -o -name 'go.*' -o -name build.sh)
WEB_FILES := $(shell find web/src web/public web/index.html web/package-lock.json web/vite.config.ts -type f 2>/dev/null)

.PHONY: help
help: ## list these commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: build devcluster $(if $(DEMO_OIDC),devidp) bin/demo ## run the whole product here; DEMO_OIDC=1: with a login provider and a user of each tier
	@exec bin/demo --dir "$(DEMO_DIR)" --port "$(DEMO_PORT)" $(if $(DEMO_OIDC),--oidc)

.PHONY: test
test: deps build devcluster devidp ekswebhook bin/demo bin/tests/.compiled test/e2e/node_modules/.package-lock.json ## run every test: Go with -race, vitest, the browser
	@build/test.sh

.PHONY: check
check: deps web/node_modules/.package-lock.json test/e2e/node_modules/.package-lock.json ## formatting, linters, types, generated files
	@build/check.sh "$(LINT)"

.PHONY: bench
bench: deps build devcluster bin/demo ## print the ratios of docs/performance.md
	@go run ./test/bench
	@cd test/bench/tunnel && go run .
	@build/bench-browser.sh

.PHONY: soak
soak: deps build devcluster bin/demo test/e2e/node_modules/.package-lock.json ## flood a browser for a minute, restart the server of 200 agents, leave shells alone behind a proxy for 15 minutes
	@build/soak.sh "$(SOAK)"

.PHONY: e2e-real
e2e-real: build devcluster devidp images ## what holds on a real node: containerd and a kubelet, here, as root
	@build/e2e-real.sh

.PHONY: build
build: tools bin/periscope bin/periscope-agent ## build bin/periscope with its pages, and bin/periscope-agent

.PHONY: images
images: build bin/ca-certificates.crt ## build what the Dockerfiles in deploy copy

.PHONY: devcluster
devcluster: tools bin/devcluster bin/kubectl ## build the cluster of the demo and the tests

.PHONY: devidp
devidp: tools bin/devidp ## build the OpenID provider of the demo and the tests

.PHONY: ekswebhook
ekswebhook: tools bin/ekswebhook ## build what stands before an EKS cluster's apiserver, for the tests

.PHONY: generate
generate: tools ## write api/, docs/configuration.md and the browser's types anew
	@build/generate.sh

.PHONY: tools
tools:
	@build/deps.sh build

.PHONY: deps
deps:
	@build/deps.sh test

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin web/dist/assets web/dist/index.html .demo test/e2e/out

bin/periscope: $(GO_FILES) go.mod go.sum web/dist/index.html
	@echo "Building periscope"
	@CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $@ ./cmd/periscope

bin/periscope-agent: $(GO_FILES) go.mod go.sum
	@echo "Building periscope-agent"
	@CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o $@ ./cmd/periscope-agent

# An image FROM scratch has no CAs; those of this machine are as good as a builder's.
bin/ca-certificates.crt: /etc/ssl/certs/ca-certificates.crt
	@cp $< $@

bin/demo: $(wildcard test/demo/*.go test/proc/*.go internal/childtest/*.go)
	@CGO_ENABLED=0 go build -o $@ ./test/demo

# Before anything that a busy machine would slow down. Afterwards Go still looks at
# each file, for seconds, so it is asked only where one is new.
bin/tests/.compiled: $(TEST_FILES) $(GO_FILES) go.mod go.sum web/dist/index.html
	@echo "Compiling the product's tests (the first time takes minutes)"
	@go list -race -export -test -deps ./... >/dev/null
	@mkdir -p $(@D)
	@touch $@

# A program is not touched while it is the same: go test remembers results of
# tests that ran it by its time.
bin/devcluster bin/kubectl &: $(call program_files,devcluster)
	@devcluster/build.sh

bin/devidp: $(call program_files,devidp)
	@devidp/build.sh

bin/ekswebhook: $(call program_files,ekswebhook)
	@ekswebhook/build.sh

test/e2e/node_modules/.package-lock.json: test/e2e/package-lock.json
	@echo "Installing the browser tests' packages"
	@npm --prefix test/e2e ci --no-audit --no-fund --loglevel=error
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	@echo "Installing the page's packages"
	@cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(WEB_FILES)
	@echo "Building the pages"
	@cd web && npm run --silent build
	@touch $@
