# Everything here needs Go, git, make and the shell tools of a plain Debian; nothing is downloaded but Go modules.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ocm-operator
FUZZTIME ?= 10s
BENCHTIME ?= 1s
TESTTIMEOUT ?= 40m
# Packages tested at the same time. Two keep a real API server and its neighbours responsive on a small machine.
TESTPARALLEL ?= 2
PKG ?= ./...

# Lazy on purpose: `make help` should not start Go.
TOOLS_HASH = $(shell { cat hack/tools/go.mod hack/tools/go.sum; $(GO) env GOVERSION; } | sha256sum | cut -c1-16)
TOOLS_DIR = $(CACHE)/tools/$(TOOLS_HASH)
MODULES = . $(shell git ls-files --cached --others --exclude-standard '*/go.mod' | xargs -r -n1 dirname)
# Those of tools, the test cluster and Gitea are a main function around foreign code, or not even that; linting them would compile Kubernetes once more.
# The first process of a pod is all ours.
LINT_MODULES = $(filter-out hack/tools hack/charttools e2e/gitea e2e/cluster/%,$(MODULES)) $(filter e2e/cluster/pause,$(MODULES))

# What is stamped into a build. Set VERSION, COMMIT or DATE to stamp something else.
VERSION ?= $(shell hack/build.sh version)
COMMIT ?= $(shell hack/build.sh commit)
DATE ?= $(shell hack/build.sh date)
DOCKEROUTPUT = type=oci,dest=dist/image-docker.tar,rewrite-timestamp=true
DOCKERARGS = --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' --build-arg DATE='$(DATE)' $(if $(BASE),--build-arg BASE='$(BASE)')

##@ Start here

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "; printf "usage: make <target>\n"} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: ## Start a cluster on this machine and deliver a component version to it.
	@$(GO) run ./e2e/demo up

.PHONY: demo-down
demo-down: ## Stop the demo and remove what it wrote.
	@$(GO) run ./e2e/demo down

.PHONY: build
build: ## Build the operator to bin/ocm-operator: static, trimmed, reproducible.
	@hack/build.sh bin/ocm-operator
	@ls -l bin/ocm-operator | awk '{printf "bin/ocm-operator: %.1f MB, $(VERSION)\n", $$5/1e6}'

