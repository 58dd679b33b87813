# make demo   the demo study at http://localhost:8501
# make test   the tests
#
# On an ordinary Linux machine PyTorch comes with several GB of CUDA libraries. For the CPU build:
#   make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8501
CASES ?= 48
TORCH_INDEX ?=
# Two processes, a file of tests in each, and one thread of PyTorch per process.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)

.PHONY: demo test slow check client format clean

demo: $(VENV)/.run
	$(BIN)/counterlight demo --cases $(CASES) --port $(PORT)

test: $(VENV)/.dev
	$(PYTEST)

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow --override-ini timeout=5400

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy commands data explainers pages study app.py cli.py
	$(BIN)/lint-imports
	$(PYTEST)

# The browser's side (viewer and form); users of Counterlight need no Node.
client:
	cd pages/parts/viewer && npm ci && npm test && npm run build

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) var/demo

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Counterlight needs Python 3.11 or newer; none was found. Install it, or name it: make demo PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet torch==$(TORCH_VERSION) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	@touch $@

$(VENV)/.run: pyproject.toml constraints.txt $(VENV)/.torch
	@echo "Installing Counterlight into $(VENV) (about 2 GB with the CPU build of PyTorch) ..."
	$(BIN)/python -m pip install --quiet --editable . --constraint constraints.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@
