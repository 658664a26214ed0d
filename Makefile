# The commands of the project. `make demo` and `make test` work on a fresh machine with Python 3.11.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= deploy/node.example.toml
ARGS ?=

.PHONY: help demo serve test check bench faults clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed ($(PYTHON) was not found); set PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@

demo: $(VENV)/.ready ## A stand-in scanner, the node and a stand-in PACS; ARGS=--once to stop afterwards
	@$(BIN)/second-reader demo $(ARGS)

serve: $(VENV)/.ready ## Run the node; CONFIG=FILE
	@$(BIN)/second-reader serve --config $(CONFIG) $(ARGS)

test: $(VENV)/.ready ## All tests, on two cores, and the coverage gate; ARGS=PATH for a part, without the gate
	$(BIN)/pytest -n 2 --dist loadfile $(if $(ARGS),$(ARGS),--cov --cov-report=term-missing:skip-covered)

check: $(VENV)/.ready ## Lint, format, types, import contracts, pins, licences, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.dependency_audit

bench: $(VENV)/.ready ## Measure speed: every program in tests/benchmarks
	@for program in tests/benchmarks/*_benchmark.py; do echo "== $$program"; PYTHONPATH=. $(BIN)/python $$program || exit 1; done

faults: $(VENV)/.ready ## Inject every fault and print what survived; ARGS=--quick for the short list
	@$(BIN)/python -m tests.faults.table $(ARGS)

clean: ## Remove what the other targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage demo-output
