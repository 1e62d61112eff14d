# Two commands do everything: `make demo` runs the main job, `make test` passes the tests.

PYTHON ?= python3.11
VENV := .venv
UV := $(VENV)/bin/uv
LAPTOP := $(VENV)/.laptop
DEV := $(VENV)/.dev
BENCH := $(VENV)/.bench
SAM := .venv-sam/.installed
SCAN := .venv-scan/.installed
SAGEMAKER := .venv-sagemaker/.installed

# uv reads neither pip's configuration nor, by itself, the system's certificates: a machine behind a
# mirror or a proxy of its own has said both to pip already. Expanded only where it is used.
UV_NETWORK = $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),--system-certs) \
  $(addprefix --default-index=,$(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null)))
install_lock = $(UV) pip install --quiet $(UV_NETWORK) --python $(1)/bin/python --require-hashes --no-deps -r requirements/$(2).lock

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(UV): requirements/uv.lock
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements/uv.lock
	@touch $(UV)

# `uv pip install`, not `sync`: it leaves the development tools of an earlier `make test` alone.
$(LAPTOP): $(UV) requirements/laptop.lock pyproject.toml core/pyproject.toml
	$(call install_lock,$(VENV),laptop)
	$(UV) pip install --quiet $(UV_NETWORK) --python $(VENV)/bin/python --no-deps --no-build-isolation -e core -e .
	@touch $@

$(DEV): $(LAPTOP) requirements/dev.lock
	$(call install_lock,$(VENV),dev)
	@touch $@

$(BENCH): $(DEV) requirements/bench.lock
	$(call install_lock,$(VENV),bench)
	@touch $@

$(SAM): $(UV) requirements/sam.lock
	$(PYTHON) -m venv .venv-sam
	$(call install_lock,.venv-sam,sam)
	@touch $@

$(SAGEMAKER): $(UV) requirements/sagemaker.lock
	$(PYTHON) -m venv .venv-sagemaker
	$(call install_lock,.venv-sagemaker,sagemaker)
	@touch $@

$(SCAN): $(UV) requirements/scan.lock
	$(PYTHON) -m venv .venv-scan
	$(call install_lock,.venv-scan,scan)
	@touch $@

.PHONY: install
install: $(LAPTOP) ## Set up .venv with everything a laptop needs

.PHONY: demo
demo: install ## Screen the sample clip on the local stack, from upload to verdict
	$(VENV)/bin/screener packs pull --available
	$(VENV)/bin/screener run assets/sample.mp4 --out build/demo || [ $$? -le 3 ]

.PHONY: lint
lint: $(DEV) ## ruff and mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

