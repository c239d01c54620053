# The commands of this project; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
FROM_LOCK := --require-hashes --no-build-isolation -r requirements.lock
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.12 \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade)
SECONDS :=
ARGS :=

.PHONY: help install demo run test test-unit test-integration test-cov lint ruff format audit docs screenshots bench soak faults fuzz sample lock lock-kafka bench-lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^## / {printf "\n%s:\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)
	@echo; echo "Everything else: $(BIN)/tradeflow --help"

## Run

install: $(INSTALLED) ## Set everything up in .venv (the others do so themselves)

demo: $(INSTALLED) ## Kafka, simulated exchanges, a worker (SECONDS=30 ends it)
	@exec $(BIN)/tradeflow demo $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

run: $(INSTALLED) ## The same on the real exchanges; orders stay on paper
	@exec $(BIN)/tradeflow run $(ARGS)

## Test

test: $(INSTALLED) ## Run all tests, on a real Kafka (ARGS="-k book" selects)
	@exec $(BIN)/pytest --numprocesses 2 --dist loadfile $(ARGS)

test-unit: $(INSTALLED) ## Run the tests that need no Kafka
	@exec $(BIN)/pytest tests/unit $(ARGS)

test-integration: $(INSTALLED) ## Run those on a real Kafka that kill no process
	@exec $(BIN)/pytest tests/integration $(ARGS)

test-cov: $(INSTALLED) ## Run all tests, and show which lines none reaches
	@exec $(BIN)/pytest --cov=tradeflow --cov=tables --cov-report=term-missing:skip-covered $(ARGS)

## Check and write

lint: $(INSTALLED) ## Check style, types and which module may import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

ruff: $(INSTALLED) ## Check style only
	$(BIN)/ruff check

format: $(INSTALLED) ## Format, and repair what can be repaired by itself
	$(BIN)/ruff check --fix --exit-zero
	$(BIN)/ruff format

audit: ## Look for known vulnerabilities of the locked packages
	@pip_audit=$$(PATH="$(BIN):$$PATH" command -v pip-audit) || { echo "make audit needs pip-audit: pipx install pip-audit"; exit 1; }; \
	exec "$$pip_audit" --strict --disable-pip --require-hashes -r requirements.lock -r requirements-build.lock

docs: $(INSTALLED) ## Write docs/reference and .env.example from the code
	@exec $(BIN)/python -m scripts.reference

screenshots: $(INSTALLED) ## Make docs/images anew (needs Chromium)
	@exec $(BIN)/python -m scripts.screenshots

## Measure and break

bench: $(INSTALLED) ## Measure throughput and latency, next to others
	@exec $(BIN)/python -m bench $(ARGS)

faults: $(INSTALLED) ## Break the system in every way (ARGS="--only broker")
	@exec $(BIN)/python -m tests.faults.lab --write $(ARGS)

soak: $(INSTALLED) ## Does memory stay under load? (ARGS="--minutes 10")
	@exec $(BIN)/python -m tests.faults.soak $(ARGS)

fuzz: $(INSTALLED) ## Malformed frames through the feeds (ARGS="--seed 3")
	@exec $(BIN)/python -m tests.fuzz $(ARGS)

sample: $(INSTALLED) ## Write the sample recording anew: always the same bytes
	@exec $(BIN)/python -m tradeflow.simulator.paper_log docs/examples/sample.rec $(ARGS)

## Packages

lock: $(INSTALLED) ## Lock the Python packages (UPGRADE=1: the newest ones)
	$(COMPILE) --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) --group build -o requirements-build.lock

bench-lock: $(INSTALLED) ## Lock the packages of the benchmarks' other contestants
	for file in bench/*/requirements.in; do $(COMPILE) $$file -o $${file%.in}.lock; done

lock-kafka: $(INSTALLED) ## Lock the jars of the Kafka that kafka/jars.py names
	$(BIN)/python -c 'from tradeflow.kafka.jars import resolve_jars; print(resolve_jars(), end="")' > $(VENV)/jars.sha256
	mv $(VENV)/jars.sha256 tradeflow/kafka/jars.sha256

clean: ## Remove .venv and the tools' caches; data stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov dist build
	find tradeflow tables tests bench -name __pycache__ -prune -exec rm -rf {} +

# Every package is checked against its hash, those that build others included: hence no build isolation.
# uv takes a third of pip's time; where it can't reach its index (a mirror known to pip only), pip goes on.
$(INSTALLED): requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) (once; a minute or two)"
	@$(PIP) install --quiet --require-hashes --only-binary :all: -r requirements-build.lock
	@$(BIN)/uv pip install --python $(VENV) --compile-bytecode $(FROM_LOCK) || $(PIP) install $(FROM_LOCK) \
		|| { scripts/compiler-hint $(BIN)/python; exit 1; }
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/tradeflow kafka --fetch-only
	@touch $@

$(BIN)/python:
	@python=$$(PYTHON="$(PYTHON)" scripts/find-python); \
	echo "Setting up $(VENV) with $$("$$python" --version) ($$python)"; \
	"$$python" -m venv --clear $(VENV)
