# The whole developer interface. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

RUST_SOURCES := $(shell find crates -name '*.rs' -o -name 'Cargo.toml') Cargo.toml Cargo.lock

.PHONY: help setup run test lint format bench fuzz peers lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "SENT needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# Packages first, then the extension: each is made again only when what it is made of changed.
$(VENV)/.packages: requirements.lock | $(UV)
	$(UV) pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@touch $@

$(VENV)/.engine: $(VENV)/.packages pyproject.toml $(RUST_SOURCES)
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust with rustup, see README"; exit 1; }
	$(BIN)/maturin develop --release --uv --quiet
	@touch $@

setup: $(VENV)/.engine ## build everything into .venv

run: setup ## start SENT with a demo organization (Ctrl-C ends it)
	@exec $(BIN)/sent demo

test: setup peers ## all tests; installs the SIP peers they call, where it may
	cargo test --quiet --workspace
	$(BIN)/pytest

peers: ## SIPp, baresip and Kamailio from Debian, for the interop tests
	@tests/interop/install-peers

lint: setup ## formatters, linters, types, import contracts, stubs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m mypy.stubtest sent.media._engine
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings

format: setup ## put the code into its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cargo fmt --all

bench: setup ## all figures of bench/, written to bench/results.md
	$(BIN)/python -m bench

fuzz: setup ## the parsers' property tests for some minutes instead of a second each
	SENT_TEST_EXAMPLES=20000 $(BIN)/pytest tests/unit/sip tests/unit/sdp -k properties

lock: $(UV) ## pin what pyproject.toml asks for
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --quiet --output-file requirements.lock

clean: ## remove what was built (data in ~/.local/share/sent stays)
	rm -rf $(VENV) target src/sent/media/*.so
