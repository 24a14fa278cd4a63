# The words of the project: `make demo`, `make test`, `make check`, `make bench`.

OLDEST ?= 3.11
NEWEST ?= 3.13
UV = .venv/bin/uv
# Pythons under pyenv are not on PATH by their version's name.
with_python = PATH="$$(pyenv prefix $(1) 2>/dev/null)/bin:$$PATH"

.PHONY: demo test check bench format docs clean
.DEFAULT_GOAL := help

help: ## Show these words
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/installed ## Scaffold the flights project, boot it, move real data through it
	.venv/bin/thedata demo

test: check .venv-newest/installed ## Everything proved, on real servers, on the oldest and the newest Python
	.venv/bin/python -m pytest -n 2 --dist loadgroup
	.venv-newest/bin/python -m pytest -n 2 --dist loadgroup -m "not clients" -p no:cacheprovider

check: .venv/installed ## Lint, types, import rules, generated docs: no server needed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q tests/test_architecture.py tests/docs

bench: .venv/installed ## Measure; writes benchmarks/results.json and benchmarks/results.md
	.venv/bin/python -m benchmarks

format: .venv/installed ## Rewrite the code in the project's format
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

docs: .venv/installed ## Write anew what is generated in docs/
	.venv/bin/python -m tests.docs.cli_reference --write
	.venv/bin/python -m tests.project.reference --write

clean: ## Remove the virtual environments and caches
	rm -rf .venv .venv-newest .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv/installed: pyproject.toml
	$(call with_python,$(OLDEST)) python3 -m venv --clear .venv
	.venv/bin/python -m pip install --quiet uv
	$(UV) pip install --quiet --python .venv/bin/python --editable '.[dev]'
	@touch $@

# uv finds an installed Python of that version, or fetches one.
.venv-newest/installed: pyproject.toml .venv/installed
	$(call with_python,$(NEWEST)) $(UV) venv --quiet --clear --python $(NEWEST) .venv-newest
	$(UV) pip install --quiet --python .venv-newest/bin/python --editable '.[dev]'
	@touch $@
