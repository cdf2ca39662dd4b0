# make demo: the main job on data that ships with a dependency.   make test: the tests.   make check: style and types.
.PHONY: demo test check figures paper clean

VENV ?= .venv
PYTHON ?= python3
RUN = $(VENV)/bin/python -m

demo: $(VENV)/ready
	$(RUN) flatmin run experiments/quickstart.yaml

test: $(VENV)/ready
	OMP_NUM_THREADS=1 $(RUN) pytest --numprocesses auto --maxprocesses 8 --dist worksteal

check: $(VENV)/ready
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

# The frozen results of paper/data drawn again, without training anything.
figures: $(VENV)/ready
	for study in paper/data/*/; do $(RUN) flatmin figures $$study --out results/figures/$$(basename $$study) || exit 1; done

# The report: its numbers, tables and figures from paper/data, then the PDF in paper/build.
paper: $(VENV)/ready
	@command -v latexmk >/dev/null || { echo "make paper needs latexmk (Debian: latexmk texlive-latex-extra \
	texlive-fonts-recommended); \`flatmin report\` alone writes all of it but the PDF." >&2; exit 1; }
	$(RUN) flatmin report
	cd paper && latexmk -pdf -interaction=nonstopmode -halt-on-error -outdir=build main.tex
	@echo "paper/build/main.pdf"

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
