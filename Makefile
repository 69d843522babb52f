.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NAMED_CLUSTER := $(KUBECONFIG)
export KUBECONFIG ?= $(CURDIR)/.cluster/kubeconfig

##@ Develop
venv: $(VENV)/.installed  ## Make .venv with the exact versions of requirements-dev.lock
$(VENV)/.installed: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "venv: installing the packages of requirements-dev.lock into $(VENV), about 2 min"
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . && touch $@

fmt: venv  ## Format code and sort imports
	$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

lint: venv  ## Check style, types, layers, sizes and generated files
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/python tools/sizes.py && $(MAKE) --no-print-directory check-generated

crds: venv  ## Generate crds/, the chart's copy and dashboard, docs/reference and the docs' diagrams
	$(BIN)/python -m graflow.api.crd
	$(BIN)/python -m graflow.cli.reference
	$(BIN)/python -m graflow_operator.metrics_page
	$(BIN)/python tools/dashboard.py
	$(BIN)/python tools/state_diagram.py

check-generated: venv  ## Fail if a generated file is out of date
	$(BIN)/python -m graflow.api.crd --check
	$(BIN)/python -m graflow.cli.reference --check
	$(BIN)/python -m graflow_operator.metrics_page --check
	$(BIN)/python tools/dashboard.py --check
	$(BIN)/python tools/state_diagram.py --check

lock: venv  ## Choose the newest versions that pyproject.toml allows
	$(BIN)/python tools/lock.py

##@ Test
test: lint test-unit test-e2e  ## Everything, on a real cluster too

# pytest-timeout's exception can end in a task that nobody awaits, or be taken by Hypothesis for a
# failure to shrink; then faulthandler ends the worker, and pytest names the test.
test-unit: venv  ## Unit, property, golden and docs tests; no cluster, some minutes
	$(BIN)/pytest --numprocesses 2 -o faulthandler_timeout=300 -o faulthandler_exit_on_timeout=true

test-e2e: install prometheus fake-nodes  ## The chart, and programs as pods, each compared with its local run
	$(BIN)/pytest tests/chart tests/e2e $(if $(NAMED_CLUSTER),-m "not own_cluster")

crash-points: venv  ## Stop the operator at every point of every example, in memory; write what came of it
	$(BIN)/python tests/chaos/crash_points.py --page

golden: venv  ## Rewrite golden files; review the diff
	$(BIN)/pytest tests/golden --update-golden

provoked: install  ## Rewrite the page of provoked faults from what is seen; review the diff
	$(BIN)/pytest tests/e2e/test_faults_provoked.py --update-provoked

faults: install  ## Two hundred faults drawn by lot while the examples run
	GRAFLOW_FAULTS=200 $(BIN)/pytest tests/e2e/test_random_faults.py

chaos: install  ## Operator, API server, store and pods die for ten minutes, under fifty runs and more
	GRAFLOW_CHAOS_SECONDS=600 GRAFLOW_CHAOS_RUNS=50 $(BIN)/pytest -s tests/e2e/test_chaos.py

bench: install  ## Seconds a hop, API writes a task; a table and .bench/latest.json
	$(BIN)/python tools/bench.py

waiting: install  ## What a thousand runs cost that wait for people; a table and .bench/waiting.json
	PYTHONPATH=tests $(BIN)/python tools/waiting.py

scale: install  ## What runs of 100 and 1 000 steps cost: operator, store, etcd; a table and .bench/scale.json
	PYTHONPATH=tests $(BIN)/python tools/scale.py

##@ Run
cluster:  ## A whole Kubernetes and an S3 server on this machine; the first time builds them
	KUBECONFIG=$(NAMED_CLUSTER) $(PYTHON) tools/cluster/cluster.py up

prometheus:  ## Debian's Prometheus for the tests, unpacked, not installed
	$(PYTHON) tools/cluster/cluster.py prometheus

cluster-down:  ## Stop what `make cluster` started, and nothing else
	$(PYTHON) tools/cluster/cluster.py down

fake-nodes: cluster  ## Let kwok answer for the nodes that tests make up; the first time builds it
	KUBECONFIG=$(NAMED_CLUSTER) $(PYTHON) tools/cluster/cluster.py fake-nodes

images: cluster  ## Build the operator's and the runner's image and give them to the cluster
	KUBECONFIG=$(NAMED_CLUSTER) $(PYTHON) tools/images.py load

install: venv images  ## Install the chart into the cluster
	$(BIN)/python tools/install.py

demo: forecast install  ## From nothing to the first program's result, printed by a pod
	$(BIN)/python tools/demo.py

forecast:
	@NAMED_CLUSTER=$(NAMED_CLUSTER) $(PYTHON) tools/forecast.py

##@ General
help:  ## Show this list
	@awk 'BEGIN {FS = ":.*  ## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*  ## / {sub(/:.*/, "", $$1); printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: $(shell awk -F: '/^[a-z0-9-]+:/ {print $$1}' $(firstword $(MAKEFILE_LIST)))
