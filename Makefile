# RegioHub. `make` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
MEMBERS := shared services/booking services/access services/billing gateway deploy/local
SOURCES := $(addsuffix /src,$(MEMBERS))
VENDOR := gateway/src/regiohub_gateway/web/static/vendor
PYTEST := $(PY) -m pytest
# Layers whose tests share nothing but the machine run on every core; the others share one house, browser or Keycloak.
JOBS ?= $(shell nproc)
SPREAD = -n $(JOBS) --dist worksteal
T ?=

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@echo "Python environment: installing from requirements.lock …"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

$(VENDOR)/.ready: $(VENV)/.ready package-lock.json
	@echo "Front-end packages: installing from package-lock.json …"
	@$(PY) -m regiohub_gateway.vendor
	@touch $@

##@ Use
.PHONY: run stop demo
run: $(VENV)/.ready $(VENDOR)/.ready ## Start the whole house on this machine and print its address
	@$(PY) -m regiohub_local run
stop: ## Stop everything that `make run` started
	@if [ -x $(PY) ]; then $(PY) -m regiohub_local stop; else echo "Nothing is running."; fi
demo: $(VENV)/.ready $(VENDOR)/.ready ## Play the whole story without a browser, then stop
	@$(PY) -m regiohub_local demo

.PHONY: backup restore doctor
TO ?=
FROM ?=
NUMBERS ?=
ONLY ?=
backup: $(VENV)/.ready ## Write every database into a folder, while the house works: make backup [TO=folder]
	@$(PY) -m regiohub_local backup $(if $(TO),--to "$(TO)")
restore: $(VENV)/.ready ## Go back to a backup and reconcile: make restore FROM=folder [ONLY=booking] [NUMBERS="town:R-2026-000012 …"]
	@$(PY) -m regiohub_local restore $(if $(FROM),--from "$(FROM)") \
		$(foreach name,$(ONLY),--only $(name)) $(foreach number,$(NUMBERS),--last-number "$(number)")
doctor: $(VENV)/.ready ## Examine every database, compare them with each other and with Stripe
	@$(PY) -m regiohub_local doctor

##@ Prove
.PHONY: test unit service service-debian contract identity browser e2e chaos rolling bench elsewhere screenshots
test: unit service contract identity browser e2e ## Run the tests from unit to the whole house, none skipped
unit: $(VENV)/.ready ## Pure rules
	@$(PYTEST) tests/unit $(SPREAD) $(T)
service: $(VENV)/.ready $(VENDOR)/.ready ## One app each, on a real PostgreSQL
	@$(PYTEST) tests/service $(SPREAD) $(T)
DEBIAN_POSTGRES ?= /usr/lib/postgresql/15/bin
service-debian: $(VENV)/.ready $(VENDOR)/.ready ## The same on Debian's PostgreSQL 15 (package postgresql-15); T=tests/… chooses
	@REGIOHUB_POSTGRES_BIN=$(DEBIAN_POSTGRES) $(PYTEST) $(or $(T),tests/service) $(SPREAD)
contract: $(VENV)/.ready $(VENDOR)/.ready ## Each fact against its real receiver
	@$(PYTEST) tests/contract $(SPREAD) $(T)
identity: $(VENV)/.ready ## Against a real Keycloak
	@$(PYTEST) tests/identity $(T)
browser: $(VENV)/.ready $(VENDOR)/.ready ## Pages in a real Chromium
	@$(PYTEST) tests/browser $(T)
e2e: $(VENV)/.ready $(VENDOR)/.ready ## The whole house
	@$(PYTEST) tests/e2e $(T)
chaos: $(VENV)/.ready $(VENDOR)/.ready ## 1,000 bookings while everything is killed and cut; SEED=… repeats a run, T="--bookings 200" is shorter
	@$(PY) -m regiohub_local chaos $(if $(SEED),--seed $(SEED)) $(T)
