# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := workflows activities workers api models store domain providers sandbox temporal relay cli tests bench

.PHONY: install install-dev demo test campaign lint lock bench format docs

install: .venv/installed
install-dev: .venv/installed-dev

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) deploy/bootstrap.py requirements.lock
	@touch $@

.venv/installed-dev: requirements.lock requirements-dev.lock pyproject.toml
	$(PYTHON) deploy/bootstrap.py requirements-dev.lock
	@touch .venv/installed $@

demo: install
	$(BIN)/treum demo

test: install-dev
	$(BIN)/pytest -m "not campaign" --numprocesses 2 --dist loadfile --timeout 150 -rfER

campaign: install-dev
	$(BIN)/pytest -m campaign --numprocesses 2 --dist loadfile -rfER

lint: install-dev
	$(BIN)/ruff check $(SOURCES) deploy
	$(BIN)/ruff format --check $(SOURCES) deploy
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/python -m tests.faults.crash_table --check
	$(BIN)/python deploy/diagrams.py --check
	$(BIN)/python deploy/lock.py --check

lock: install-dev
	$(BIN)/python deploy/lock.py

# The pages that are drawn from the code.
docs: install-dev
	$(BIN)/python -m tests.faults.crash_table
	$(BIN)/python deploy/diagrams.py

format: install-dev
	$(BIN)/ruff check --fix $(SOURCES) deploy
	$(BIN)/ruff format $(SOURCES) deploy

bench: install-dev
	$(BIN)/python -m bench.overhead
	$(BIN)/python -m bench.payments
	$(BIN)/python -m bench.cycles
	$(BIN)/python -m bench.reconciliation
	$(BIN)/python -m bench.fanout
	$(BIN)/python -m bench.orders
