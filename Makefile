# Everything a fresh machine needs: Python >= 3.11, make and pip. `make demo` and `make test` make their own environment.

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
UV ?= uv
# What was compiled once is kept, however the shell is set: every process of a test would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

# The first interpreter that runs and is one of the tested versions; a newer one only when nothing else is there.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo "$$p" && exit; \
	done; echo python3)
endif

# A Debian python may lack ensurepip; then its own pip installs into the environment from outside.
PIP = $$( [ -x $(BIN)/pip ] && echo $(BIN)/python -m pip || echo $(PYTHON) -m pip --python $(BIN)/python ) \
	--disable-pip-version-check --no-input --quiet

.PHONY: help setup demo stack test test-fast lint types wheel lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.project  ## make the environment from the lock file

# The stamp is written last, so a setup that was interrupted is done again.
$(VENV)/.locked: requirements-dev.lock
	@"$(PYTHON)" -c 'import sys; sys.exit("Python >= 3.11 is needed, this is " + sys.version if sys.version_info < (3, 11) else 0)'
	@echo "Setting up $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv --clear $(VENV) >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear --without-pip $(VENV)
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Hatchling comes from the lock file, so nothing unpinned is fetched to build the project itself.
$(VENV)/.project: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## run the whole monitor against a simulated world; ARGS="--seconds 30 --json"
	@$(BIN)/consentinel demo $(ARGS)

stack:  ## build the image and start the containers; needs Docker and GRAFANA_ADMIN_PASSWORD
	docker compose --file docker/compose.yaml up --build --detach

# First the coverage gate, over the tests that are about what it measures (a rule's own tests run the core) but for those
# that cover nothing new, and with few examples, since tracing is slow; it never waits, so a process a core does, and the
# longest file comes first. Then all other tests, and of those of the gate the properties with more examples: half of
# Hypothesis' hundred, other ones at every run; EXAMPLES=1 or 10 tries more. The drills that kill workers wait half of
# their time, so they begin, and the rest fills the machine beside them.
CORES ?= 2
PROCESSES ?= 4
EXAMPLES ?= 0.5
MEASURED := tests/law/test_rule_tests.py tests/core tests/schemas
test: setup  ## all tests, with the coverage gate; ARGS="-k timeline" for some of them
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@EXAMPLES=0.1 $(BIN)/python -m pytest $(MEASURED) -m "not untraced" -q -n $(CORES) --cov --cov-report=
	@$(BIN)/python tests/house/branches.py 95
	@EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -n $(PROCESSES) $(MEASURED:%=--only-properties %)
endif

test-fast: setup  ## the tests that need no Apache Kafka and kill nothing
	@$(BIN)/python -m pytest -m "not kafka and not kill" -n $(PROCESSES) $(ARGS)

lint: setup  ## ruff, and the floors of the house
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo --no-cache

types: setup  ## mypy, strict
	@$(BIN)/mypy

wheel: setup  ## build dist/*.whl, and check it installed away from the sources
	@rm -rf dist
	@$(BIN)/hatchling build -t wheel
	@$(BIN)/python tests/house/wheel.py dist/*.whl

# Not needed to build: it renews the pins. Hashes, but no address of a registry.
lock:  ## renew the lock files with uv; ARGS="--upgrade" moves the pins
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --quiet $(ARGS) \
		--custom-compile-command "make lock" --extra embedded --extra dashboards --extra report --output-file requirements.lock
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --quiet $(ARGS) \
		--custom-compile-command "make lock" --extra embedded --extra dashboards --extra report --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## remove what the other targets made
	rm -rf $(VENV) .venv-* dist build target .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.git/*' -type d -prune -exec rm -rf {} +
