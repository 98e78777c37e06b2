# The commands that people and CI run. Everything lives in .venv/ inside the repository.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Where torch comes from, if not from the default index: --index-url URL, --find-links FOLDER.
TORCH_FROM ?=
ARGS ?=
# As in a node: matrices are small, and threads that wait for each other cost the most.
export OPENBLAS_NUM_THREADS ?= 1
# What `make soak` runs: so many seeds of the simulation, from this one on.
SEEDS ?= 1000
FIRST_SEED ?= 1000
# What `make reproduce` makes (all without names), and where data is and results go.
TABLES ?=
DATA ?= $(wildcard ../shared/data)
OUT ?= reproduced
# What `make fuzz` spends on each decoder.
SECONDS ?= 60

INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help install demo test soak fuzz mutants check format bench chaos reproduce clean

help:
	@echo "make install   make .venv with everything; does nothing when it is up to date"
	@echo "make demo      install, start a node, play traffic, print decisions, learning and the tree"
	@echo "make test      install and run all tests (ARGS='-k name' for some)"
	@echo "make soak      SEEDS=5000 runs of the simulation, all of conformance, long random programs,"
	@echo "                100,000 steps of money and 200 kills on each database"
	@echo "make fuzz      SECONDS=60 for each decoder of what strangers send"
	@echo "make mutants   plant faults in a copy of the runtime; each must be noticed (ARGS=NAME for one)"
	@echo "make check     formatting, lint, types, layers"
	@echo "make format    format the code"
	@echo "make bench     benchmarks of the runtime and of the whole path"
	@echo "make reproduce the tables of results, which takes hours (TABLES=a,b for some, DATA=FOLDER)"
	@echo "make chaos     every chaos experiment on nodes of their own"
	@echo "make clean     remove .venv and caches"

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Bidwright needs Python 3.11 or newer: make install PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
	  || { echo "can't make $(VENV); on Debian: apt-get install python3-venv"; exit 1; }
	@echo "installing torch (the largest part) ..."
	@# First and by its exact version, so that a CPU build at hand is taken and not a larger one.
	@$(PIP) install -q $(TORCH_FROM) "$$(grep '^torch==' constraints.txt)" -c constraints.txt
	@echo "installing everything else ..."
	@$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "installed: $(BIN)/bidwright"

demo: install
	@$(BIN)/bidwright demo $(ARGS)

test: install
	@$(BIN)/python -m pytest $(ARGS)

soak: install
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST_SEED)
	@BIDWRIGHT_SOAK=1 $(BIN)/python -m pytest tests/conformance tests/supervision tests/money $(ARGS)

fuzz: install
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

mutants: install
	@$(BIN)/python -m tests.mutants $(ARGS)

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python benchmarks/bench_cell.py
	$(BIN)/python benchmarks/bench_ledger.py
	$(BIN)/python benchmarks/bench_reservations.py
	$(BIN)/python benchmarks/bench_cell_path.py
	$(BIN)/python benchmarks/bench_path.py
	$(BIN)/python benchmarks/bench_eligibility.py
	$(BIN)/python benchmarks/bench_pacing.py
	$(BIN)/python benchmarks/bench_profiler.py
	$(BIN)/python benchmarks/bench_overload.py
	$(BIN)/python benchmarks/bench_restart.py
	$(BIN)/python benchmarks/bench_looking.py

chaos: install
	$(BIN)/bidwright chaos run --all $(ARGS)

reproduce: install
	@$(BIN)/bidwright reproduce $(TABLES) $(if $(DATA),--data $(DATA)) --out $(OUT) $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
