# One command each; `make study` and `make test` set up .venv by themselves. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup study test test-browser test-slow test-vllm test-cluster faults bench gpu-check ui lint hashes audit

PYTHON ?= python3
STUDY ?= quickstart
BIN := .venv/bin
READY := .venv/.installed
TORCH := $(shell grep '^torch==' requirements.lock)
export OMP_NUM_THREADS ?= 1
export PYTHONUTF8 := 1

help:
	@echo "make study          train, evaluate, compare and report a whole study: STUDY=$(STUDY) (name or path), SEEDS=0-4"
	@echo "make ui             browse the runs in MLflow: PORT=5000"
	@echo "make test           run the tests, but for those marked slow"
	@echo "make test-slow      run those: after a change of a method, the trainer or the grader"
	@echo "make test-browser   look at the report and at MLflow of the study smoke in a headless Chromium (installs it on Debian or Ubuntu)"
	@echo "make test-vllm      run the tests of the vLLM engines in .venv-vllm, which make test skips (3 GB, once)"
	@echo "make test-cluster   run a study on a Slurm of this machine (installs Slurm; Debian or Ubuntu)"
	@echo "make faults         kill, starve and lie to every stage of a study (10 minutes)"
	@echo "make bench          measure speed and memory"
	@echo "make gpu-check      what a GPU does in 8 minutes: PYTHON=python3 with CUDA torch; needs no setup"
	@echo "make lint           ruff, mypy and snakemake --lint"
	@echo "make setup          only install into .venv"

setup: $(READY)

# Every file is compared with its hash but torch's: which build of torch is right depends on the machine (CPU or CUDA),
# comes from the index or a folder that pip is told, and has other bytes under the same version.
$(READY): requirements.lock requirements.hashes pyproject.toml
	@echo "setup: installing the exact versions of requirements.lock into .venv (2.5 GB, some minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setup: 1 of 3, $(TORCH)"
	@$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH)
	@echo "setup: 2 of 3, $$(grep -c == requirements.lock) packages"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.hashes
	@echo "setup: 3 of 3, entrobench itself"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

study: $(READY)
	@$(BIN)/entrobench run $(STUDY) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(CHANGED),--changed $(CHANGED)) \
	  $(if $(PACKED),--packed $(PACKED))

test: $(READY)
	$(BIN)/pytest -n 2 -m "not slow"

# Every method and preset under every setting, 20,000 wrong neighbours of right answers, a stand-in for Kubernetes, …
test-slow: $(READY)
	$(BIN)/pytest -n 2 -m slow

# Chromium is the distribution's; where it cannot be installed these tests are skipped, and say so. axe-core needs npm.
test-browser: $(READY)
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || true
	@command -v npm >/dev/null && npm ci --silent --prefix tests/browser || true
	@$(BIN)/snakemake --config study=smoke
	$(BIN)/pytest tests/browser

# vLLM 0.32 needs another transformers than ours, so it has an environment of its own. The lock leaves out torchvision,
# torchaudio and torchcodec, which vLLM's CPU build names but whose builds are for CUDA: with them, it cannot be imported.
VLLM := .venv-vllm
test-vllm: $(VLLM)/.installed
	$(VLLM)/bin/pytest tests/with_vllm

$(VLLM)/.installed: requirements-vllm.lock pyproject.toml
	@echo "test-vllm: installing the exact versions of requirements-vllm.lock into $(VLLM) (some minutes, once)"
	@test -x $(VLLM)/bin/python || $(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/pip install --quiet --disable-pip-version-check $(TORCH)
	@$(VLLM)/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements-vllm.lock
	@$(VLLM)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

test-cluster: $(READY)
	BIN=$(CURDIR)/$(BIN) tests/cluster/slurm.sh

# 60 kills, power losses and full disks over all stages, and 10,000 hostile answers: docs/reliability.md
faults: $(READY)
	$(BIN)/python tests/faults/campaign.py

bench: $(READY)
	@set -e; for file in $(filter-out speed/gpu_check.py,$(wildcard speed/*.py)); do echo "== $$file"; $(BIN)/python $$file; done

# With a python of the user's: the package is put together from links, for its parts lie in folders of other names.
SOURCES := results/benchmarks/gpu/sources
gpu-check:
	@rm -rf $(SOURCES) && mkdir -p $(SOURCES)/entrobench
	@ln -s $(filter-out %__pycache__,$(wildcard $(CURDIR)/entrobench/*)) $(CURDIR)/methods $(CURDIR)/evaluation $(SOURCES)/entrobench/
	PYTHONPATH=$(abspath $(SOURCES)) $(PYTHON) speed/gpu_check.py $(OPTIONS)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/snakemake --lint

# After a change of requirements.lock; both need the network and a tool that is not in the lock.
hashes:
	{ sed -n 1,2p requirements.hashes; grep -v -e '^#' -e '^torch==' requirements.lock | \
	  uv pip compile - --no-deps --generate-hashes --no-annotate --no-header --quiet --python-version 3.11; } > requirements.new
	mv requirements.new requirements.hashes
	$(BIN)/python tests/support/licences.py > docs/licences.md

# --strict: a package that the vulnerability service does not know, or does not answer for, is an error and no pass.
audit:
	pip-audit --strict --no-deps --disable-pip --require-hashes -r requirements.hashes

PORT ?= 5000
ui: $(READY)
	@$(BIN)/entrobench ui --port $(PORT)
