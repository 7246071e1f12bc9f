# `make report` and `make test` need nothing but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Every start of a server, and of a command of ours, would compile it anew where an environment says so; tests start thousands.
export PYTHONDONTWRITEBYTECODE :=
# The environment is rebuilt when its lock changes, and only then; what development needs comes on top.
READY := .venv/ready-$(shell sha256sum < requirements.lock | cut -c1-16)
READY_DEV := $(READY)-dev-$(shell sha256sum < requirements-dev.lock | cut -c1-16)

# Tests wait more than they compute; those of a file share what it takes to set them up.
SIDE_BY_SIDE := --numprocesses=4 --dist=loadfile --no-loadscope-reorder

.PHONY: help setup setup-dev report test check benchmark reference lock clean

help:
	@echo "make report     set up, check conformance, measure quickly, write a report (6 minutes)"
	@echo "make test       set up, check style and types, run all tests (7 minutes on two quick cores, 15 on two slow ones)"
	@echo "make setup      only set up what make report needs, into .venv"
	@echo "make setup-dev  and what tests, style and types need besides"
	@echo "make check      only style and types"
	@echo "make benchmark  micro-benchmarks of the core and of a request's round trip"
	@echo "make reference  measure anew, in full, what results/reference and report.md show (an hour and a half; PAIR= for interpreters)"
	@echo "make lock       resolve the dependencies again (needs uv)"
	@echo "make clean      remove the environment and the caches"

setup: $(READY)

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3" >&2; exit 2; }
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	touch $@

setup-dev: $(READY_DEV)

$(READY_DEV): $(READY) requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	touch $@

report: setup
	$(BIN)/harness bench --quick

test: check setup-dev
	$(BIN)/python -m pytest --benchmark-disable $(SIDE_BY_SIDE) --durations=10

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: setup-dev
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only --benchmark-sort=name --benchmark-columns=min,median,iqr,rounds

# What the lock decides, on a pair of interpreters that differ in nothing else; results/README.md says how they were made.
UNLOCKED := $(foreach python,$(PAIR),$(foreach name,threaded threaded+free asyncio_streams asyncio_streams+free processes,\
	--also $(firstword $(subst +, ,$(name)))@$(python)$(if $(findstring +,$(name)),+free)))

# In minutes. Where a machine is in a bad mood, more time gives more blocks, and narrower intervals.
WITHIN := 90
# Of a run that is gone on with it changes the time only where it is said.
LONGER := $(if $(findstring command,$(origin WITHIN)),--within $(WITHIN))
# The old one stays until the new one is whole; an interrupted one is gone on with. An exit of 1 is a failure that the report tells of.
reference: setup
	if [ -e results/anew/manifest.json ]; then $(BIN)/harness bench --resume results/anew $(LONGER); \
		else $(BIN)/harness bench --full $(UNLOCKED) --within $(WITHIN) --out results/anew; fi || test $$? -eq 1
	rm -rf results/reference
	mv results/anew results/reference
	$(BIN)/harness report

LOCKED := --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --upgrade --quiet
LOCK := uv pip compile pyproject.toml $(LOCKED) --extra install

lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --extra cluster --extra database --constraint requirements.lock --output-file requirements-dev.lock
	uv pip compile implementations/requirements.in $(LOCKED) --constraint requirements.lock --no-annotate \
		--output-file implementations/requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
