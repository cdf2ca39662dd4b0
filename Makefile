# make demo: the main job on data that ships with a dependency.   make test: the tests.   make check: style and types.
.PHONY: demo test check figures clean

VENV ?= .venv
PYTHON ?= python3
RUN = $(VENV)/bin/python -m

demo: $(VENV)/ready
	$(RUN) flatmin run experiments/quickstart.yaml

test: $(VENV)/ready
	$(RUN) pytest

check: $(VENV)/ready
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

# The frozen results of paper/data drawn again, without training anything.
figures: $(VENV)/ready
	for study in paper/data/*/; do $(RUN) flatmin figures $$study --out results/figures/$$(basename $$study) || exit 1; done

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
