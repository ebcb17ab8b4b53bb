# One word for each habit. Everything runs in .venv, which builds itself.

VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
READY := $(VENV)/.ready
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make requirements" $(UV) pip compile --quiet --universal --generate-hashes \
  --python-version 3.11

.DELETE_ON_ERROR:
.PHONY: help demo test soak lint format bench requirements clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | sed 's/\$$\$$/$$/' | expand -t 22

demo: $(READY) ## Sync thirty simulated days of two appliances and ask three questions in SQL
	@$(BIN)/python scripts/demo.py

test: $(READY) ## Run every test; PostgreSQL comes from $$TEST_POSTGRES_URL, a container or a wheel
	@$(BIN)/pytest

soak: $(READY) ## Walk 20,000 new random steps on each database against a model of the truth
	@MODEL_STEPS=$${MODEL_STEPS:-20000} MODEL_SEED=$${MODEL_SEED:-$$(date +%s)} MODEL_SHORTEN=$${MODEL_SHORTEN:-60} \
	  $(BIN)/pytest tests/model

lint: $(READY) ## Check the form, the usual mistakes and the types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## Put the code into form and mend what can be mended
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(READY) ## Measure a first and a second sync
	@$(BIN)/python benchmarks/bench.py

requirements: $(READY) ## Pin the development environment anew, after a change in pyproject.toml
	@$(COMPILE) --extra keyring --group dev --output-file requirements/dev.txt pyproject.toml
	@echo uv | $(COMPILE) --output-file requirements/uv.txt -

clean: ## Remove everything that these commands have made, .venv too
	rm -rf $(VENV) dist demo .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(BIN)/python -c '' 2>/dev/null || { $(make_venv) }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The first Python that is new enough and really runs; Debian packs ensurepip apart from Python.
define make_venv
for python in python3.13 python3.12 python3.11 python3; do \
  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
  if $$python -c 'import ensurepip, venv' 2>/dev/null; then \
    echo "Building $(VENV) with $$python" >&2; exec $$python -m venv --clear $(VENV); \
  fi; \
  bare=$$python; \
done; \
if [ -n "$$bare" ]; then \
  echo "make: $$bare has no venv and ensurepip; on Debian: apt-get install $$bare-venv" >&2; \
else \
  echo "make: Python 3.11 or newer is needed, as python3.13, python3.12, python3.11 or python3" >&2; \
fi; \
exit 1;
endef
