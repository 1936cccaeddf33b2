# What people and CI run. Programs live in scripts/; here is only their order.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

CARGO ?= cargo
# Seconds that each fuzz target runs, and keys that `make bench` measures with.
FUZZ_SECONDS ?= 30
BENCH_KEYS ?= 1000000
# Where `make install` installs to.
PREFIX ?= /usr/local
DESTDIR ?=

# Test vectors that stand beside a checkout, where somebody has put them there.
VECTORS ?= ../shared/vectors

TOOLS := $(CURDIR)/target/tools
export PATH := $(TOOLS)/bin:$(PATH)
export KEYWARD_PYTHON ?= $(TOOLS)/venv/bin/python

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Five APIs decided from one snapshot of a million keys; needs Rust and nothing else
	$(CARGO) run --release --locked --package keyward-cli --no-default-features -- demo

.PHONY: test
test: setup lint doc deny test-rust test-python test-c test-nginx test-bindings-python test-go asan-nginx fuzz conformance ## Everything that CI checks, in CI's order

.PHONY: bench
bench: ## What a verify costs here, beside other stores; BENCH_KEYS=1000000
	$(CARGO) run --release --locked --package keyward-cli -- bench --keys $(BENCH_KEYS)
	$(CARGO) bench --locked --package keyward-benches

.PHONY: nginx
nginx: ## Build the nginx module into target/nginx, and the library and command that it needs
	scripts/nginx.sh

.PHONY: bench-nginx
bench-nginx: ## nginx with keyward beside map, lua and auth_request; draws benches/nginx/comparison.svg
	scripts/setup.sh bench-nginx
	scripts/nginx.sh
	$(KEYWARD_PYTHON) benches/nginx/compare.py --json benches/nginx/comparison.json --picture benches/nginx/comparison.svg

.PHONY: demo-nginx
demo-nginx: ## The five APIs on nginx on loopback, and a key revoked under load; installs what is missing
	scripts/setup.sh nginx
	scripts/nginx.sh
	$(KEYWARD_PYTHON) bindings/nginx/tests/demo.py

.PHONY: soak-nginx
soak-nginx: nginx ## nginx under wrk: a million keys, ten generations a second, 1,000 revocations; about two minutes
	$(KEYWARD_PYTHON) bindings/nginx/tests/storm.py --json target/soak-nginx.json

.PHONY: asan-nginx
asan-nginx: ## nginx, module and library under AddressSanitizer, through the same in short
	scripts/nginx-asan.sh

.PHONY: demo-python
demo-python: ## Billoget's server on FastAPI: verified, limited, and a key revoked; installs what is missing
	scripts/setup.sh python
	$(CARGO) build --locked --release --package keyward-cli
	$(KEYWARD_PYTHON) -m pip install --quiet --no-build-isolation --no-deps --force-reinstall bindings/python
	$(KEYWARD_PYTHON) bindings/python/tests/demo.py

.PHONY: bench-python
bench-python: ## A check of a key in Python, in pure Python and through ctypes; draws benches/python/comparison.svg
	scripts/setup.sh python
	$(CARGO) build --locked --release --package keyward-cli
	$(KEYWARD_PYTHON) -m pip install --quiet --no-build-isolation --no-deps --force-reinstall bindings/python
	$(KEYWARD_PYTHON) benches/python/compare.py --json benches/python/comparison.json --picture benches/python/comparison.svg

.PHONY: go
go: ## Put header and static library where `go build -tags keyward_static` takes them from
	scripts/go.sh

.PHONY: demo-go
demo-go: ## Billoget's API on net/http: verified, refused and limited requests, and a key revoked; installs what is missing
	scripts/setup.sh go
	scripts/go.sh
	cd bindings/go && go run -buildvcs=false -tags keyward_static ./internal/demo "$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/keyward" ../../profiles/billoget

.PHONY: bench-go
bench-go: ## A check of a key in Go: a map with SHA-256, the C call, the package, and net/http; draws benches/go/comparison.svg
	scripts/setup.sh go
	scripts/go.sh
	cd benches/go && go run -buildvcs=false -tags keyward_static . -cli "$${CARGO_TARGET_DIR:-$(CURDIR)/target}/release/keyward" -json comparison.json -picture comparison.svg

.PHONY: setup
setup: ## Install what `make test` needs and this machine lacks (apt-get, and target/tools)
	scripts/setup.sh

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: lint
lint: ## Check formatting and lints
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --package keyward --lib --no-default-features -- -D warnings
	$(CARGO) clippy --locked --package keyward --lib --no-default-features --features capi -- -D warnings
	$(CARGO) clippy --locked --package keyward-cli --no-default-features -- -D warnings

.PHONY: doc
doc: ## Build the documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

.PHONY: deny
deny: ## Check dependencies: licences, sources, bans, advisories where they can be reached
	scripts/deny.sh

.PHONY: test-rust
test-rust: ## The Rust tests alone
	$(CARGO) test --locked --workspace --features keyward/capi --no-fail-fast

.PHONY: test-python
test-python: ## The tests written in Python alone: a second reader of the snapshot format
	scripts/test-python.sh

.PHONY: test-c
test-c: ## The C interface: its tests as C99 and C++11, all vectors through it, with sanitizers and valgrind
	scripts/test-c.sh $(wildcard $(VECTORS))

.PHONY: test-nginx
test-nginx: ## The nginx module's tests alone: with a real nginx, on ports of 127.0.0.1
	scripts/test-nginx.sh

.PHONY: test-bindings-python
test-bindings-python: ## The Python package: its wheel in fresh environments, all vectors through it, the examples' servers
	VECTORS=$(VECTORS) scripts/test-bindings-python.sh

.PHONY: test-go
test-go: ## The Go package: with the shared and the static library, race detector, cgo's checks; all vectors; the example
	VECTORS=$(wildcard $(VECTORS)) scripts/test-go.sh

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZ_SECONDS=30
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

.PHONY: conformance
conformance: ## Run the decision vectors, and those in VECTORS if that folder exists
	$(CARGO) run --locked --package keyward-cli -- conformance testdata/vectors $(wildcard $(VECTORS))

.PHONY: capi
capi: ## Build libkeyward.so and libkeyward.a, the C ABI, into target/release
	scripts/capi.sh

.PHONY: install
install: ## Install header, libraries and pkg-config file of the C interface; PREFIX=/usr/local, DESTDIR=
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install-c.sh

.PHONY: clean
clean: ## Remove everything that was built, the tools of `make setup` too
	$(CARGO) clean
	rm -rf target fuzz/target fuzz/corpus fuzz/artifacts