bench: $(VENV)/.ready $(VENDOR)/.ready ## Measure everything in one run (ten minutes), into .run/bench.json and docs/performance.md; T="--seconds 3" is a quick look
	@$(PY) -m regiohub_local bench $(T)

rolling: $(VENV)/.ready $(VENDOR)/.ready ## Restart each of two replicas under 20 bookings a second; no request may fail
	@ROLLING_AT_LEAST=20 $(PYTEST) tests/e2e/test_rolling_restart.py -s $(T)
elsewhere: $(VENV)/.ready ## Play `make run` as a throw-away user, then again with no network but loopback (root)
	@$(PY) -m regiohub_local.elsewhere

screenshots: $(VENV)/.ready $(VENDOR)/.ready ## Every page × state × width × language as a picture, into .run/screenshots
	@REGIOHUB_NOW=$${REGIOHUB_NOW:-2027-03-09T09:40:00+01:00} $(PY) -m regiohub_local screenshots

##@ Check
.PHONY: lint types imports openapi openapi-check k8s k8s-lint images images-where-allowed
lint: $(VENV)/.ready ## ruff: rules and format
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
types: $(VENV)/.ready ## mypy, strict
	@$(VENV)/bin/mypy $(SOURCES)
imports: $(VENV)/.ready ## import-linter: who may import whom
	@$(VENV)/bin/lint-imports
openapi: $(VENV)/.ready ## Write the services' OpenAPI files
	@$(PY) -m regiohub_local.openapi
openapi-check: $(VENV)/.ready ## Say whether the committed OpenAPI files match the code
	@$(PY) -m regiohub_local.openapi --check

k8s: k8s-lint ## Render both overlays and check them, with planted faults
	@$(PYTEST) tests/deploy $(T)
k8s-lint: $(VENV)/.ready ## kube-score, checkov and the operators' schemas on both overlays
	@$(PY) -m tests.deploy.linters
images: $(VENV)/.ready $(VENDOR)/.ready ## Build the four images and start each as the cluster would (Debian, root)
	@deploy/images/build.sh
	@$(PYTEST) tests/images $(T)
images-where-allowed: ## The same; says so and goes on where the kernel refuses namespaces (3), and only there
	@deploy/images/build.sh --may-nest && exec $(MAKE) images || [ $$? = 3 ]

##@ Keep
.PHONY: format lock lock-check migrate revision seed realm clean ci
format: $(VENV)/.ready ## Format and mend what ruff can mend
	@$(VENV)/bin/ruff check --fix --quiet . || true
	@$(VENV)/bin/ruff format .
COMPILE = $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-package regiohub-shared --no-emit-package regiohub-access \
	--extra service pyproject.toml --group dev $(addsuffix /pyproject.toml,$(MEMBERS))
lock: $(VENV)/.ready ## Write requirements.lock from all members
	@$(COMPILE) -o requirements.lock
lock-check: $(VENV)/.ready ## Say whether requirements.lock matches the members
	@cp requirements.lock $(VENV)/lock && $(COMPILE) -o $(VENV)/lock && diff -q requirements.lock $(VENV)/lock > /dev/null \
		|| { echo "requirements.lock does not match the members: run make lock"; exit 1; }
migrate: $(VENV)/.ready ## Bring the local databases to the newest schema
	@$(PY) -m regiohub_local migrate
revision: $(VENV)/.ready ## Write the skeleton of a migration: make revision S=booking M="what it does"
	@$(PY) -m regiohub_local revision "$(S)" "$(M)"
seed: $(VENV)/.ready ## Put the demo region into the running house
	@$(PY) -m regiohub_local seed
realm: $(VENV)/.ready ## Write the realm with this house's secrets into .run, for a Keycloak of your own
	@$(PY) -m regiohub_local realm
clean: stop ## Remove what can be made again (environment, caches); the state in .run stays
	@rm -rf $(VENV) $(VENDOR) node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
ci: lock-check lint types imports openapi-check k8s images-where-allowed test ## What CI runs
