# make demo    watch a model learn a language
# make test    all tests
# make check   lint, types, import contracts, the site, then all tests
# make docs    the documentation as a site, build/docs/index.html
# make notebook   the outputs of docs/tour.ipynb again (a minute)
# make attack  ten times the mutated inputs that the tests try
# make crash   kill and refuse a small run at every write and step
# make robustness   all attacks, and their table in docs/robustness.md
# make results   every page of comparisons again, from its recipes (hours; the same command continues)
# make results-quick   one comparison of each, in one language, one draw, one epoch (minutes; no results)
# make wheel-test   the unit tests again, on the package as users install it

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PYTEST := HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations=25

.PHONY: demo test check lint docs notebook attack crash robustness results results-quick wheel-test clean

demo: $(INSTALLED)
	$(BIN)/lingraft demo

test: $(INSTALLED)
	$(PYTEST)

check: lint docs
	$(MAKE) test

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebook: $(INSTALLED)
	rm -rf docs/runs
	PYTHONWARNINGS=ignore HF_HUB_OFFLINE=1 $(BIN)/python -m nbconvert --execute --inplace docs/tour.ipynb
	rm -rf docs/runs

attack: LINGRAFT_ATTACKS ?= 10
attack: $(INSTALLED)
	LINGRAFT_ATTACKS=$(LINGRAFT_ATTACKS) $(PYTEST) -m attack

crash: LINGRAFT_ATTACKS ?= 1000
crash: $(INSTALLED)
	LINGRAFT_ATTACKS=$(LINGRAFT_ATTACKS) $(PYTEST) tests/attack/test_crash.py

robustness: $(INSTALLED)
	mkdir -p build
	rm -f build/attacks.jsonl
	LINGRAFT_ATTACK_RECORD=$(CURDIR)/build/attacks.jsonl $(PYTEST) -m attack
	$(BIN)/python tests/attack/page.py build/attacks.jsonl docs/robustness.md

results: $(INSTALLED)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/results.py

results-quick: $(INSTALLED)
	rm -rf build/results
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/results.py --quick

wheel-test: $(INSTALLED)
	rm -rf build
	$(BIN)/python -m build --wheel --outdir build/wheel .
	$(BIN)/python -m pip install --quiet --no-deps --target build/site build/wheel/*.whl
	PYTHONPATH=build/site $(BIN)/python -c "import lingraft; assert '/build/site/' in lingraft.__file__, lingraft.__file__"
	PYTHONPATH=build/site $(PYTEST) -m "not checkpoint and not shared and not attack"

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("lingraft needs Python 3.11 or newer, this is %d.%d; say for example: make demo PYTHON=python3.11" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable '.[bundled,docs,parquet]'
	touch $@

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
