# make demo | test | coverage | check | docs | bench        PYTHON=python3.12 make demo  takes another Python
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := demo
.PHONY: demo test coverage check docs bench conformance format clean

# A Python that has a recent torch lends it to the environment; on any other one the stated release is installed.
$(VENV)/base:
	@if $(PYTHON) -c "import torch, sys; sys.exit(tuple(map(int, torch.__version__.split('.')[:2])) < (2, 10))" 2>/dev/null; \
	then $(PYTHON) -m venv --system-site-packages $(VENV); \
	else $(PYTHON) -m venv $(VENV) && echo "installing $(TORCH)" && $(PIP) $(TORCH); fi
	@touch $@

$(VENV)/run: $(VENV)/base pyproject.toml
	@echo "installing pellucid"
	@$(PIP) -e .
	@touch $@

$(VENV)/dev: $(VENV)/run constraints.txt
	@echo "installing what tests and checks need"
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/run
	@mkdir -p out
	@$(BIN)/pellucid demo -o out/demo.html

# Two processes on two cores: threads of their own would only wait for each other.
test: $(VENV)/dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

# Counting lines takes a third longer.
coverage: $(VENV)/dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal --cov --cov-report=term

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/dev
	$(BIN)/python -m pytest -q docs README.md README.ko.md

bench: $(VENV)/dev
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/graph_explain.py
	$(BIN)/python benchmarks/graph_truth.py

# The table of every method beside the peers: captum, torch-cam, pytorch-grad-cam, zennit, scikit-learn (grad-cam without what it draws with).
conformance: $(VENV)/dev
	$(PIP) captum torchcam zennit
	$(PIP) --no-deps grad-cam ttach opencv-python-headless scikit-learn threadpoolctl joblib tqdm cloudpickle narwhals
	$(BIN)/python benchmarks/conformance.py --write docs/conformance.md

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) out dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
