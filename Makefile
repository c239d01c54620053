# The commands of this project; `make` alone lists them, by the groups that `##@` begins.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
FROM_LOCK := --no-deps --require-hashes --no-build-isolation -r requirements.lock
COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.12 \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header $(if $(UPGRADE),--upgrade)
COMPOSE := docker compose
SECONDS :=
ARGS :=
PROFILE :=
SERVICE :=

.PHONY: help install demo run test test-unit test-integration test-performance test-cov bench faults soak fuzz \
	lint ruff format docs screenshots sample docker-up docker-down logs kafka-topics kafka-list-topics \
	start-redpanda stop-redpanda lock req lock-kafka bench-lock audit clean

##@ To begin with

help: ## List the commands
	@awk -F ':.*## ' '/^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' \
		$(firstword $(MAKEFILE_LIST))
	@printf '\nEverything else: $(BIN)/tradeflow --help\n'

install: $(INSTALLED) ## Set everything up in .venv (the others do so, too)

req: install ## The same

demo: $(INSTALLED) ## All of it, on simulated exchanges (SECONDS=30 ends it)
	@exec $(BIN)/tradeflow demo $(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

run: $(INSTALLED) ## The same on the real exchanges; orders stay on paper
	@exec $(BIN)/tradeflow run $(ARGS)

##@ Tests

test: $(INSTALLED) ## Run all tests, on a real Kafka (ARGS="-k book")
	@missing=$$(scripts/missing-tools); [ -z "$$missing" ] \
		|| echo "Tests that need these are skipped, for they aren't here: apt install" $$missing
	@exec $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-unit: $(INSTALLED) ## Run the tests that need no Kafka
	@exec $(BIN)/pytest tests/unit $(ARGS)

test-integration: $(INSTALLED) ## Run those on a real Kafka that kill no process
	@exec $(BIN)/pytest tests/integration $(ARGS)

test-performance: $(INSTALLED) ## Run the tests that measure ratios of speed
	@exec $(BIN)/pytest tests/performance $(ARGS)

test-cov: $(INSTALLED) ## Run all tests, and show which lines none reaches
	@exec $(BIN)/pytest --cov=tradeflow --cov=tables --cov-report=term-missing:skip-covered $(ARGS)

bench: $(INSTALLED) ## Measure throughput and latency, next to others
	@exec $(BIN)/python -m bench $(ARGS)

faults: $(INSTALLED) ## Break the system in every way (ARGS="--only broker")
	@exec $(BIN)/python -m tests.faults.lab --write $(ARGS)

soak: $(INSTALLED) ## Does memory stay under load? (ARGS="--minutes 10")
	@exec $(BIN)/python -m tests.faults.soak $(ARGS)

fuzz: $(INSTALLED) ## Malformed frames through the feeds (ARGS="--seed 3")
	@exec $(BIN)/python -m tests.fuzz $(ARGS)

##@ Code and documents

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

docs: $(INSTALLED) ## Write docs/reference and .env.example from the code
	@exec $(BIN)/python -m scripts.reference

screenshots: $(INSTALLED) ## Make docs/images anew (needs Chromium)
	@exec $(BIN)/python -m scripts.screenshots

sample: $(INSTALLED) ## Write the sample recording anew: always the same bytes
	@exec $(BIN)/python -m tradeflow.simulator.paper_log docs/examples/sample.rec $(ARGS)

##@ Docker and Kafka (docs/deployment.md)

docker-up: ## All in containers (PROFILE=console: with a console)
	$(COMPOSE) $(addprefix --profile ,$(PROFILE)) up --detach --build --wait

docker-down: ## End the containers; what they keep stays
	$(COMPOSE) --profile '*' down

logs: ## Follow their logs (SERVICE=worker: only those)
	$(COMPOSE) --profile '*' logs --follow --tail 100 $(SERVICE)

kafka-topics: $(INSTALLED) ## Make the topics missing at KAFKA_BROKERS
	@exec $(BIN)/python -m scripts.topics declare

kafka-list-topics: $(INSTALLED) ## List the topics at KAFKA_BROKERS
	@exec $(BIN)/python -m scripts.topics list

start-redpanda: ## A Redpanda instead of Kafka, on localhost:19092
	$(COMPOSE) up --detach --wait redpanda

stop-redpanda: ## End it; its topics stay
	$(COMPOSE) stop redpanda

##@ Packages

lock: $(INSTALLED) ## Lock the Python packages (UPGRADE=1: the newest ones)
	$(COMPILE) --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) --group build -o requirements-build.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml -o requirements-image.lock

bench-lock: $(INSTALLED) ## Lock the packages of the benchmarks' contestants
	for file in bench/*/requirements.in; do $(COMPILE) $$file -o $${file%.in}.lock; done

lock-kafka: $(INSTALLED) ## Lock the jars of the Kafka that kafka/jars.py names
	$(BIN)/python -c 'from tradeflow.kafka.jars import resolve_jars; print(resolve_jars(), end="")' > $(VENV)/jars.sha256
	mv $(VENV)/jars.sha256 tradeflow/kafka/jars.sha256

audit: ## Look for known vulnerabilities of the locked packages
	@pip_audit=$$(PATH="$(BIN):$$PATH" command -v pip-audit) || { echo "make audit needs pip-audit: pipx install pip-audit"; exit 1; }; \
	exec "$$pip_audit" --strict --disable-pip --require-hashes -r requirements.lock -r requirements-build.lock

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
