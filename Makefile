# `make demo` and `make test` set up everything they need in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SETUP = $(VENV)/.installed-
# The tests run in parallel: one thread each.
TEST = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(1)/bin/python -m pytest -n auto -q
INPUTS = pyproject.toml constraints-dev.txt

.PHONY: demo test test-slow lint docs bench test-core test-floor clean

demo: $(SETUP)cli
	$(BIN)/skrdia demo

test: $(SETUP)test,torch
	$(call TEST,$(VENV)) -m "not slow"

test-slow: $(SETUP)test,torch
	$(call TEST,$(VENV)) -m slow tests

lint: $(SETUP)dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(SETUP)docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(SETUP)test,torch
	$(BIN)/python tests/benchmarks/speed.py

# The core in an environment of its own, without any extra.
test-core:
	$(PYTHON) -m venv --clear $(VENV)-core
	$(VENV)-core/bin/python -m pip install -q .
	cd tests && $(abspath $(VENV)-core)/bin/python core_only.py

# The tests with the oldest versions that pyproject.toml allows, and without torch.
test-floor:
	$(PYTHON) -m venv --clear $(VENV)-floor
	$(VENV)-floor/bin/python -m pip install -q -c tests/constraints-floor.txt -e ".[test]"
	$(call TEST,$(VENV)-floor) tests

$(SETUP)%: $(INPUTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints-dev.txt -e ".[$*]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-core $(VENV)-floor docs/_build docs/auto_examples docs/generated
