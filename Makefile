# One environment in .venv, made from requirements locked with hashes. A machine needs
# Python 3.11 or newer, make and git; `make help` lists what there is.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

VENV := .venv
BIN := $(VENV)/bin
# Touched when what they stand for is installed, so that the next `make` has nothing to do.
UV := $(VENV)/.made-uv
LOCAL := $(VENV)/.made-local
DEV := $(VENV)/.made-dev

INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
PROJECT := $(INSTALL) --no-deps --no-build-isolation --editable .
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock"

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(LOCAL) ## Show the whole system at work on a sample, then clean up
	@$(BIN)/bulk-lookup demo

.PHONY: up
up: $(LOCAL) ## Start the whole system and keep it running (its state stays between runs)
	@$(BIN)/bulk-lookup up

.PHONY: down
down: $(LOCAL) ## Stop what `make up` started
	@$(BIN)/bulk-lookup down

.PHONY: setup
setup: $(DEV) ## Make the environment for working on the project

.PHONY: test
test: $(DEV) ## Run all tests, on real Kafka and PostgreSQL
	$(BIN)/python -m pytest

.PHONY: test-unit
test-unit: $(DEV) ## Run the tests that need nothing but this process (seconds)
	$(BIN)/python -m pytest tests/unit tests/contracts

.PHONY: test-faults
test-faults: $(DEV) ## Run every case of tests/faults, and what else takes long (half an hour)
	$(BIN)/python -m pytest tests/faults tests/pipeline/test_adaptive_limit.py -m ""

.PHONY: soak
soak: $(DEV) ## Mix faults at random for MINUTES=n, by a SEED=n that is printed
	$(BIN)/python -m tests.faults.soak $(or $(MINUTES),10) $(SEED)

.PHONY: mutations
mutations: $(DEV) ## Break the code in one place after the other: a test must notice each (20 minutes)
	$(BIN)/python -m tests.mutations

.PHONY: record-alerts
record-alerts: $(DEV) ## Cause faults on the real stack and see which alerts fire (15 minutes)
	$(BIN)/python -m tests.alerts $(ARGS)

.PHONY: check
check: $(DEV) ## Lint, formatting, types, import rules, and pages made from the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m services.reference --check
	$(BIN)/python -m deploy.grafana.generate --check
	$(BIN)/python -m deploy.k8s.rules --check

.PHONY: format
format: $(DEV) ## Format the code and mend what ruff can mend itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: reference
reference: $(DEV) ## Write anew what is made from code: docs/reference, schemas, dashboards, rules
	$(BIN)/python -m services.reference
	$(BIN)/python -m deploy.k8s.rules
	$(BIN)/python -m deploy.grafana.generate
	$(BIN)/python tests/contracts/snapshots.py

.PHONY: lock upgrade
lock upgrade: $(UV) ## Lock the dependencies (upgrade: to their newest versions)
	$(COMPILE) pyproject.toml --extra local --group dev --group build -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra local -c requirements/dev.txt -o requirements/local.txt
	$(COMPILE) pyproject.toml -c requirements/dev.txt -o requirements/runtime.txt
	$(COMPILE) --group build -c requirements/dev.txt -o requirements/build.txt
	$(COMPILE) --no-deps --group tools -o requirements/tools.txt
upgrade: COMPILE += --upgrade

.PHONY: clean
clean: ## Remove the environment and all caches (not the state that `make up` keeps)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist
	find services tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# An interpreter found on the machine makes the environment; pip in it installs uv and what
# builds the project, and uv the rest.
$(UV): requirements/build.txt
	@found=; seen=; \
	for python in python3 python3.14 python3.13 python3.12 python3.11; do \
		version=$$($$python -c 'import platform; print(platform.python_version())' 2>/dev/null) || continue; \
		seen="$$seen $$python is $$version;"; \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Python 3.11 or newer is needed;$${seen:- there is no python3 at all;} install one" \
			"(Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)" >&2; \
		exit 1; \
	fi; \
	if ! $$found -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$$found ($$version) lacks its venv module: apt install python3-venv on Debian and" \
			"Ubuntu, or take a Python that has it first on your PATH" >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$found ($$version)"; \
	clear=; $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || clear=--clear; \
	$$found -m venv $$clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	@touch $@

$(LOCAL): $(UV) requirements/local.txt pyproject.toml
	@echo "Installing what the local system needs"
	@$(INSTALL) --require-hashes -r requirements/local.txt
	@$(PROJECT)
	@touch $@

$(DEV): $(UV) requirements/dev.txt requirements/tools.txt pyproject.toml
	@echo "Installing what working on the project needs"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@$(INSTALL) --require-hashes --no-deps --no-build-isolation -r requirements/tools.txt
	@$(PROJECT)
	@touch $@ $(LOCAL)
