# Everything a machine needs to run, test and measure Coffer. Each target installs what it lacks first.
# `make demo` is the way in; `make help` lists the rest.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
LOADED := $(VENV)/loaded
PYTEST := $(BIN)/python -m pytest
IN_MEMORY := sh tests/in_memory.sh
QUICK  := -n 6 --dist loadgroup -m "not deep and not crash and not bench and not deploy and not api"

# Hundreds of processes are started: none compiles what another has compiled.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help system demo up down test test-deep test-loaded test-crash test-api test-localstack test-localstack-all test-deploy test-image coverage wheel docs swarm mutate bench load lint format lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

system:
	@PYTHON=$(PYTHON) sh infra/local/install-system.sh

$(READY): requirements-dev.txt pyproject.toml | system
	@echo "Installing the Python packages into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --config-settings editable_mode=compat --editable .
	@touch $@

demo: system $(READY) ## Bring the stack up, make a MariaDB instance, use it, delete it, tear down
	@$(BIN)/coffer demo

up: system $(READY) ## Bring the local stack up
	@$(BIN)/coffer up

down: ## Stop the local stack
	@if [ -x $(BIN)/coffer ]; then $(BIN)/coffer down; else echo "Nothing is installed here."; fi

# Each worker would compile the tests by itself, all at the same time.
$(LOADED): $(READY)
	@$(PYTEST) --collect-only -qq tests >/dev/null || true  # what does not load, the tests tell
	@touch $@

test: system $(READY) $(LOADED) ## The quick tiers of the tests
	@$(IN_MEMORY) $(PYTEST) $(QUICK) tests

test-deep: system $(READY) $(LOADED) ## The long ones: faults, deaths and saboteurs in many runs in virtual time
	@$(PYTEST) -n 2 -m deep tests

test-loaded: system $(READY) ## The tests that start processes, twenty times beside two busy loops
	@$(BIN)/python -m tests.loaded

test-crash: system $(READY) ## Kill the control plane at every effect, guests in the middle of operations (hours)
	@$(PYTEST) -m crash tests

test-api: system $(READY) ## Explore the API by its OpenAPI document at length, in process and on a running stack
	@COFFER_API_EXAMPLES=20 $(PYTEST) -m api tests

.PHONY: test-hostile test-postgresql test-mysql
test-mysql: system $(READY) ## MySQL 9.7, of Debian unstable, in a folder of its own: the manager's contract
	@$(BIN)/python -m tests.mysql

test-postgresql: system $(READY) ## PostgreSQL 16 and 18, from PyPI: the manager's contract, and the rule files
	@$(BIN)/python -m tests.postgresql

test-hostile: system $(READY) ## Hostile names, passwords, hosts and encodings on the real engines, at length
	@COFFER_HOSTILE_EXAMPLES=200 $(PYTEST) tests/guest_agent/datastores/test_hostile.py

# What of the acceptance tests fits into ten minutes; a community LocalStack enforces no IAM.
ON_LOCALSTACK := $(addprefix tests/acceptance/test_,path.py bus.py races.py requests.py)
SLOW_ON_LOCALSTACK := $(addprefix tests/acceptance/test_,clients.py kills.py secrets.py rebuild.py upgrade.py migrate.py postgresql.py redis.py backups.py point_in_time.py)
LOCALSTACK_TESTS := $(PYTEST) -m "not bench and not crash and not api" -k "not credentials_open_no_queue" --timeout 900
test-localstack: system $(READY) ## On LocalStack: coffer deploy and back, fake guests, real databases, attacks on the bus (AWS_ENDPOINT_URL names yours)
	@COFFER_WIRE_EXAMPLES=5 sh infra/local/localstack.sh \
	    sh -ec '$(LOCALSTACK_TESTS) tests/wire; $(LOCALSTACK_TESTS) $(ON_LOCALSTACK)'

test-localstack-all: test-localstack ## The other acceptance tests on LocalStack, too: clients, kills, rebuilds, upgrades, migrations, each engine, backups
	@sh infra/local/localstack.sh $(LOCALSTACK_TESTS) $(SLOW_ON_LOCALSTACK)

