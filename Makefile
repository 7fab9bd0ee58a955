# make setup       environment in .venv (a second call does nothing)
# make demo        synthetic people, training, evaluation, pictures: about 15 minutes on 2 cores
# make demo-mlpe   the same for MLPE
# make test        lint and the whole test suite
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo demo-mlpe test clean
setup: $(VENV)/.ready

# chumpy (required by mmpose, imported nowhere) and xtcocotools (its wheel was made for NumPy 1) are
# built here against what is installed, hence --no-build-isolation and the build tools first.
$(VENV)/.ready: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip 'setuptools<81' wheel cython 'numpy>=2.4,<2.5'
	$(BIN)/pip install --quiet --no-build-isolation --no-binary xtcocotools --editable '.[test]'
	$(BIN)/pip check
	touch $@

demo: setup
	$(BIN)/python tools/demo.py

demo-mlpe: setup
	$(BIN)/python tools/demo.py mlpe

test: setup
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

clean:
	rm -rf $(VENV) work_dirs
