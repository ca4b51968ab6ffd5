# What a newcomer types; `make` alone lists it. Everything installed goes into .venv.

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done)
INSTALL := $(BIN)/python -m pip install --quiet
UV ?= uv
LOCK := $(UV) pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes --no-header --no-annotate

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo test soak check bench screenshots setup lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    sample applications travel to a live meter; EXIT=1 leaves when all have ended'
	@echo 'make test    every test'
	@echo 'make soak    200 bundles whose agencies fail in every way'
	@echo 'make check   lint, format, types, and whether each rule has a test'
	@echo 'make bench   cases per second against the bare engine'
	@echo 'make screenshots   docs/screenshots anew, from a demonstration'
	@echo 'make setup   only install, into .venv'
	@echo 'make lock    lock the dependencies anew (needs uv)'
	@echo 'make clean   remove .venv, caches and the demonstration'

demo: $(VENV)/runtime.stamp
	@$(BIN)/onewindow demo $(if $(filter-out 0,$(EXIT)),--exit)

test: setup
	@$(BIN)/python -m pytest -n 2

soak: setup
	@ONEWINDOW_SOAK_BUNDLES=200 $(BIN)/python -m pytest tests/system/test_faulty_agencies.py

check: setup
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/python -m tests.rule_gate

bench: setup
	@$(BIN)/python -m bench

screenshots: setup
	@$(BIN)/python -m tests.console.screenshots

setup: $(VENV)/runtime.stamp $(VENV)/dev.stamp

# A stamp is written last, so what was interrupted is done again.
$(VENV)/venv.stamp:
	@test -n '$(PYTHON)' || \
		{ echo 'Python 3.11 or newer is missing; on Debian 12: apt-get install python3-venv' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo '$(PYTHON) lacks venv; on Debian 12: apt-get install python3-venv' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/runtime.stamp: requirements/runtime.txt pyproject.toml | $(VENV)/venv.stamp
	@echo 'Installing what requirements/runtime.txt locks into $(VENV) ...'
	@$(INSTALL) --require-hashes -r requirements/runtime.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt | $(VENV)/runtime.stamp
	@echo 'Installing what requirements/dev.txt locks into $(VENV) ...'
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

lock:
	@$(LOCK) requirements/runtime.in -o requirements/runtime.txt
	@$(LOCK) requirements/dev.in -o requirements/dev.txt

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info build var/demo