test-deploy: system $(READY) ## coffer deploy from an empty folder, a database on it, rollback, undeploy; on MiniStack
	@$(PYTEST) -m deploy -s --timeout 1500 tests/wire

coverage: system $(READY) ## What the quick tests reach, line by line: .cache/coverage/html
	@$(IN_MEMORY) $(PYTEST) $(QUICK) --timeout 900 --cov --cov-report term:skip-covered --cov-report html tests

wheel: $(READY) ## Build the wheel into dist/, and try it in an environment of its own
	@rm -rf dist build .cache/wheel
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --wheel-dir dist .
	@$(PYTHON) -m venv .cache/wheel
	@.cache/wheel/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint requirements-dev.txt dist/*.whl
	@cd .cache/wheel && bin/coffer --help >/dev/null && XDG_CACHE_HOME=$$PWD bin/python -P -m infra.package
	@rm -rf build .cache/wheel
	@ls dist/*.whl

swarm: $(READY) ## Run the simulator's chaos under 500 seeds
	@$(BIN)/coffer swarm chaos --seeds 500

.PHONY: month
month: $(READY) ## A month of hourly backups of 200 simulated guests under faults, 25 at a time (hours; goes on where it was left)
	@mkdir -p .cache
	@$(BIN)/coffer swarm month --seeds 8 --json .cache/month.jsonl --resume

mutate: system $(READY) ## Change the shipped code in 200 small ways: do the tests and the swarm notice?
	@$(BIN)/python -m tests.mutation --sample 200

# Of the acceptance tests those that ask nothing of the local cloud's test controls but what
# tests/openstack/stack.py can do to a real one, and what the cloud is relied on for. Not those in
# which functions of the deployment die.
REAL := $(addprefix tests/acceptance/test_,on_openstack.py path.py clients.py swift.py snapshots.py rebuild.py upgrade.py migrate.py) tests/cloud/contract tests/wire/test_deploy.py
.PHONY: test-openstack
test-openstack: system $(READY) ## Bring a real OpenStack up from PyPI (no Docker); the acceptance tests on it
	@sh tests/openstack/install-system.sh
	@$(BIN)/python -m tests.openstack $(PYTEST) -m "not bench and not deaths" --timeout 1800 $(REAL)

.PHONY: test-tempest test-tempest-openstack
test-tempest: system $(READY) ## OpenStack's own acceptance tests for Trove, unmodified, on the local stack
	@COFFER_TEMPEST=1 $(PYTEST) tests/acceptance/test_tempest.py

test-tempest-openstack: system $(READY) ## The same on a real OpenStack, as `make test-openstack` brings it up
	@sh tests/openstack/install-system.sh
	@COFFER_TEMPEST=1 $(BIN)/python -m tests.openstack $(PYTEST) tests/acceptance/test_tempest.py

bench: system $(READY) ## Measure: bring-up, latency, calls and their price, cold starts, backups
	@$(PYTEST) -m bench -s --timeout 0 tests --ignore tests/wire

test-image: $(READY) ## Build the guest image and boot it with QEMU (root): each engine, each bus, upgrades of the agent, power cuts
	@$(BIN)/python -m tests.image

load: system $(READY) ## Bursts and misbehaving neighbours on running stacks: time, memory, what others notice
	@$(PYTEST) -m bench -s --timeout 0 tests/wire/test_load.py

docs: $(READY) ## Build the documentation's site, strictly, with the API's reference
	@$(BIN)/python -m infra.package.docs

lint: $(READY) ## Style, types, the arrows between packages, the CloudFormation template, the workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m infra.package.lint

format: $(READY) ## Format the sources
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: ## Choose the newest versions that requirements-dev.in allows
	@rm -rf .cache/lock && $(PYTHON) -m venv .cache/lock
	@.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.in
	@sed -n '/^#/p' requirements-dev.txt > .cache/requirements-dev.txt
	@.cache/lock/bin/python -m pip list --format=freeze --exclude pip >> .cache/requirements-dev.txt
	@mv .cache/requirements-dev.txt requirements-dev.txt && rm -rf .cache/lock

clean: down ## Remove what the targets have made
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
