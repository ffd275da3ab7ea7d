# Everything is set up on the way: all you need is Python 3.11 to 3.13 and make.
.DEFAULT_GOAL := help
.PHONY: help serve test test-all test-fast test-machines spread mutants lint format build book offline lock figures new-experiment \
    bench lighthouse zoo clean environment

# The Python to make the environment with, where another than `python3` is wanted: make PYTHON=python3.12 serve
PYTHON =
PORT = 8000
RUN := .venv/bin/python -m
export NO_MKDOCS_2_WARNING := 1
# Else mkdocs-jupyter makes every exporter of nbconvert once, to ask whether it is enabled.
export NBCONVERT_DISABLE_CONFIG_EXPORTERS := 1

# On a machine without a screen there is no browser to open.
OPEN := $(if $(or $(DISPLAY),$(WAYLAND_DISPLAY),$(filter Darwin,$(shell uname))),--open)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

serve: environment ## show the site at http://127.0.0.1:8000/ and rebuild it at every save
	@.venv/bin/python -c "import socket; socket.create_server(('127.0.0.1', $(PORT)))" 2>/dev/null || \
	{ echo "Port $(PORT) is in use. Take another: make PORT=8001 serve" >&2; exit 1; }
	@$(RUN) mkdocs serve --dev-addr 127.0.0.1:$(PORT) $(OPEN)

# A file of tests stays in one process, since its tests share what they measured.
TEST := $(RUN) pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-append --cov-report=

# The build runs each experiment as a program of its own, which coverage does not see.
test: environment ## what a commit must pass; PyTorch and TensorFlow in processes of their own
	@rm -f .coverage
	@failed=0; \
	$(TEST) -m "not keras and not thorough" || failed=1; \
	$(TEST) -m "keras and not thorough" || failed=1; \
	$(RUN) coverage report --fail-under 100 --omit 'snippets/*/experiment_*.py' || failed=1; \
	exit $$failed

# The claims are held on a stand-in for another processor: the build has held them on this one.
test-all: environment ## the same and more of each kind: all pages in Chromium, cures in Keras, claims on another processor
	@rm -f .coverage
	@failed=0; \
	$(TEST) --ignore tests/test_claims.py -m "not keras" || failed=1; \
	$(TEST) --ignore tests/test_claims.py -m keras || failed=1; \
	$(RUN) tests.machines --some || failed=1; \
	$(RUN) coverage report --fail-under 100 || failed=1; \
	exit $$failed

test-fast: environment ## what takes some two minutes: no build, no browser, no experiment, no TensorFlow
	@$(RUN) pytest -q -n auto --maxprocesses 4 --dist loadfile -m "not keras and not slow and not browser and not thorough"

mutants: environment ## plant faults in the files to copy that changed, or in FILES, and see that a test fails at each
	@$(RUN) tests.mutants $(FILES)

lint: environment ## hold all code to its form; `make format` gives it
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy

format: environment ## put all code into its form
	@$(RUN) ruff check --fix --quiet . || true
	@$(RUN) ruff format .

test-machines: environment ## hold claims and parity on stand-ins for other processors and numbers of threads
	@$(RUN) tests.machines $(MACHINES)

spread: environment ## measure over ten seeds and processors what changed since the table was written, or PART of it
	@$(RUN) tests.spread $(if $(PART),--part $(PART)) $(SETTINGS)

build: environment ## write the site to site/; a warning is an error
	@$(RUN) mkdocs build --strict

book: build ## write the whole site as one PDF to book/: contents, bookmarks, page numbers; needs Chromium
	@$(RUN) docs.hooks.publish.book

offline: build ## write the site as a zip that opens from a disk, without a server, to offline/
	@$(RUN) docs.hooks.publish.offline

# PyTorch's CPU builds lie in an index of its own: neither it nor what its CUDA builds need is locked.
LOCK := docs/hooks/requirements.lock
CUDA := cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvshmem-cu13 triton
lock: environment ## write the lock anew after a change of requirements.txt
	@printf '%s\n' $(CUDA) | $(RUN) uv pip compile requirements.txt --excludes /dev/stdin --quiet --output-file $(LOCK) \
	    --universal --python-version 3.11 --generate-hashes --annotation-style line \
	    --no-emit-package well-initialized --no-emit-package torch --custom-compile-command 'make lock'

figures: environment ## measure what changed, check its claims, draw its figures
	@$(RUN) docs.hooks.make

new-experiment: environment ## write one that passes all tests: make new-experiment TOPIC=he_initialization NAME=wider_layers
	@$(RUN) docs.hooks.new_experiment $(TOPIC) $(NAME)

bench: environment ## time the build: cold, warm, one experiment changed, one page edited; time the explorer and the tools
	@$(RUN) tests.bench.site
	@$(RUN) tests.bench.check_model
	@$(RUN) tests.bench.monitor pytorch
	@$(RUN) tests.bench.monitor keras

lighthouse: environment ## ask Lighthouse about every page, as a phone, beside stock Material on the same text; PAGES and RUNS choose
	@$(RUN) tests.bench.lighthouse $(if $(RUNS),--runs $(RUNS)) $(if $(PAGES),--pages $(PAGES))

zoo: environment ## check some 200 models of real libraries, in an environment of their own; write the tables of the page
	@$(RUN) tests.zoo.environment
	@HF_HUB_OFFLINE=1 .cache/zoo/bin/python -m tests.zoo.pytorch
	@TF_CPP_MIN_LOG_LEVEL=3 .cache/zoo/bin/python -m tests.zoo.keras

clean: ## remove all that the build made; the environment stays
	@rm -rf site book offline .cache docs/figures docs/downloads docs/fonts/katex docs/assets docs/overrides/made \
	    docs/stylesheets/palette.css

# Any Python that runs can tell which one fits (f-strings shut out Python 2).
environment:
	@for python in python3 python3.13 python3.12 python3.11 python $(PYTHON); do \
	    if $$python -c "f''" 2>/dev/null; then exec $$python -I docs/hooks/environment.py $(PYTHON); fi; \
	done; \
	echo "Python 3.11, 3.12 or 3.13 is needed: https://www.python.org/downloads/" >&2; exit 1
