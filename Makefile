# Everything is set up on the way: all you need is Python 3.11 to 3.13 and make.
.DEFAULT_GOAL := help
.PHONY: help serve test build figures bench clean

PYTHON ?= python3
RUN := .venv/bin/python -m
export NO_MKDOCS_2_WARNING := 1

# On a machine without a screen there is no browser to open.
OPEN := $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname))),--open)

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

serve: .venv/installed ## show the site with live reload, at http://127.0.0.1:8000/
	@$(RUN) mkdocs serve $(OPEN)

test: .venv/installed ## run all tests; PyTorch and TensorFlow each in a process of their own
	@rm -f .coverage
	@first=0; second=0; \
	$(RUN) pytest -m "not keras" --cov --cov-report= --cov-fail-under=0 || first=$$?; \
	$(RUN) pytest -m keras --cov --cov-append --cov-fail-under=100 || second=$$?; \
	exit $$((first | second))

build: .venv/installed ## write the site to site/; every warning fails
	@$(RUN) mkdocs build --strict

figures: .venv/installed ## measure what changed, check every claim, draw the figures
	@$(RUN) docs.hooks.dodo

bench: .venv/installed ## time cold, warm and partial builds; compare two cold builds byte by byte
	@$(RUN) docs.hooks.bench

clean: ## remove all that the build made; the environment stays
	@rm -rf site .cache docs/figures docs/downloads docs/fonts/katex

.venv/installed: requirements.txt pyproject.toml docs/hooks/environment.py
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11, 3.12 or 3.13 is needed: https://www.python.org/downloads/"; exit 1; }
	@PYTHON=$(PYTHON) $(PYTHON) docs/hooks/environment.py
