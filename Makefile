# Two commands on a fresh machine: `make demo` and `make test`. Everything else is a part of them.
PYTHON ?= python3
PYTEST_ARGS ?= -n 2 --dist loadfile
BENCH_ARGS ?=
ROUNDS ?= 10
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint bench chaos fuzz services requirements clean

demo: $(READY)
	$(BIN)/dragoman demo

test: services
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

# Parsing, mapping, end to end: one run, so that the ratios mean something on any machine.
bench: services
	$(BIN)/python -m bench $(BENCH_ARGS)

# The tests that kill and shuffle, ROUNDS times as long as `make test` does: more examples, later deaths.
chaos: services
	DRAGOMAN_CHAOS_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest $(PYTEST_ARGS) tests/chaos tests/model

# 250,000 mutated HL7 v2 messages and 100,000 X12 interchanges; `make test` runs the first round of each.
FUZZ_ROUNDS ?= 250
fuzz: $(READY)
	DRAGOMAN_FUZZ_ROUNDS=$(FUZZ_ROUNDS) $(BIN)/python -m pytest -q -s tests/hl7v2/test_fuzz.py tests/x12/test_fuzz.py

# PostgreSQL and RabbitMQ: found or started on loopback (tests/services.py says in which order).
services: $(READY)
	@$(BIN)/python -m tests.services

# Hashed packages, then this checkout itself, so that `.venv/bin/dragoman` runs the code you edit.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Dragoman needs Python 3.11 or newer: make PYTHON=python3.12 …" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || \
		{ echo "Python cannot make a virtual environment (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

requirements:
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-header --no-emit-index-url requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-header --no-emit-index-url requirements/runtime.in -c requirements/dev.txt -o requirements/runtime.txt

clean:
	rm -rf .venv var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