.PHONY: template
template: $(DEV) $(SAM) $(SCAN) ## State machine check, cfn-lint, policy scan, sam validate --lint, sam build
	$(VENV)/bin/python -m local.asl_check statemachine/screening.asl.json template.yaml
	$(VENV)/bin/python -m local.asl_check statemachine/rejudging.asl.json template.yaml
	$(VENV)/bin/cfn-lint template.yaml endpoints/*.yaml operations/*.yaml network/*.yaml
	.venv-scan/bin/checkov --config-file .checkov.yaml
	SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam validate --lint --region us-east-1
	SAM_CLI_TELEMETRY=0 UV_NETWORK="$(UV_NETWORK)" .venv-sam/bin/sam build

# Each worker runs whole files, and a stack of its own for those that need one.
TEST_WORKERS ?= 2
.PHONY: test
test: lint template ## Everything: lint, template checks, all tests
	$(VENV)/bin/screener packs pull --available
	$(VENV)/bin/pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not alone"
	$(VENV)/bin/pytest -m "alone and not slow"

.PHONY: sagemaker-sdk
sagemaker-sdk: $(SAGEMAKER) ## Set up the SageMaker SDK, so that the tests also call endpoints with it

.PHONY: test-slow
test-slow: $(DEV) ## 200 videos under random faults, 50 uploads at once
	$(VENV)/bin/pytest -m slow

.PHONY: bench-overhead
bench-overhead: $(DEV) ## What the orchestration adds: seconds, transitions, invocations, S3 requests
	$(VENV)/bin/python -m bench.overhead

.PHONY: bench-long
bench-long: $(DEV) ## A 2-hour video through the local stack, with one and two instances per endpoint
	$(VENV)/bin/python -m bench.long_video

STAGES ?=
# Python of an environment with opennsfw2 and tensorflow-cpu, for the row of Keras on TensorFlow.
TENSORFLOW_PYTHON ?=
.PHONY: bench
bench: $(BENCH) ## Every stage against the obvious way, in one table (STAGES="faces clip" for some)
	$(VENV)/bin/python -W ignore -m bench $(STAGES) $(TENSORFLOW_PYTHON:%=--tensorflow-python %)

SERVERS := moderation faces transcription objects
.PHONY: images
images: ## Serving images with Docker buildx (VARIANT= for CPU instead of GPU, ARGS=--push)
	docker buildx bake --file docker-bake.hcl $(ARGS)

# What the CPU images will hold, without a container engine: their locks, their files, nothing else.
.PHONY: images-check
images-check: $(DEV) ## Lint the Dockerfiles; run the contract suite on what the CPU images hold
	$(VENV)/bin/hadolint $(SERVERS:%=model_servers/%/Dockerfile)
	for name in $(SERVERS); do \
	  folder=build/serving/$$name && rm -rf $$folder && mkdir -p $$folder/app/model_servers && \
	  $(UV) venv --quiet --python $(PYTHON) $$folder/venv && \
	  $(UV) pip install --quiet $(UV_NETWORK) --python $$folder/venv/bin/python --require-hashes --no-deps \
	    --only-binary :all: -r model_servers/$$name/requirements.lock && \
	  cp -r core/screener $$folder/app/ && cp model_servers/__init__.py $$folder/app/model_servers/ && \
	  cp -r model_servers/serving model_servers/$$name $$folder/app/model_servers/ && \
	  du -sh $$folder/venv || exit 1; \
	done
	SCREENER_SERVING=build/serving $(VENV)/bin/pytest tests/contract/test_model_servers.py tests/contract/test_start_up.py

.PHONY: simulate
simulate: $(BENCH) ## Cost and latency from 10 to 100,000 videos a day; plots into docs/images
	$(VENV)/bin/python -m bench.simulation --plots docs/images

ENV ?= dev
.PHONY: deploy
deploy: $(LAPTOP) $(SAM) ## To AWS: images, packs, build, deploy, smoke test (ENV=dev, ONLY="stack smoke")
	UV_NETWORK="$(UV_NETWORK)" $(VENV)/bin/screener deploy --env $(ENV) $(foreach step,$(ONLY),--only $(step))

.PHONY: lock
lock: $(UV) ## Resolve requirements/*.in anew into the hashed lock files
	for name in uv laptop dev bench sam scan sagemaker; do \
	  $(UV) pip compile --quiet --upgrade --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --override requirements/overrides.in requirements/$$name.in -o requirements/$$name.lock || exit 1; \
	done

	# What Lambda's runtime gets: the laptop's versions, resolved for the runtime's Python.
	for source in core/requirements.in $(wildcard functions/*/requirements.in); do \
	  $(UV) pip compile --quiet --python-version 3.13 --generate-hashes --no-header --no-annotate \
	    -c requirements/laptop.lock $$source -o $${source%.in}.txt || exit 1; \
	done

	# What the serving images get: the laptop's versions, and CUDA's libraries.
	for source in $(wildcard model_servers/*/requirements*.in); do \
	  $(UV) pip compile --quiet --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --override requirements/overrides.in -c requirements/laptop.lock $$source -o $${source%.in}.lock || exit 1; \
	done

.PHONY: clean
clean: ## Remove what make built here
	rm -rf $(VENV) .venv-sam .venv-scan .venv-sagemaker build .aws-sam
