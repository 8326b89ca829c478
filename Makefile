# Every target works from a clean checkout: it makes its own environment in .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo up down test check wheel bench soak mutants screenshots reference format clean
.DEFAULT_GOAL := demo

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)            ## run the main job on embedded defaults, offline
	$(BIN)/sigc demo

up: $(STAMP)              ## the same, and its daemon stays: prints where it listens
	$(BIN)/sigc demo --leave-running

down: $(STAMP)            ## stop that daemon
	$(BIN)/sigc stop --config sigc-demo/sigc.yaml

test: $(STAMP)            ## the whole suite, random order, warnings as errors
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

check: $(STAMP)           ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks
	$(BIN)/lint-imports

wheel: $(STAMP)           ## dist/sigc_daemon-*.whl, without the network
	$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist .

bench: $(STAMP)           ## timings beside peers in under ten minutes; FULL=1: all
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

soak: $(STAMP)            ## long campaigns
	$(BIN)/python -m pytest -q -s -m soak

mutants: $(STAMP)         ## one-line mutations of the money code against the tests of each module; goes on where it stopped
	$(BIN)/python -m tests.mutants.campaign

screenshots: $(STAMP)     ## pictures of the status page, from a demo that runs, into build/ and docs/pictures
	$(BIN)/python -m tests.dashboard.screenshots

reference: $(STAMP)       ## docs/operators.md, conf/sigc.yaml, the Grafana dashboard, the table of metrics, from the declarations
	$(BIN)/python -c "from sigc.ops.reference import markdown; print(markdown(), end='')" > docs/operators.md
	$(BIN)/python -c "from sigc.config.check import reference_yaml; print(reference_yaml(), end='')" > conf/sigc.yaml
	$(BIN)/sigc monitoring export-dashboard -o conf/grafana/dashboards/sigc.json
	sed -i '/^| metric |/,$$d' docs/monitoring.md
	$(BIN)/python -c "from sigc_cli.grafana import metrics_table; print(metrics_table(), end='')" >> docs/monitoring.md

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
