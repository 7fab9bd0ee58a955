# make setup        environment in .venv with today's newest releases (a second call does nothing)
# make demo         synthetic people, training, evaluation, a page: 10 minutes; MINUTES=60 for an hour
# make demo-mlpe    the same for MLPE
# make lint         ruff, mypy, the documents' figures and site
# make docs         the documentation site, in build/site
# make wheels       what to install on a machine without a network, in build/wheels, for a Python like
#                   THERE_PYTHON (3.12); THERE='torch ...' is not in it, nor what that needs alone
# make test         lint and the whole test suite
# make coverage     the suite, and which lines it does not reach; slower
# make test-oldest  the fast part of the suite with the oldest releases, in .venv-oldest
PYTHON ?= python3
OLDEST_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.10.*/bin/python) $(PYTHON))
THERE_PYTHON ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python) python3.12)
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin

# uv installs in a tenth of pip's time; it does not read pip's settings
INDEX := $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
UV = $(BIN)/uv pip install --quiet $(if $(INDEX),--default-index $(INDEX))
# chumpy (required by mmpose, imported nowhere) and xtcocotools (its wheels were made for NumPy 1) are
# built against what is installed; tools/build lets them build on Python 3.13
INSTALL = PYTHONPATH=tools/build $(UV) --no-build-isolation --no-binary xtcocotools

# what the releases may break: every part, and training, testing and resuming end to end
FAST := $(addprefix tests/test_, compat.py codecs evaluation models checkpoint datasets utils) \
	tests/test_tools/test_train_test.py

# a process that dies ends the run: with another in its place, xdist may wait for ever
PARALLEL := --numprocesses auto --dist loadfile --max-worker-restart 0

WHEELS := build/wheels
THERE ?= torch torchvision numpy opencv-python

.PHONY: setup demo demo-mlpe docs wheels lint test coverage test-oldest clean
setup: $(VENV)/.ready

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

$(VENV)/.ready: pyproject.toml setup.py | $(BIN)/uv
	$(UV) --python $(VENV) --upgrade pip 'setuptools<81' wheel cython numpy
	$(INSTALL) --python $(VENV) --editable '.[dev]'
	$(BIN)/uv pip check --python $(VENV)
	touch $@

$(OLDEST)/.ready: pyproject.toml setup.py | $(BIN)/uv
	$(BIN)/uv venv --quiet --clear --python $(OLDEST_PYTHON) $(OLDEST)
	$(UV) --python $(OLDEST) pip 'setuptools<81' wheel cython 'numpy<2'
	$(INSTALL) --python $(OLDEST) --resolution lowest-direct --editable '.[test]'
	touch $@

demo: setup
	$(BIN)/python tools/demo.py $(if $(MINUTES),--minutes $(MINUTES))

demo-mlpe: setup
	$(BIN)/python tools/demo.py mlpe $(if $(MINUTES),--minutes $(MINUTES))

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# an override that holds nowhere takes a package out; what has no wheel is built beside NumPy
wheels: | $(BIN)/uv
	rm -rf $(WHEELS) && mkdir -p $(WHEELS)
	$(BIN)/uv venv --quiet --clear --python $(THERE_PYTHON) build/wheels-env
	$(UV) --python build/wheels-env pip 'setuptools<81' wheel cython numpy
	printf "%s; sys_platform == 'nowhere'\n" $(THERE) > build/there.txt
	PYTHONPATH=tools/build $(BIN)/uv pip compile --quiet $(if $(INDEX),--default-index $(INDEX)) \
		--python build/wheels-env --no-build-isolation --no-header --no-annotate \
		--no-emit-index-url --overrides build/there.txt --extra lite \
		--output-file $(WHEELS)/requirements.txt pyproject.toml
	PYTHONPATH=tools/build build/wheels-env/bin/pip wheel --quiet --no-deps --no-build-isolation \
		--no-binary xtcocotools --wheel-dir $(WHEELS) --requirement $(WHEELS)/requirements.txt .
	rm -rf build/lib build/bdist.*
	echo mspose-plugin >> $(WHEELS)/requirements.txt
	du -sh $(WHEELS)

lint: setup docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.update_docs --check

test: lint
	$(BIN)/python -m pytest $(PARALLEL)

coverage: setup
	$(BIN)/python -m pytest $(PARALLEL) --cov=mspose_plugin --cov-report=term:skip-covered

test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -m pytest $(PARALLEL) $(FAST)

clean:
	rm -rf $(VENV) $(OLDEST) build work_dirs
