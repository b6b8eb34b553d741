# Everything is done by `make`; each target says what it is for. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Settings of pip that point to somebody's index or folder stay the machine's business; hashes make sure of the content.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url \
	--no-emit-find-links --no-emit-trusted-host --no-emit-options

.DEFAULT_GOAL := help
.PHONY: help install run test ci lint format-check types imports migrations tests bench fmt requirements clean

help: ## List what can be done
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F '|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

install: $(VENV)/.runtime ## Make .venv with what Gatehouse runs on (production; see docs/operations.md)

run: $(VENV)/.runtime ## Start everything on this machine; Ctrl-C stops it
	@$(BIN)/python -m governance.config.run

test: $(VENV)/.dev tests ## Run every test

# Tests start a hundred processes; where a machine forbids Python its cache, each would compile the house anew.
tests:
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist loadgroup

ci: $(VENV)/.dev lint format-check types imports migrations tests ## Everything that is checked before a merge

lint:
	$(BIN)/ruff check

format-check:
	$(BIN)/ruff format --check --quiet

types:
	$(BIN)/mypy governance scim_bridge

imports:
	$(BIN)/lint-imports --no-logo

migrations:
	$(BIN)/python manage.py makemigrations --check --dry-run

bench: $(VENV)/.dev ## Measure, and print tables of ratios (bench/README.md)
	@for script in $$(sed -n 's/^| `\([a-z_]*\.py\)`.*/\1/p' bench/README.md); do \
		echo "== $$script"; $(BIN)/python bench/$$script || exit 1; done

fmt: $(VENV)/.dev ## Format the code and mend what can be mended by itself
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

requirements: $(VENV)/.dev ## Compile requirements/*.txt from pyproject.toml; PIP_COMPILE_ARGS=--upgrade for newer versions
	$(COMPILE) $(PIP_COMPILE_ARGS) --output-file=requirements/runtime.txt pyproject.toml
	$(COMPILE) $(PIP_COMPILE_ARGS) --extra=dev --constraint=requirements/runtime.txt --output-file=requirements/dev.txt pyproject.toml

clean: ## Remove .venv and what tools left; keeps var/, where the data is
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV)

# dev.txt holds runtime.txt: what is installed for tests is enough to run.
$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/bin/python
	@if [ $(VENV)/.dev -nt requirements/dev.txt ]; then true; else \
		echo "Installing the packages Gatehouse runs on"; $(INSTALL) -r requirements/runtime.txt; fi
	@touch $@

$(VENV)/.dev: requirements/dev.txt | $(VENV)/bin/python
	@echo "Installing the packages for tests and checks"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
