# Two commands on a fresh machine: `make demo` and `make test`. Everything else is a part of them.
PYTHON ?= python3
BIN := .venv/bin
SYNCED := .venv/.synced

.PHONY: demo test lint bench chaos requirements clean

$(SYNCED): requirements/dev.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

lint: $(SYNCED)
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

requirements:
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-header --no-emit-index-url requirements/dev.in -o requirements/dev.txt
	uv pip compile -q --generate-hashes --python-version 3.11 --universal --no-header --no-emit-index-url requirements/runtime.in -c requirements/dev.txt -o requirements/runtime.txt
