# `make` lists what there is. `make run` and `make test` need Go and set up the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
TOOLS := $(or $(PRIMECLOUD_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/primecloud/tools)
# A tool's name has its version: another pin is another file, and is built.
LINT := $(TOOLS)/golangci-lint-$(shell awk '$$1 == "github.com/golangci/golangci-lint/v2" { print $$2 }' tools.mod)
JSCLIENT := proxy/testdata/js/node_modules/.package-lock.json
GOFLAGS := -buildvcs=false
export GOFLAGS

.PHONY: help build run test test-strict check race race-ci attack conformance crash flaky proofs mutants slow fuzz bench bench-quick bench-growth bench-guard bench-profile bench-go bin/bench docs schema tools

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

build: ## bin/primecloud
	go build -ldflags "-X main.versionText=$(VERSION)" -o bin/primecloud ./cmd/primecloud

run: build ## everything on this machine: PostgreSQL, MinIO, gateway, two demo accounts
	bin/primecloud dev

tools: build $(JSCLIENT) ## what tests use: MinIO, PostgreSQL, stock S3 clients
	bin/primecloud dev --only-tools
	.ci/clients

$(JSCLIENT): proxy/testdata/js/package-lock.json
	npm ci --prefix proxy/testdata/js --no-audit --no-fund --silent && touch $@

# Under CI nothing may be skipped, and every test runs: a result of Go's cache
# proves nothing about this machine and hour. Elsewhere a stock client that is
# not there is skipped, by name, and what did not change is not run again.
STRICT = $(if $(CI),1,0)
COUNT = $(if $(CI),-count=1)
test: tools ## every test, against a real PostgreSQL and MinIO
	PRIMECLOUD_TEST_STRICT=$(STRICT) go test $(COUNT) -timeout 14m ./...

test-strict: ## the same; nothing is ever skipped
	$(MAKE) test STRICT=1

race: tools ## every test under the race detector
	PRIMECLOUD_TEST_STRICT=$(STRICT) go test $(COUNT) -race -timeout 30m ./...

# Where goroutines share memory. proxy itself would take longer than the rest of CI.
SHARING = ./proxy/flatnames ./proxy/socket ./proxy/upstream ./sigv4 ./tenancy ./limits ./metering ./metering/ledger ./metering/accesslog ./internal/jobs ./internal/listen ./internal/secret
race-ci: tools ## the packages where goroutines share most, under the race detector
	PRIMECLOUD_TEST_STRICT=$(STRICT) go test $(COUNT) -race -timeout 30m $(SHARING)

check: $(LINT) ## formatting, vet, lint, tidy, generated files
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w"; exit 1; }
	go vet ./...
	go mod tidy -diff
	$(LINT) run ./...

$(LINT):
	mkdir -p $(TOOLS)/build
	GOBIN=$(TOOLS)/build go install -modfile=tools.mod github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	mv $(TOOLS)/build/golangci-lint $@

ATTACKS ?=
attack: tools ## start the product and attack it; ATTACKS='part/name' chooses, docs/SECURITY-TESTING.md says what is attacked
	go run ./internal/attack $(if $(ATTACKS),-only '$(ATTACKS)',-write docs/SECURITY-TESTING.md)

conformance: tools ## stock clients, a comparison with MinIO, minio-go's functional tests; writes docs/S3-COMPATIBILITY.md's table of them
	go run ./internal/conformance -write docs/S3-COMPATIBILITY.md

KILLS ?= 100
crash: tools ## kill a loaded gateway KILLS times; the ledger against what its clients counted
	CRASH_KILLS=$(KILLS) go test -count=1 -timeout 30m -v -run '^TestCrash$$' ./cmd/primecloud

FLAKY_MINUTES ?= 45
flaky: tools ## every test again and again: shuffled, alone and together, quiet and busy, under the race detector, for FLAKY_MINUTES
	PRIMECLOUD_TEST_STRICT=$(STRICT) go run ./internal/flaky -minutes $(FLAKY_MINUTES) $(FLAKY)

PROOFS ?=
proofs: tools ## break the product on purpose, and see its tests fail: changes that were not seen caught yet, or PROOFS=-again; writes docs/PROOFS.md
	go run ./internal/proofs $(PROOFS) -write docs/PROOFS.md

# Not in tools.mod: it asks for a newer viper than golangci-lint reads its
# configuration with. -test-cpu is not set: 0.6.0 hands it over so that every test
# fails, and calls every mutant killed.
GREMLINS = $(TOOLS)/gremlins-v0.6.0
MUTANTS ?= ./proxy/s3op ./sigv4 ./proxy/s3xml
mutants: $(GREMLINS) ## gremlins over sigv4, s3op, s3xml: an hour or two; MUTANTS='./sigv4' chooses
	@set -e; for pkg in $(MUTANTS); do \
		GOFLAGS='$(GOFLAGS) -vet=off' $(GREMLINS) unleash --workers 1 --timeout-coefficient 40 --output-statuses lt $$pkg; \
	done

$(GREMLINS):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install github.com/go-gremlins/gremlins/cmd/gremlins@v0.6.0
	mv $(TOOLS)/gremlins $@

slow: ## what CI has no time for, before an issue is closed: attack, conformance, crash, flaky, proofs; writes docs/VERIFICATION.md
	.ci/slow attack conformance crash flaky proofs

FUZZTIME ?= 20s
fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; done

bin/bench: build
	go build -o bin/bench ./bench

bench: bin/bench ## every load, side by side with the peers, about half an hour (bench/README.md)
	bin/bench full

bench-quick: bin/bench ## the goals and the main table of it, under 3 minutes
	bin/bench quick

bench-growth: bin/bench ## curves: connections, objects, processes, buckets, keys; about 5 minutes
	bin/bench growth

bench-guard: bin/bench ## no allocations, and no more CPU against HAProxy than bench/baseline/guard.json says; GUARD=-update writes it
	bin/bench $(GUARD) guard

bench-profile: bin/bench ## CPU profiles of a node under load
	bin/bench profile

BENCHCOUNT ?= 10
bench-go: ## the hot path's Go benchmarks, for benchstat
	go test -run '^$$' -bench . -benchmem -count=$(BENCHCOUNT) ./sigv4 ./tenancy ./metering ./metering/ledger ./metering/storage ./proxy/...

docs: ## write what docs/ says of operations, of counting, of settings and of the database's roles
	go test ./proxy/s3op -run 'TestCompatibilityPage|TestCountingPage' -update
	go test ./internal/pg -run TestRightsPage -update
	go test ./internal/node -run TestConfigurationPage -update

schema: ## write internal/pg/schema.sql from the migrations
	go test ./internal/pg -run TestSchema -update
