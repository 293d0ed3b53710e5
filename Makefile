# Everything runs from .venv, which the first target that needs it builds. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IMAGES := build/images
DIST := dist
# Each is touched when its step is done, so that an interrupted one is done again.
TOOLS := $(VENV)/tools
READY := $(VENV)/ready
PIN := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage check format e2e image version dist sbom mutants docs tables dashboards screenshots requirements clean

help: ## Show this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

setup: $(READY) ## Build the virtual environment from the hashed requirements

$(TOOLS): requirements-dev.txt scripts/make-venv
	@scripts/make-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@touch $@

$(READY): $(TOOLS) pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# On a terminal Ctrl-C goes to the exporter alone: make itself would end with 130, however cleanly the exporter stops.
demo: $(READY) ## Run the exporter against the built-in simulator and print the URLs to open
	@if [ -t 0 ]; then set -m; $(BIN)/spexporter demo $(ARGS); else exec $(BIN)/spexporter demo $(ARGS); fi

test: $(READY) ## Run all fast tests
	$(BIN)/python -m pytest -n 2

coverage: $(READY) ## The same, measured, with the coverage floor
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term

check: $(READY) ## Format, lint and type checks, then `make test`
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory test

format: $(READY) ## Format the code and apply safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

e2e: $(READY) ## Slow end-to-end tests; .ci/run says which programs they need and installs them
	-$(MAKE) --no-print-directory image
	$(BIN)/python -m pytest tests/e2e -n 2 -p no:cacheprovider

image: $(IMAGES)/built ## Build the image with buildah, without a registry; needs root

$(IMAGES)/built: Dockerfile .dockerignore pyproject.toml requirements.txt requirements-build.txt $(wildcard scripts/make-*image) \
		$(shell find spexporter -type f -not -name '*.pyc')
	scripts/make-image $(CURDIR)/$(IMAGES) localhost/spexporter
	@touch $@

mutants: $(READY) ## Change each Prometheus rule in each way that it can be wrong; their tests must notice (4 min)
	$(BIN)/python scripts/mutate_rules.py $(ARGS)

version: ## Print the version
	@sed -n 's/^__version__ = "\(.*\)"$$/\1/p' spexporter/__init__.py

dist: $(READY) ## Build wheel and sdist into dist/
	rm -rf $(DIST)
	$(BIN)/hatchling build -d $(DIST)

sbom: dist ## And say what the wheel is installed with, as a CycloneDX bill of materials beside them
	scripts/make-sbom $(PYTHON) $(DIST)/*.whl $(DIST)/.sbom $(DIST)/spexporter.cdx.json
	rm -rf $(DIST)/.sbom

docs: $(READY) ## Write the generated references anew
	$(BIN)/python -m scripts.generate_docs

tables: $(READY) ## Write the table of the inspection problem anew
	$(BIN)/python -m scripts.inspection_table

dashboards: $(READY) ## Write Grafana's dashboards anew
	$(BIN)/python -m scripts.dashboards

screenshots: $(READY) ## Take the pictures of the pages for people anew; needs Debian's chromium
	$(BIN)/python -m scripts.screenshots

requirements: $(READY) ## Pin anew, with hashes and without download addresses
	$(PIN) pyproject.toml --extra postgres -o requirements.txt
	$(PIN) pyproject.toml --extra dev -o requirements-dev.txt
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"])' \
		| $(PIN) - -o requirements-build.txt
	echo cyclonedx-bom | $(PIN) - -o requirements-release.txt

clean: ## Remove the virtual environment and all caches
	rm -rf $(VENV) .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
