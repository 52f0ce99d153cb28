.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := deploy/requirements.lock

.PHONY: help setup demo dev down test test-slow conformance histories lint format protos lock bench kafka sandbox servers clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.installed ## Make .venv from the hash-pinned lock

$(VENV)/.installed: $(LOCK) pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## Start the local stack, onboard an employee, show what stands in each system
	@$(BIN)/factotum demo

dev: setup ## Run the local stack in the foreground, Ctrl-C ends it
	@$(BIN)/factotum dev

down: setup ## Stop a local stack that runs detached
	@$(BIN)/factotum dev down

test: setup ## Run the tests on real servers; those on Apache Kafka need Java 17 and Maven, else they are skipped
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile --ignore tests/e2e
	$(BIN)/pytest -m "not slow" -n 2 --dist loadgroup tests/e2e

test-slow: setup ## Run the tests that wait for minutes
	$(BIN)/pytest -m slow

conformance: setup ## Run the specification's conformance kit and examples: make conformance SPECIFICATION=<clone>
	FACTOTUM_SPECIFICATION="$(or $(SPECIFICATION),$(error name a clone of the specification: make conformance SPECIFICATION=<clone>))" \
	  $(BIN)/pytest tests/conformance

histories: setup ## Record the histories of this version's interpreter, which the tests replay
	$(BIN)/python -m tests.workflow.record_histories

lint: setup ## Check style, types, import contracts and generated code
	$(BIN)/ruff check services tests benchmarks
	$(BIN)/ruff format --check services tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/test_protos.py

format: setup ## Sort imports, mend what can be mended, format
	$(BIN)/ruff check --fix services tests benchmarks
	$(BIN)/ruff format services tests benchmarks

protos: setup ## Generate services/factotum/api from protos/
	for name in tools memory planner; do \
	  PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=services \
	    --grpc_python_out=services --mypy_out=services --mypy_grpc_out=services \
	    protos/factotum/api/$$name/v1/$$name.proto || exit 1; \
	done

lock: setup ## Pin every dependency by hash into the lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --group check --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --python-version 3.11 -o $(LOCK)

bench: setup ## Measure onboarding, the interpreter, Execute, embedding and recall beside what one would write by hand
	$(BIN)/python -m benchmarks.onboarding --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.interpreter --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.execute --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.embedding --write docs/benchmarks.md
	$(BIN)/python -m benchmarks.recall --write docs/benchmarks.md

kafka: setup ## Fetch Apache Kafka with Maven, for `factotum dev --kafka apache`
	$(BIN)/factotum dev kafka-install

sandbox: ## Install with apt what commands of documents run in; without it they are refused
	@[ "$$(command -v bwrap prlimit setpriv | wc -l)" = 3 ] || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap util-linux; }

servers: ## Install with apt and npm the servers written by others that some tests talk to
	@{ command -v npm && command -v /usr/sbin/slapd && ls /usr/lib/postgresql/*/bin/postgres; } >/dev/null 2>&1 || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    $$(command -v npm >/dev/null || echo npm) slapd ldap-utils postgresql; }
	cd tests/servers && npm ci --silent

clean: ## Remove .venv, caches and the local stack's data
	@if [ -x $(BIN)/factotum ] && [ -e .factotum/stack.json ]; then $(BIN)/factotum dev down; fi
	rm -rf $(VENV) tests/servers/node_modules .factotum .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
