# The same steps as .ci/run, one at a time, in .venv.
.PHONY: install lint types imports cards pictures docs test slow performance wheel readme ci

install:
	python3 -m venv .venv
	.venv/bin/pip install -c constraints.txt -e '.[dev]'

lint:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types:
	.venv/bin/mypy

imports:
	.venv/bin/lint-imports

cards:
	.venv/bin/python -m mmmi_hf.cli.cards

pictures:
	.venv/bin/python -m mmmi_hf.cli.cards --pictures

docs:
	.venv/bin/python -m tests.reference.build

test:
	.venv/bin/pytest

slow:
	.venv/bin/pytest -m slow

performance:
	for bench in tests/performance/bench_*.py; do .venv/bin/python -m tests.performance.$$(basename $$bench .py); done

wheel:
	.venv/bin/python -m tests.packaging.check build/installed

readme: wheel
	.venv/bin/python -m tests.readme.run_blocks --python build/installed/bin/python

ci:
	bash .ci/run
