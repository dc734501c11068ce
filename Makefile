# `make help` lists what there is: a target and, after two number signs, what it does.

# Settings, e.g. `make setup PYTHON=python3.12`, `make test ARGS="-k bundle"`, `make lock UPGRADE=1`.
PYTHON ?=
ARGS ?=
UPGRADE ?=
# Processes that run tests; a file's tests stay together, because they share a server or a model.
JOBS ?= 2
# What builds images: docker (buildx) or buildah.
BUILDER ?= docker
# Of `make cluster`; all of them where none is named.
STEPS ?=

RUN := .venv/bin
SCRIPTS := .ci/run cluster/up requirements/setup.sh
EXTRAS := inference serve data evaluate train language semantic privacy explain registry tuning pipelines control stream analytics
COMPILE := $(RUN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo serve kafka stream-demo compile manifests images images-twice cluster sbom image-sizes test fuzz lint format types coverage test-extras test-long test-stream test-graph test-cluster test-node lock \
	benchmark-quality benchmark-explanations benchmark-faithfulness benchmark-memory \
	benchmark-attribution benchmark-campaigns benchmark-features benchmark-importance \
	benchmark-privacy benchmark-robustness benchmark-serving \
	benchmark-compression benchmark-endurance benchmark-protocol \
	benchmark-loading benchmark-pod-start benchmark-training-memory benchmark-training-timeline benchmark-scaling \
	benchmark-scale benchmark-tokens benchmark-tuning benchmark-stream tuning-dashboard \
	clean distclean

help: ## List the targets
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / { printf "  %-24s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv from the locks (PYTHON=... chooses Python 3.11 or 3.12)
	@PYTHON="$(PYTHON)" sh requirements/setup.sh

kafka: setup ## Run a real Kafka broker on 127.0.0.1:9092: Docker's, else Apache's artefacts on Java 17
	$(RUN)/python -m broker run $(ARGS)

stream-demo: setup ## Stream the corpus's mails through a broker and watch: rate, latency, threats, campaigns
	$(RUN)/python -m broker during $(RUN)/rampart stream demo $(ARGS)

demo: setup ## Fetch the corpus, train through the pipeline, serve, score held-out mails, explain each
	$(RUN)/rampart demo $(ARGS)

serve: setup ## Serve the demo's bundle on ports 8080 (REST) and 8081 (gRPC)
	$(RUN)/rampart serve build/demo/bundle --http-port 8080 --grpc-port 8081 $(ARGS)

compile: setup ## Write the training pipeline's YAML for a cluster
	$(RUN)/rampart pipeline compile training $(ARGS)

manifests: setup ## Write the pipelines as resources of Kubeflow Pipelines into manifests/
	$(RUN)/python -m pipelines.manifests

cluster: setup ## Make a cluster with kind: KServe, Kubeflow, Knative, Strimzi, Rampart, a first verdict
	cluster/up $(STEPS)

sbom: setup ## Write a bill of materials for each image into build/sbom
	$(RUN)/python -m images.sbom $(ARGS)

image-sizes: setup ## Print what the images take (BUILDER=docker or buildah)
	$(RUN)/python -m images.sizes --builder $(BUILDER) $(ARGS)

images-twice: setup ## Build images twice and compare their layers (BUILDER, ARGS as for images)
	$(RUN)/python -m images.twice --builder $(BUILDER) $(ARGS)

images: setup ## Build the images (BUILDER=docker or buildah; ARGS: names, and what the builder is told)
	$(RUN)/python -m images.build --builder $(BUILDER) $(ARGS)

test: lint types coverage ## Lint, check types, run the tests but the long and the special ones (ARGS go to pytest)

lint: setup ## Check formatting, lint, and the direction of imports
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/lint-imports --no-logo
	$(RUN)/shellcheck --external-sources $(SCRIPTS)

format: setup ## Format the code and mend what the linter can
	$(RUN)/ruff check --fix-only .
	$(RUN)/ruff format .

types: setup ## Check types, strictly
	$(RUN)/mypy

coverage: setup ## Run the tests and hold the coverage of rampart/ at 90 %
	$(RUN)/coverage erase
	$(RUN)/coverage run -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		-m "not cluster and not extras and not graph and not node and not stream and not long" $(ARGS)
	$(RUN)/coverage combine --quiet
	$(RUN)/coverage report

test-extras: setup ## Install each extra, and Alibi, from its own lock, and use its part there
	$(RUN)/python -m pytest -m extras tests/project tests/integration $(ARGS)

test-long: setup ## Run the demo, kill a pipeline run and take it up again, serve under load: minutes each
	$(RUN)/python -m pytest -n $(JOBS) --dist load -m long tests/integration $(ARGS)

test-stream: setup ## Break brokers, scorers and networks under a stream, and count its messages
	$(RUN)/python -m pytest -n $(JOBS) --dist loadgroup -m stream tests/integration/streaming $(ARGS)

test-graph: setup ## Build the router of KServe's InferenceGraph with Go, and answer behind it
	$(RUN)/python -m pytest -m graph tests/integration $(ARGS)

test-cluster: setup ## Apply every manifest and overlay to the API server of KUBECONFIG, and roll out
	$(RUN)/python -m pytest -n $(JOBS) -m cluster tests/cluster $(ARGS)

test-node: setup ## Serve, roll out and train on the node of KUBECONFIG, which has KServe and the images
	$(RUN)/python -m pytest -m node tests/node $(ARGS)

fuzz: setup ## Send 100,000 generated texts through every extractor and every picture
	$(RUN)/python -m tests.fuzz $(ARGS)

lock: setup ## Write the locks from pyproject.toml; pins stay (UPGRADE=1 renews them)
	$(COMPILE) $(if $(UPGRADE),--upgrade) --all-extras --group dev --output-file requirements/all.txt
	set -e; for extra in $(EXTRAS); do \
		$(COMPILE) --constraints requirements/all.txt --extra $$extra --output-file requirements/$$extra.txt; \
	done
	$(subst pyproject.toml,,$(COMPILE)) --constraints requirements/all.txt --group uv --output-file requirements/uv.txt
	$(subst pyproject.toml,,$(COMPILE)) --group alibi --output-file requirements/alibi.txt
	$(COMPILE) --extra inference --group triton --override requirements/triton.overrides \
		--output-file requirements/triton.txt
	set -e; for group in mlflow sbom store; do \
		$(subst pyproject.toml,,$(COMPILE)) --group $$group --output-file requirements/$$group.txt; \
	done
	set -e; for server in mlserver torchserve; do \
		$(COMPILE) --extra inference --group $$server --output-file requirements/$$server.txt; \
	done

benchmark-quality: setup ## Print quality on the campaign and the time split, with intervals
	$(RUN)/python -m benchmarks.quality $(ARGS)

benchmark-explanations: setup ## Print what the explanations cost and how exact their sums are
	$(RUN)/python -m benchmarks.explanations $(ARGS)

benchmark-faithfulness: setup ## Print how faithful each method's explanations are, beside its cost
	$(RUN)/python -m benchmarks.faithfulness $(ARGS)

benchmark-attribution: setup ## Print how the second head gets better with more texts
	$(RUN)/python -m benchmarks.attribution $(ARGS)

benchmark-memory: setup ## Print the memory of `rampart score` over 100,000 texts
	$(RUN)/python -m benchmarks.memory $(ARGS)

benchmark-features: setup ## Print what each family of features costs on a thousand mails
	$(RUN)/python -m benchmarks.features $(ARGS)

benchmark-importance: setup ## Print what features are worth to the trees and what they give away
	$(RUN)/python -m benchmarks.importance $(ARGS)

benchmark-serving: setup ## Print requests/s, latency and memory beside other servers (needs wrk)
	$(RUN)/python -m benchmarks.serving $(ARGS)

benchmark-endurance: setup ## Print 30 minutes' load, overload, and 10,000 requests while bundles change
	$(RUN)/python -m benchmarks.serving.endurance $(ARGS)

benchmark-protocol: setup ## Print what V2 JSON, V2 binary and gRPC cost on one connection
	$(RUN)/python -m benchmarks.serving.protocol $(ARGS)

benchmark-loading: setup ## Print what the model cache does for loading and for memory
	$(RUN)/python -m benchmarks.loading $(ARGS)

benchmark-training-memory: setup ## Print what training takes in memory and time, saved in each way
	$(RUN)/python -m benchmarks.training_memory $(ARGS)

benchmark-training-timeline: setup ## Print and draw what a training step keeps in memory, kind by kind
	$(RUN)/python -m benchmarks.training_timeline $(ARGS)

tuning-dashboard: setup ## Look at studies in a browser, on loopback (STORAGE=sqlite:///FILE or postgresql://...)
	$(RUN)/optuna-dashboard --host 127.0.0.1 "$(or $(STORAGE),sqlite:///build/tuning/studies.db)" $(ARGS)

benchmark-scale: setup ## Take a million made-up mails from source to n-grams within 4 GB (ARGS="--mails N")
	$(RUN)/python -m benchmarks.scale $(ARGS)

benchmark-tokens: setup ## Print what the cache of tokens saves
	$(RUN)/python -m benchmarks.tokens $(ARGS)

benchmark-tuning: setup ## Print tuned against default parameters, and ASHA against random search
	$(RUN)/python -m benchmarks.tuning $(ARGS)

benchmark-scaling: setup ## Print what a second training process gives, and what more would on paper
	$(RUN)/python -m benchmarks.scaling $(ARGS)

benchmark-pod-start: setup ## Print what a predictor's pod takes to its first verdict (KUBECONFIG)
	$(RUN)/python -m benchmarks.pod_start $(ARGS)

benchmark-compression: setup ## Print what an encoder with 8-bit weights costs and saves
	$(RUN)/python -m benchmarks.compression $(ARGS)

benchmark-privacy: setup ## Print what redaction costs in quality, and whether models show their texts
	$(RUN)/python -m benchmarks.privacy $(ARGS)

benchmark-robustness: setup ## Print how far rewritten spam gets past the models, with intervals
	$(RUN)/python -m benchmarks.robustness $(ARGS)

benchmark-stream: setup ## Print a stream's latency and capacity, and count messages while things break
	$(RUN)/python -m benchmarks.streaming $(ARGS)

benchmark-campaigns: setup ## Print how finding campaigns grows with the number of mails
	$(RUN)/python -m benchmarks.campaigns $(ARGS)

clean: ## Remove what builds, tests and demos left; keep the environment
	rm -rf build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.uv/*' -prune -exec rm -rf {} +

distclean: clean ## Remove the environment too
	rm -rf .venv .uv