.PHONY: image
image: ## Build the container image with docker (IMAGE=..., BASE=scratch; PLATFORMS=... for an archive of several in dist/).
	@$(if $(PLATFORMS),mkdir -p dist && SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" docker buildx build --platform '$(PLATFORMS)' \
	    --provenance=false --output '$(DOCKEROUTPUT)',docker build) \
	  $(DOCKERARGS) -t '$(or $(IMAGE),ocm-operator:$(VERSION))' .

.PHONY: image-scratch
image-scratch: ## Build dist/image.tar, the image that releases publish, without docker (IMAGE=..., PLATFORMS=linux/amd64,linux/arm64).
	@$(GO) run ./hack/image $(if $(IMAGE),-tag '$(IMAGE)') $(if $(PLATFORMS),-platforms '$(PLATFORMS)')

##@ Before a pull request

.PHONY: generate
generate: tool-controller-gen ## Generate deep copies and custom resource definitions from apis/, rules (RBAC) from markers, and what the chart derives.
	@echo '--- generate: deep copies'
	@$(TOOLS_DIR)/controller-gen object paths=./apis/...
	@echo '--- generate: custom resource definitions'
	@$(TOOLS_DIR)/controller-gen crd paths=./apis/... output:crd:artifacts:config=apis/crds
	@echo '--- generate: rules of the operator in a cluster'
	@hack/rbac.sh $(TOOLS_DIR)/controller-gen
	@echo '--- generate: schema, README, definitions and annotations of the chart'
	@$(GO) run ./hack/chartgen

.PHONY: fmt
fmt: tool-golangci-lint ## Format the code (gofumpt and import order).
	@echo '--- fmt'
	@$(TOOLS_DIR)/golangci-lint fmt

.PHONY: lint
lint: tool-golangci-lint ## Lint the code; .golangci.yml says which rule is off, and why.
	@echo '--- lint'
	@for m in $(LINT_MODULES); do (cd $$m && $(TOOLS_DIR)/golangci-lint run --allow-parallel-runners ./...); done

.PHONY: tidy
tidy: ## Tidy go.mod and go.sum of every module in the repository.
	@for m in $(MODULES); do echo "--- tidy: $$m"; (cd $$m && $(GO) mod tidy); done

.PHONY: tidy-check
tidy-check:
	@for m in $(MODULES); do \
	  echo "--- tidy check: $$m"; \
	  (cd $$m && $(GO) mod tidy -diff) || { echo "error: $$m/go.mod is not tidy; run 'make tidy' and commit the result" >&2; exit 1; }; \
	done

.PHONY: verify
verify: ## Generate, format, tidy, lint; fails if a committed file was not up to date.
	@hack/verify.sh

##@ Tests

.PHONY: test
test: ## Run all tests: unit, integration with a real API server, end to end.
	@hack/test.sh -p $(TESTPARALLEL) -timeout $(TESTTIMEOUT) $(PKG)

.PHONY: test-unit
test-unit: ## Run the tests that need no cluster (everything outside e2e/).
	@hack/test.sh -timeout 10m $$($(GO) list ./... | grep -v '/e2e')

.PHONY: test-race
test-race: ## Run the tests outside e2e/ with the race detector (needs a C compiler).
	@CGO_ENABLED=1 hack/test.sh -race -timeout 20m $$($(GO) list ./... | grep -v '/e2e')

.PHONY: e2e
e2e: ## Run the end-to-end tests only.
	@hack/test.sh -p 1 -timeout $(TESTTIMEOUT) ./e2e/...

.PHONY: cover
cover: ## Show which share of transform, ocm, snapshot and git their tests reach; fails below 90 %. `make test` does it too.
	@hack/cover.sh

.PHONY: test-fuzz
test-fuzz: ## Run every fuzz target for FUZZTIME (default 10s).
	@FUZZTIME=$(FUZZTIME) hack/fuzz.sh

.PHONY: bench
bench: ## Run every benchmark, after the limits of this machine they are to be read against.
	@BENCHTIME=$(BENCHTIME) hack/bench.sh

.PHONY: bench-pipeline
bench-pipeline: ## Measure whole pipelines in a real cluster and keep that in docs/performance.md (BENCHARGS=... for parts).
	@$(GO) run ./e2e/bench $(or $(BENCHARGS),-write docs/performance.md)

.PHONY: bench-registry
bench-registry: ## Measure the registry beside the machine's limits and distribution v3 and keep that in docs/performance.md.
	@$(GO) run ./e2e/registrybench $(or $(BENCHARGS),-write docs/performance.md)

.PHONY: bench-transfer
bench-transfer: ## Measure transfers between registries beside a plain copy and oras-go and keep that in docs/performance.md.
	@$(GO) run ./e2e/transferbench $(or $(BENCHARGS),-write docs/performance.md)

.PHONY: conformance
conformance: ## Serve the registry alone, and print the environment for the conformance suite of the distribution specification.
	@$(GO) run ./e2e/conformance

.PHONY: soak
soak: ## Push, pull, delete and collect in the registry for two minutes, and kill it every few seconds (SOAKARGS=... for -duration, -seed).
	@$(GO) run ./e2e/soak $(SOAKARGS)

.PHONY: graph
graph: ## Print who imports whom among the top-level packages.
	@$(GO) test -count=1 -v -run '^TestImportGraph$$' ./hack/importgraph | grep -v '^=== '

##@ Chart and releases

.PHONY: chart
chart: ## Write the chart as an archive and its manifests as one file to dist/ (VERSION=v0.1.0 for another version).
	@VERSION='$(VERSION)' hack/chart.sh package dist
	@VERSION='$(VERSION)' hack/chart.sh install-yaml dist/install.yaml

.PHONY: install-yaml
install-yaml: ## Write only the manifests, to dist/install.yaml.
	@VERSION='$(VERSION)' hack/chart.sh install-yaml dist/install.yaml

.PHONY: chart-test
chart-test: ## Test the chart: its unit tests, what it renders, its schema, and all of it against a real API server.
	@$(GO) test -timeout $(TESTTIMEOUT) ./hack/chartgen ./hack/installyaml ./e2e/chartcheck

.PHONY: release-dry-run
release-dry-run: ## Write what a release consists of to dist/ and publish nothing (VERSION=v0.1.0).
	@hack/release.sh --dry-run '$(VERSION)'

.PHONY: workflows
workflows: ## Check the workflows of .github with actionlint; not a part of verify, because it is a minute to build for files that rarely change.
	@$(GO) run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

##@ Housekeeping

.PHONY: tools
tools: tool-controller-gen tool-golangci-lint ## Build the pinned tools into the cache.
	@echo $(TOOLS_DIR)

.PHONY: programs
programs: ## Build what is missing of the programs of the test cluster: half an hour of two cores the first time, then seconds.
	@$(GO) run ./e2e/cluster/cmd/testcluster build

.PHONY: tool-%
tool-%:
	@hack/tool.sh '$(TOOLS_DIR)' '$*'

.PHONY: clean
clean: ## Remove what was built in this clone (the caches outside it stay).
	@rm -rf bin dist

.PHONY: clean-cache
clean-cache: ## Remove the tools and test binaries kept outside this clone.
	@rm -rf '$(CACHE)'
