# The few verbs of this project. Each makes the environment it needs, in .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& { command -v $$p; break; }; done)

.PHONY: help demo test quick lint type format picture bench clean

help: ## Say what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/installed ## Replay the examples into a local Outreach, in under a minute
	@examples/demo.sh $(BIN)/outreach-activation

test: .venv/tested ## Run every test, two files at a time, since many wait for a process or a clock
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

quick: .venv/tested ## Run the tests that need no process, browser, server or engine, in under a minute
	@$(BIN)/python -m pytest --numprocesses 2 -q -m "not real"

lint: .venv/tested ## Check style, and ask after known vulnerabilities
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/python .ci/audit

format: .venv/tested ## Put the style right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

type: .venv/tested ## Check types
	@$(BIN)/mypy

picture: .venv/tested ## Make the README's picture of the operator's page, with Chromium
	@$(BIN)/python -m tests.support.browser.picture

bench: .venv/tested ## Measure, as ratios within one run; writes benchmarks/results.md
	@$(BIN)/python -m benchmarks

clean: ## Remove what the other verbs made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/python: Makefile
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11, 3.12, 3.13 or 3.14 is needed, and none was found;" \
			"install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || { \
		echo "$(PYTHON) is $$("$(PYTHON)" -V 2>&1), and Python 3.11 to 3.14 is needed;" \
			"name another: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "making .venv with $$("$(PYTHON)" -V)" >&2
	@"$(PYTHON)" -m venv --clear .venv || { \
		echo "this Python cannot make environments: on Debian and Ubuntu, install python3-venv" >&2; exit 1; }
	@touch $@

.venv/installed: .venv/python setup.py pyproject.toml
	@echo "installing outreach-activation and what it needs (a minute or two, once)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . >&2
	@touch $@

.venv/tested: .venv/installed
	@echo "installing what the tests need" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' >&2
	@touch $@
