# Each target does its own set-up: a clone, `make` and Python 3.11 are enough to begin with.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: help qualify test lint bench setup lock clean

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

qualify: setup   ## the suites against the Linux gateway, and the report (ARGS="-k DMX-07" narrows it)
	$(BIN)/natstorm qualify --testbed testbeds/linux.yaml $(ARGS)

test: setup      ## the project's own tests
	$(BIN)/pytest tests $(ARGS)

lint: $(VENV)/.complete  ## ruff, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup     ## speeds, as ratios within one run
	$(BIN)/python -m benchmarks $(ARGS)

setup: $(VENV)/.complete node_modules/.complete  ## Python packages, Debian packages, Allure
	@$(BIN)/natstorm setup

lock:            ## write requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install -q uv
	$(BIN)/python -m uv pip compile -q --no-config --generate-hashes --extra lab --extra devices --extra dev --python-version 3.11 \
		--no-header --custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:           ## everything that was installed or generated inside the checkout
	rm -rf $(VENV) node_modules .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Natstorm needs Python 3.11 or newer: make PYTHON=python3.11 …'; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh .ci/python-venv
	@echo 'installing the Python packages into $(VENV) …'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Allure 3 draws the HTML report. Without Node the run still writes its own summary page; `natstorm doctor` says how to get it.
node_modules/.complete: package-lock.json
	@if command -v npm >/dev/null; then echo 'installing Allure …' && npm ci --silent --no-audit --no-fund; \
	else echo 'npm is missing: reports will have the plain summary page only (natstorm doctor names the cure)'; mkdir -p node_modules; fi
	@command -v npm >/dev/null && touch $@ || true
