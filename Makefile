PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin

# What make bench compares with, beside the packages that Glotmill itself uses.
PEERS = trafilatura lxml_html_clean spacy tldextract rensa fasteners python-magic nltk pyahocorasick orjson

.PHONY: setup demo test test-full bench check reference docs same-bytes lmplz clean

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) --version >/dev/null 2>&1 || { echo "Glotmill needs Python 3.11: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[ray,dev]'
	touch $@

# Kernels are compiled for their sources as they are: again when one of them has changed.
$(VENV)/.kernels: $(VENV)/.ready $(shell grep -rl --include=*.py '@kernel' pipeline)
	$(BIN)/python -m pipeline.cli.compile_kernels
	touch $@

setup: $(VENV)/.kernels

demo: setup
	rm -rf demo-output
	$(BIN)/glotmill run recipes/demo.toml --output demo-output

test: setup
	$(BIN)/python -m pytest -m "not full"
	@echo "Left out: tests marked 'full' (training with lmplz, the report in Chromium, Ray jobs on a cluster): make test-full"

test-full: setup
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { \
	  echo "make test-full opens the report in Chromium: apt-get update && apt-get install -y chromium"; exit 1; }
	@$(BIN)/python -c "from pipeline.training.language_models import find_program as f; f('lmplz'); f('build_binary')" 2>/dev/null || { \
	  echo "make test-full trains language models with lmplz: make lmplz"; exit 1; }
	$(BIN)/python -m pytest

bench: setup
	$(BIN)/python -m pip install --quiet $(PEERS)
	$(BIN)/python -m benchmarks.run $(BENCH)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m dev.make_reference --check

# The pages of docs/reference are made from the code and committed; make check compares them.
reference: $(VENV)/.ready
	$(BIN)/python -m dev.make_reference

# The site of the documentation, in build/site; a warning fails it.
docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# For refactorings: make same-bytes BASE=main runs that commit and the working tree, and compares all that they write.
same-bytes: $(VENV)/.ready
	$(BIN)/python dev/same_bytes.py --base "$(BASE)"

lmplz:
	bash dev/build_lmplz.sh

clean:
	rm -rf $(VENV) build demo-output *.egg-info
