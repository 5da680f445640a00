# Needs make and a Python from 3.10 to 3.14; `make help` lists what there is.
# Everything is written inside this clone (.venv, .cache, .matrix, dist) or in temporary folders.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The Airflow of `make env`; the others are covered by `make test-matrix`.
LOCK := .ci/airflow-3.3.txt
VENV := .venv
BIN := $(VENV)/bin

export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export UV_PYTHON_INSTALL_DIR ?= $(CURDIR)/.cache/python
export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without compiled files every start of Airflow is seconds slower.
unexport PYTHONDONTWRITEBYTECODE

# Airflow writes a configuration file on import: give it a home that goes away.
IN_TEMPORARY_HOME := .ci/in-temporary-home

.PHONY: help
help:  ## show this list
	@echo "make <target>"
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name what; do \
		printf '%-15s %s\n' "$$name" "$$what"; done

.PHONY: env
env: $(VENV)/.made  ## make .venv (done by the other targets when needed)

$(VENV)/.made: $(LOCK) pyproject.toml .ci/make-env .ci/find-python
	python="$$(.ci/find-python)" && .ci/make-env $(VENV) "$$python" $(LOCK)
	@touch $@

.PHONY: demo
demo: env  ## run a real Airflow against the emulator for about two minutes; KEEP=1 leaves it up
	@$(BIN)/python -m tests.stack $(if $(filter-out 0,$(KEEP)),--keep)

.PHONY: cluster
cluster: env  ## the same on an Airflow as on several machines, which stays up until Ctrl-C; KEEP=0 ends it
	@$(BIN)/python -m tests.stack --cluster $(if $(filter 0,$(KEEP)),,--keep)

.PHONY: test test-unit test-dags test-e2e test-others test-browser test-postgres test-cluster test-matrix
test: test-unit test-dags test-e2e test-others  ## all of the next four

FAST := not browser and not dags and not e2e and not postgres and not cluster
# How many processes share them: two for each core, since half the time they wait for sockets and clocks.
SPREAD := -n $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN)) --dist worksteal
# Tests that share an Airflow stay together: see tests/conftest.py.
SPREAD_STAGES := -n 2 --dist loadscope
test-unit: env  ## fast tests
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m "$(FAST)" $(SPREAD) $(PYTEST_ARGS)

test-dags: env  ## tests that run whole DAGs, each in one process
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m dags $(SPREAD) $(PYTEST_ARGS)

test-e2e: env  ## tests that start a real Airflow
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m e2e $(PYTEST_ARGS)

# Half of the time they wait, so two at a time do not get in each other's way.
test-others: env  ## those of the next three, two Airflows at a time
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m "browser or postgres or cluster" $(SPREAD_STAGES) $(PYTEST_ARGS)

test-browser: env  ## tests of the pages in a real Chromium, in the UI of a real API server
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m browser $(PYTEST_ARGS)

test-postgres: env  ## tests that start a real Airflow on a PostgreSQL of its own
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m postgres $(SPREAD_STAGES) $(PYTEST_ARGS)

test-cluster: env  ## tests that start a real Airflow as on several machines
	$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m cluster $(PYTEST_ARGS)

test-matrix:  ## all tests on every supported Airflow and on the oldest and newest Python; MATRIX="3.1 3.2" picks
	.ci/matrix $(MATRIX)

.PHONY: coverage
coverage: env  ## fast tests, and how much of the package they run, branches included; fails below its floor
	mkdir -p build
	$(BIN)/coverage erase
	$(IN_TEMPORARY_HOME) $(BIN)/coverage run -m pytest -m "$(FAST)" $(SPREAD) $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

.PHONY: mutants
mutants: env  ## change one decision after the other, and see which changes no test notices; SAMPLE=100 tries some
	$(IN_TEMPORARY_HOME) $(BIN)/python -m tests.mutants $(if $(SAMPLE),--sample $(SAMPLE)) $(MUTANTS_ARGS)

.PHONY: fuzz
fuzz: env  ## send 100,000 odd requests to the receiver of callbacks
	FUZZ_EXAMPLES=100000 $(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -s tests/fuzz $(PYTEST_ARGS)

# Each benchmark with its options: in the usual sizes, and with FULL=1 in all of them, which takes hours.
BENCH_OUTPUT := build/benchmark
BENCHMARKS := waiting crowd poll_cost waiter_memory triggerer triggerer_mixed parse_cost shared_account shared_airflow callback_latency metrics_cost mixed_kinds pages
USUAL_waiting := --waits 300 1000 5000 --most-others 1000
USUAL_crowd := --minutes 2
USUAL_poll_cost := --rounds 3 --seconds 8
USUAL_waiter_memory := --rounds 2
USUAL_parse_cost := --rounds 10
USUAL_triggerer := --waiting 1000 --changing 200 --ending 240 --scale 2
USUAL_triggerer_mixed := --waiting 1000 --changing 200 --ending 300 --kinds plain few ours
USUAL_shared_account := --minutes 5
USUAL_shared_airflow := --minutes 5
USUAL_callback_latency := --waiting 200
# One that is another with an option of its own.
VARIANT_triggerer_mixed := triggerer --mixed
BENCH_OPTIONS = $(if $(filter-out 0,$(QUICK)),--quick,$(if $(filter-out 0,$(FULL)),,$(USUAL_$*)))

.PHONY: bench
bench: env $(BENCHMARKS:%=bench/%)  ## measure, about an hour, into build/benchmark; QUICK=1 only tries, FULL=1 takes hours

bench/%: env
	$(IN_TEMPORARY_HOME) $(BIN)/python -m tests.benchmarks.$(or $(VARIANT_$*),$*) --output $(BENCH_OUTPUT) $(BENCH_OPTIONS)

.PHONY: soak
soak: env  ## a cluster under fire for MINUTES=60, by the plan of SEED=7; writes to build/soak
	$(IN_TEMPORARY_HOME) $(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60) --seed $(or $(SEED),7) \
		--output build/soak $(SOAK_ARGS)

.PHONY: backfill
backfill: env  ## ninety days of usage into three tables by backfill, with kills at random; DAYS=30 SEED=7
	TRTC_TEST_BACKFILL_DAYS=$(or $(DAYS),90) TRTC_TEST_BACKFILL_SEED=$(or $(SEED),7) \
		$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -s -m postgres tests/e2e/usage $(PYTEST_ARGS)

.PHONY: many-rooms
many-rooms: env  ## two hundred rooms dismissed, two thousand users removed by mapped tasks of two workers; ROOMS=60
	TRTC_TEST_ROOMS=$(or $(ROOMS),200) \
		$(IN_TEMPORARY_HOME) $(BIN)/python -m pytest -m cluster tests/cluster/test_rooms.py $(PYTEST_ARGS)

.PHONY: lint types
lint: env  ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env  ## mypy, strict; tests and examples too
	$(IN_TEMPORARY_HOME) $(BIN)/mypy

.PHONY: wheel
wheel: env  ## build sdist and wheel into dist/, check both, and try the wheel in a clean environment
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(IN_TEMPORARY_HOME) $(BIN)/python .ci/check_wheel.py $(LOCK) dist/*.whl dist/*.tar.gz

.PHONY: lock
lock: env  ## renew the locks in .ci/
	PATH="$(CURDIR)/$(BIN):$$PATH" .ci/lock

.PHONY: clean
clean:  ## remove everything the other targets made
	rm -rf $(VENV) .cache .matrix build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find airflow_trtc tests dags_examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
