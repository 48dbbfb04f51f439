# Every target sets up .venv first, when it is missing or out of date (tools/setup_env.py).
VENV  ?= .venv
BIN   := $(VENV)/bin
EXTRA ?=
WHEELS ?=

# One marker per part of the environment: core, test, lint, or an extra. The script is also asked
# when the clone was moved, when its interpreter changed, or when PY is given.
ifneq ($(file <$(VENV)/.made-at),$(CURDIR) $(realpath $(BIN)/python))
ASK := ask
endif
ifneq ($(origin PY),undefined)
ASK := ask
endif
# Without PY, the interpreter that made .venv stays the one in use.
PY ?= $(shell $(BIN)/python -c 'import sys; print(sys._base_executable)' 2>/dev/null || echo python3)

CORE := $(VENV)/.ready-core $(EXTRA:%=$(VENV)/.ready-%)
TEST := $(CORE) $(VENV)/.ready-test
LINT := $(CORE) $(VENV)/.ready-lint
DOCS := $(CORE) $(VENV)/.ready-docs

# Compiled programs are kept from run to run. They hold machine code, hence the processor's flags in
# the name; the lowest time is set because JAX keeps nothing that compiles in less than a second.
CPU  := $(firstword $(shell grep -m1 -E '^(flags|Features)' /proc/cpuinfo 2>/dev/null | cksum))
JAXLIB = $(notdir $(wildcard $(VENV)/lib/python*/site-packages/jaxlib-*.dist-info))
KEEP = JAX_COMPILATION_CACHE_DIR="$(CURDIR)/.cache/jax/$(notdir $(realpath $(BIN)/python))-$(JAXLIB:.dist-info=)-$(CPU)" \
       JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.1
JAX = $(KEEP) $(if $(findstring cuda,$(EXTRA)),,JAX_PLATFORMS=cpu)

.DEFAULT_GOAL := help
.PHONY: ask help tour test test-slow lint format docs docs-serve bench lock clean

help:  ## print this
	@sed -n 's/^\([a-z-]*\):.*##/\1 /p' Makefile | while read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done
	@echo
	@echo '  PY=python3.12   the interpreter to set up with     EXTRA=cuda12   an extra of pyproject.toml'
	@echo '  WHEELS=folder   install from wheels, no network    ARGS="-k name" more arguments for pytest'

tour: $(CORE)  ## the library in some minutes, with a report at the end
	@$(JAX) $(BIN)/python -m infsup.tour

test: $(TEST)  ## the tests, without the slow ones
	@$(JAX) $(BIN)/python -m pytest -n 2 -m "not slow" --durations=10 $(ARGS)

test-slow: $(TEST)  ## the slow tests
	@$(JAX) $(BIN)/python -m pytest -n 2 -m slow --durations=10 $(ARGS)

lint: $(LINT)  ## ruff and pyright, changing nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python

format: $(LINT)  ## ruff's formatter and its safe corrections
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

# Not with -q: then dead links would not fail it.
MKDOCS = NO_MKDOCS_2_WARNING=1 PYTHONPATH=tools $(BIN)/python -m mkdocs
docs: $(DOCS)  ## the site, into site/; nothing in it comes from outside
	@$(JAX) PYTHONPATH=tools $(BIN)/python tools/make_docs.py
	@$(MKDOCS) build --strict

docs-serve: docs  ## the site at http://127.0.0.1:8000, where search works
	@$(BIN)/python -m http.server --directory site --bind 127.0.0.1 8000

bench: $(CORE)  ## the benchmarks, or one: make bench NAME=...
	@$(BIN)/infsup bench $(NAME)

lock:  ## rebuild constraints-3.11.txt from an empty environment
	@$(PY) tools/setup_env.py --lock

clean:  ## remove the environment and all caches
	@rm -rf "$(VENV)" .cache .pytest_cache .ruff_cache .hypothesis dist
	@find src tests tools -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.ready-%: pyproject.toml tools/setup_env.py $(wildcard constraints-*.txt) $(ASK)
	@$(PY) tools/setup_env.py --venv "$(VENV)" --part $* $(if $(WHEELS),--wheels "$(WHEELS)")
