# Everything here works on a machine that has Python >= 3.11 and make; nothing else has to be installed by hand.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint up down doctor images docker-daemon test-docker test-defects test-known test-properties test-clients test-slow test-mutation told bench-drivers bench-check lock clean

# Importing from bytecode halves the start of every step.
export PYTHONDONTWRITEBYTECODE =

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := $(BIN)/kafkalab
STAMP := $(VENV)/.installed
DAG ?= kafka_smoke

help:  ## show this
	@grep -E '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "kafkalab needs Python >= 3.11, found %d.%d: set PYTHON=/path/to/python3.11" % v[:2])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip --quiet --disable-pip-version-check install uv
	@$(BIN)/uv --quiet pip sync --python $(BIN)/python requirements.lock
	@$(BIN)/uv --quiet pip install --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

setup: $(STAMP)  ## virtual environment, locked dependencies, JRE, Kafka, embedded store
	@$(LAB) setup

run: setup  ## one run of kafka_smoke through Airflow, live (DAG=..., ARGS="--engine docker ...")
	@$(LAB) run $(DAG) $(ARGS)

test: setup  ## lint, types and every test that belongs to each change
	@$(MAKE) --no-print-directory lint
ifdef ARGS
	@$(BIN)/pytest -m "not slow" $(ARGS)
else
	@$(BIN)/pytest -m "not slow and not system and not docker" --numprocesses 2 --dist loadfile
	@$(BIN)/pytest -m "not slow and (system or docker)"
endif

lint: $(STAMP)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

up: setup  ## Airflow with UI and scheduler, and the embedded store
	@$(LAB) up

down: $(STAMP)  ## stop all that `up` started
	@$(LAB) down

doctor: $(STAMP)  ## what this host can do and lacks
	@$(LAB) doctor

images: setup  ## images of the docker engine
	@$(LAB) images $(ARGS)

docker-daemon: setup  ## a Docker daemon of the checkout's own where none runs (Debian, root); DIR=...
	@$(BIN)/python tests/system/docker_daemon.py start $(abspath $(or $(DIR),.kafkalab/docker))

test-docker: setup  ## the tests that need a Docker daemon, with one of their own where none runs
	@$(BIN)/pytest -m docker $(ARGS)

test-defects: setup  ## each planted defect must redden its claim and nothing else
	@$(BIN)/pytest -m slow tests/system/test_defects.py $(ARGS)

test-known: setup  ## released versions with a known bug must be red for its own reason, the next ones green
	@$(BIN)/pytest -m slow tests/system/test_known_cases.py $(ARGS)

test-properties: setup  ## 100,000 simulated histories: healthy ones green, planted anomalies named (ARGS="--cases 1000")
	@$(BIN)/python -m tests.simulation.properties $(ARGS)

test-clients: setup  ## the contract suite: every client on the oldest, pinned and newest Kafka
	@for driver in "" $(if $(findstring --driver,$(ARGS)),,"--driver kafka-python@pinned"); do \
	  for kafka in oldest pinned newest; do echo "Kafka $$kafka $$driver"; \
	  $(BIN)/pytest tests/contract --kafka $$kafka $$driver $(ARGS) || exit 1; done; done

test-slow: setup  ## everything that is too slow or too wide for `test`
ifdef ARGS
	@$(BIN)/pytest -m slow $(ARGS)
else
	@$(BIN)/pytest -m "slow and not system and not docker" --numprocesses 2
	@$(BIN)/pytest -m "slow and (system or docker)"
endif

test-mutation: setup  ## each condition of each checker taken away: a golden history must notice (ARGS="--only stall --results FILE")
	@$(BIN)/python -m tests.mutation $(ARGS)

told: setup  ## write anew what the golden histories are told (tests/histories/told.json; ARGS="CLAIM...")
	@PYTHONPATH=. $(BIN)/python -m tests.unit.checkers.told $(ARGS)

bench-drivers: setup  ## what drivers cost against their bare clients; minutes each (ARGS="--client NAME@VERSION --write")
	@$(BIN)/python tests/bench/bench_drivers.py $(ARGS)

bench-check: setup  ## how fast and how large verdicts are, with their bounds (ARGS="--size 1e8 --write")
	@PYTHONPATH=. $(BIN)/python tests/bench/bench_check.py $(ARGS)

lock: $(STAMP)  ## resolve requirements.lock again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --group dev --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header pyproject.toml -o requirements.lock

clean:  ## remove what can be made again (not .kafkalab: results live there)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
