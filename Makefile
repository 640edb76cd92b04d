# maul: two commands matter. `make demo` beats a real cluster; `make test` proves that maul works.
# Both install what they need into .venv and target/, and nothing outside this folder
# (Debian packages only when root and missing; scripts/bootstrap says so first).

SHELL := /bin/bash
BIN := .venv/bin
ENGINE_SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml Cargo.lock

.PHONY: help demo test check test-rust test-pure test-cluster it bench docs lock clean setup

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: setup ## a real S3 cluster on loopback, beaten for two to three minutes; ends with a verdict and a report
	$(BIN)/maul beat

test: setup check test-rust test-pure test-cluster ## everything that needs no privilege

setup: .venv/.engine ## the virtual environment and the built engine

.venv/.requirements: requirements.lock scripts/bootstrap
	scripts/bootstrap
	@touch $@

.venv/.engine: .venv/.requirements $(ENGINE_SOURCES) pyproject.toml
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/maturin develop --release --locked --uv --skip-install --quiet
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## style, types, import layers
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-rust: setup ## the tests of the engine and of the null server (no Python)
	cargo test --quiet --locked --package maul-engine --package maul-null-server

test-pure: setup ## pure, contract and loopback tests
	$(BIN)/pytest -m "not cluster" tests

test-cluster: setup ## tests on the real cluster (no privilege)
	$(BIN)/pytest -m cluster --timeout 300 tests

it: setup ## the lab with a network: what it promises, and fleets that hurt nobody (needs namespaces; says so if not)
	$(BIN)/pytest --timeout 300 it

bench: setup ## the engine alone, and ratios against peers in the same run (needs nginx and wrk)
	$(BIN)/python benchmarks/engine_alone.py
	$(BIN)/python benchmarks/wire.py

docs: setup ## generate the reference pages from the code
	$(BIN)/python scripts/reference.py

lock: ## pin the Python dependencies anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --upgrade --group dev --output-file requirements.lock pyproject.toml

clean: ## remove what was built here
	rm -rf .venv target src/maul/_engine*.so
