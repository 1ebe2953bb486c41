# `make` says what there is.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME    ?= 10s
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT      ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)

.DEFAULT_GOAL := help
.PHONY: help build run check fmt format vet lint race test browser interop libcrypto bench fuzz vuln

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the program, as ./fenhao
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o fenhao ./cmd/fenhao

run: ## start everything here: service, WeChat emulator, sample shop
	go run ./cmd/fenhao dev

check: fmt vet lint race browser interop libcrypto ## all that CI runs: format, vet, lint, all tests, the Go ones with the race detector

test: ## the Go tests, quickly
	go test ./...

race: ## the Go tests with the race detector
	go test -race ./...

browser: test/browser/node_modules ## the phone, in Chromium
	cd test/browser && npm test | awk '{ print } /^(#|ℹ) tests [1-9]/ { ran = 1 } END { if (!ran) print "no test ran"; exit !ran }'

interop: test/interop/node/node_modules ## other people's SDKs agree with ours and buy from our sandbox
	cd test/interop && go vet ./... && go test ./...
	cd test/interop/node && npm test | awk '{ print } /^(#|ℹ) tests [1-9]/ { ran = 1 } END { if (!ran) print "no test ran"; exit !ran }'

libcrypto: ## a build with the tag libcrypto: OpenSSL signs as Go does
	go vet -tags libcrypto ./...
	go test -tags libcrypto ./internal/libcrypto

bench: ## our SDKs beside others' in one run: medians and ratios (COUNT=30, TAGS=libcrypto)
	bench/run.sh

fmt: ## fails where gofmt would change something
	@files=$$(gofmt -l .); \
	if [ -n "$$files" ]; then echo "not formatted; run make format:"; echo "$$files"; exit 1; fi

format: ## let gofmt change it
	gofmt -w .

vet: ## go vet, with the module of the benchmarks
	go vet ./...
	cd bench && go vet ./...

lint: ## staticcheck
	go run $(STATICCHECK) ./...

fuzz: ## each fuzz target for FUZZTIME (default 10s)
	@for package in $$(go list ./...); do \
		targets=$$(go test -list '^Fuzz' $$package); \
		for target in $$(echo "$$targets" | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
		done; \
	done

vuln: ## known vulnerabilities of what we use (asks vuln.go.dev)
	go run $(GOVULNCHECK) ./...

%/node_modules: %/package.json %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	touch $@
