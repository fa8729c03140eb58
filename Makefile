# `make help` lists the targets. Everything fetched or built for development lies in .cache/ and target/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test bench bench-card bindings fmt lint doc unit deny loop fuzz clients smoke check-fmt check-bindings abi-check aarch64 cross-aarch64 sim-libs libs

help: ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 24

demo: ## build, fetch a small model, serve it and chat once over HTTP
	@deploy/demo.sh

test: ## everything the project checks, on a new machine too
	@.ci/test.sh

bench: ## the figures of bench-card, then speed and memory against llama.cpp on this machine
	@status=0; benches/card.sh || status=1; benches/run.sh || status=1; exit $$status

bench-card: ## what a token costs on the cards that are known, and whether the bounds hold
	@benches/card.sh

bindings: ## write the Rust bindings of vendor/include again (installs libclang)
	@ax650-sys/bindings.sh

fmt: ## format the sources
	cargo fmt --all

check-fmt: ## fail if a source is not formatted
	cargo fmt --all --check

lint: ## clippy on everything, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc: ## reference documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

unit: ## Rust tests: units, integration, doctests; fetches the golden models
	@.ci/unit.sh

aarch64: ## the tests of all code for one instruction set, for aarch64 under emulation
	@deploy/cross-aarch64.sh test

cross-aarch64: aarch64 ## those, then the program for aarch64, started under emulation
	@deploy/cross-aarch64.sh binary

deny: ## licences, banned crates, sources
	@.ci/deny.sh

check-bindings: ## fail if the checked-in bindings differ from vendor/include
	@ax650-sys/bindings.sh --check

sim-libs: ## the software card as the vendor's shared libraries, into target/sim
	@ax650-sim/shared/build.sh

libs: ## those, with programs written for the vendor and the conformance tests on them
	@.ci/libs.sh

loop: ## the C loop under AddressSanitizer and UBSan, and the test of abi-check
	@ax650-sys/loop/tests/run.sh
	@vendor/abi_check_test.sh

abi-check: ## compare our declarations with the vendor's headers below SDK_INCLUDE=DIR
	@vendor/abi_check.py "$${SDK_INCLUDE:?SDK_INCLUDE=DIR names the directory with the headers of the vendor}"

fuzz: ## fuzz the readers of files and requests, 12 seconds each
	@fuzz/run.sh 12

clients: ## real Ollama clients against the server
	@.ci/clients.sh

smoke: ## the demo twice, the second time within seconds
	@.ci/smoke.sh
