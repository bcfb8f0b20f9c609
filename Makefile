# Every verb of the project. Needs Python 3.11 or later and make, nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)
export PYTHONWARNINGS := ignore:XDG_RUNTIME_DIR
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo up down test lint bench clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: $(VENV)/local.stamp ## Start everything, run a welcome series through it in a minute, check it
	@$(BIN)/python -m libs.local demo

up: $(VENV)/local.stamp ## Start the stack in the background (KAFKA=embedded|apache|external); see .run/env
	@$(BIN)/python -m libs.local up

down: $(VENV)/local.stamp ## Stop the stack and forget its data
	@$(BIN)/python -m libs.local down

test: $(VENV)/dev.stamp ## Run all tests, on Apache Kafka and PostgreSQL where they can be had
	@$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp ## Formatting, lint, types, import contracts, architecture tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy libs services tests
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/architecture -q

bench: $(VENV)/dev.stamp ## Measure speed on this machine (ONLY="wait mail": only that)
	@$(BIN)/python -m tests.bench $(ONLY)

clean: ## Remove the virtual environment and caches
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Millrace needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/local.stamp: $(VENV)/python.stamp requirements.txt requirements-local.txt
	@echo "Installing what the stack needs ..."
	@$(BIN)/pip install -q -r requirements-local.txt
	@touch $@

$(VENV)/dev.stamp: $(VENV)/python.stamp requirements.txt requirements-local.txt requirements-dev.txt
	@echo "Installing what the tests need ..."
	@$(BIN)/pip install -q -r requirements-dev.txt
	@touch $@ $(VENV)/local.stamp
