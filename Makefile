# Two commands matter: `make run` and `make test`. Everything else is a part of one of them.
PYTHON ?= python3
# Superset's libraries come ready made for 3.11 and 3.12 alone. Any of them will do, whatever the first environment has.
PYTHON_OF_SUPERSET = $(shell for each in .venv/bin/python python3.12 python3.11; do $$each -c \
	'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$each && break; done)
UV := .venv/bin/uv
.PHONY: run test setup lint bench mutation down lock clean

run: setup            ## Set up, run the main job on embedded services, leave them up. DATA=folder takes your own files.
	.venv/bin/contactbi run $(if $(DATA),--data "$(DATA)")

test: setup lint      ## Set up, lint, and run every test: two files of tests at a time, each with services of its own.
	.venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

setup:                ## Build the two environments, side by side, and nothing else.
	@$(MAKE) --no-print-directory --jobs=2 .venv/.ready .venv-superset/.ready

$(UV): requirements/bootstrap.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	touch $@

.venv/.ready: $(UV) requirements/contactbi.txt requirements/dev.txt pyproject.toml
	$(UV) pip install --python .venv --quiet --compile-bytecode --require-hashes -r requirements/contactbi.txt -r requirements/dev.txt
	$(UV) pip install --python .venv --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv-superset/.ready: $(UV) requirements/superset.txt
	@test -n "$(PYTHON_OF_SUPERSET)" || { echo "Superset needs Python 3.11 or 3.12: install one, then make again." >&2; exit 1; }
	$(UV) venv --quiet --clear --python "$(PYTHON_OF_SUPERSET)" .venv-superset
	$(UV) pip install --python .venv-superset --quiet --compile-bytecode --require-hashes -r requirements/superset.txt
	touch $@

lint: setup           ## Style, types, SQL, and the rule of who may import whom.
	.venv/bin/ruff check . && .venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/sqlfluff lint --disable-progress-bar dbt

bench: setup .venv-bench/.ready  ## Speed, as ratios against a control in the same run.
	.venv/bin/python -m tests.bench $(BENCH)

mutation: setup       ## Change the metric SQL one rule at a time: a test must fail each time. MUTATION="--sample 60 --seed 1".
	.venv/bin/python -m tests.mutation $(MUTATION)

.venv-bench/.ready: .venv/.ready requirements/bench.txt
	$(PYTHON) -m venv .venv-bench
	$(UV) pip install --python .venv-bench --quiet --require-hashes -r requirements/bench.txt
	touch $@

down:                 ## Stop every service of this checkout.
	.venv/bin/contactbi down

lock: .venv/.ready    ## Resolve the locked environments anew.
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/contactbi.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group dev -c requirements/contactbi.txt -o requirements/dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --exclude-newer 2026-05-14 requirements/superset.in -o requirements/superset.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/bench.in -o requirements/bench.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header requirements/bootstrap.in -o requirements/bootstrap.txt

clean: down           ## Remove environments and this instance's data.
	rm -rf .venv .venv-superset .contactbi
