# Each target does its own set-up: a clone, `make` and Python 3.11 are enough to begin with.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Some hundred processes of a test run would each compile the whole project anew.
unexport PYTHONDONTWRITEBYTECODE

# A virtual environment holds its own path: in a checkout that was moved, or whose Python is gone, it is made anew.
ifneq ($(shell cat $(VENV)/.complete 2>/dev/null && $(BIN)/python -c '' 2>&1),$(shell pwd -P))
$(shell rm -f $(VENV)/.complete)
endif

.PHONY: help qualify ios prove box kills soak mutants test lint bench fuzz setup servers lock clean

help:            ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

qualify: setup   ## the suites on the virtual and the Linux gateway, a report each (ARGS="-k DMX-07" narrows it, --testbed F chooses)
	@$(if $(findstring --testbed,$(ARGS)),$(BIN)/natstorm qualify $(ARGS),status=0; \
		$(BIN)/natstorm qualify --guests $(ARGS) || status=$$?; \
		$(BIN)/natstorm qualify --testbed testbeds/linux.yaml $(ARGS) || status=$$?; \
		exit $$status)

ios: setup       ## the Cisco documents on virtual IOS routers, in virtual time (ARGS="--release '12.3(11)T4'" chooses another release)
	$(BIN)/natstorm qualify --testbed testbeds/virtual-ios.yaml $(ARGS)

# The proof counts the mutants that were tried of this code, so that both are played; what narrows it does without.
prove: setup     ## break every mechanism in turn, and 120 by chance: which test notices? Takes up where it was (ARGS="--fault NAME" narrows it)
	@$(if $(or $(findstring --fault,$(ARGS)),$(findstring --list,$(ARGS)),$(findstring --json,$(ARGS))),$(BIN)/natstorm prove $(ARGS),\
		status=0; \
		$(BIN)/natstorm prove --mutants 120 $(ARGS) || status=$$?; \
		$(BIN)/natstorm prove $(ARGS) || status=$$?; \
		$(MAKE) --no-print-directory box ARGS= || status=$$?; \
		exit $$status)

box: setup       ## the suites on the bench in a box: our own gateway, a real one, a router, LAC and LNS, a NAT, reached by SSH and one card alone
	@status=0; \
		$(BIN)/python -m bench_in_a_box -- $(BIN)/natstorm qualify --testbed testbeds/bench-in-a-box.yaml $(ARGS) || status=$$?; \
		$(BIN)/python -m bench_in_a_box --gateway linux -- \
			$(BIN)/natstorm qualify --testbed testbeds/bench-in-a-box-linux.yaml $(ARGS) || status=$$?; \
		$(BIN)/python -m bench_in_a_box --gateway ios -- \
			$(BIN)/natstorm qualify --testbed testbeds/bench-in-a-box-ios.yaml $(ARGS) || status=$$?; \
		$(BIN)/python -m bench_in_a_box --routers lac-lns -- \
			$(BIN)/natstorm qualify --testbed testbeds/bench-in-a-box-lac-lns.yaml $(ARGS) || status=$$?; \
		$(BIN)/python -m bench_in_a_box --routers esp -- \
			$(BIN)/natstorm qualify --testbed testbeds/bench-in-a-box-esp.yaml $(ARGS) || status=$$?; \
		exit $$status

kills: setup     ## runs on the bench in a box, killed at 20 random moments: is all given back? (ARGS="40 2": moments, seed)
	$(BIN)/python tests/field/kill_at_random.py $(ARGS)

soak: setup      ## a thousand SAs told apart, a day of 100 clients coming and going, 500 in a storm at the rate that a ramp finds: half an hour
	$(BIN)/natstorm qualify --time virtual --all-variants -k demux-crowd $(ARGS)
	$(BIN)/natstorm qualify --time virtual --variant demux -k churn-day $(ARGS)
	$(BIN)/natstorm storm --clients 500 --ramp --hold 60

mutants: setup   ## change the virtual gateway at random, 120 times: which test notices? (ARGS="--mutants-seed 2" chooses others)
	$(BIN)/natstorm prove --mutants 120 $(ARGS)

test: setup servers  ## the project's own tests, five at a time: those with a real gateway wait more than they work
	@$(BIN)/pytest tests --collect-only -q >/dev/null 2>&1 || true  # pytest rewrites and keeps each assert: once, and not five times at once
	$(BIN)/pytest tests -n 5 --dist loadfile --no-loadscope-reorder $(ARGS)  # the order is tests/conftest.py's

lint: $(VENV)/.complete  ## ruff, mypy --strict
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: setup     ## speeds, as ratios within one run, and how long the suites take (ARGS=--costs-only leaves those out)
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: setup      ## ten million hostile datagrams against cores and gateway, an hour at most (ARGS="--target gateway" narrows it)
	$(BIN)/python -m fuzzing $(ARGS)

setup: $(VENV)/.complete node_modules/.complete  ## Python packages, Debian packages, Allure
	@$(BIN)/natstorm setup

# Nothing but the project's own tests needs them; where the package index is out of reach, the tests that want one say why they are
# skipped, and the others are run.
servers: $(VENV)/.complete  ## GNS3 servers and genie's parsers, for the project's own tests
	@$(BIN)/natstorm setup --for-tests || echo 'what is tested against GNS3 servers and genie is skipped' >&2

lock:            ## write requirements.lock anew from pyproject.toml
	$(BIN)/python -m pip install -q uv
	$(BIN)/python -m uv pip compile -q --no-config --generate-hashes --extra lab --extra devices --extra virtual-ios --extra dev --python-version 3.11 \
		--no-header --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	for server in 2.2.61 3.0.6; do echo "gns3-server==$$server" | $(BIN)/python -m uv pip compile -q --no-config --generate-hashes \
		--python-version 3.11 --no-header - -o requirements-gns3-$${server%.*}.lock; done
	printf 'genie==26.9\ngenie.libs.parser==26.9\ngenie.libs.sdk==26.9\nxmltodict\n' | $(BIN)/python -m uv pip compile -q --no-config \
		--generate-hashes --no-deps --python-version 3.11 --no-header - -o requirements-genie.lock  # of the same pyATS

clean:           ## everything that was installed or generated inside the checkout, save reports
	rm -rf $(VENV) node_modules .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks natstorm.egg-info

# Always from nothing: what an interrupted or an older installation left behind is not built upon.
$(VENV)/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Natstorm needs Python 3.11 or newer. Where one is installed: make $(MAKECMDGOALS) PYTHON=python3.11' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || sh .ci/python-venv $(PYTHON)
	@echo 'installing the Python packages into $(VENV): takes a minute, says nothing meanwhile …'
	@$(PYTHON) -m venv --clear $(VENV)
	@{ $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .; } || \
		{ echo 'The Python packages could not be installed: see above. Without a network, or behind a proxy: pip config.' >&2; exit 2; }
	@pwd -P > $@

# Allure 3 draws the HTML report. Without it a run writes its own summary page, and says why and what the cure is.
node_modules/.complete: package-lock.json
	@! command -v npm >/dev/null || { echo 'installing Allure …' && npm ci --silent --no-audit --no-fund && touch $@; } || \
		echo 'Allure could not be installed (is the npm registry in reach?): reports will have the plain summary page only'
