# The same steps as .ci/run, one at a time, in .venv.
.PHONY: install lint types imports cards test slow performance ci

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
	for card in model_cards/*/; do \
		if [ -f $$card/evaluation.json ]; then .venv/bin/python -m mmmi_hf.flow.cards $$card; fi; \
		if [ -f $$card/results.json ]; then .venv/bin/python -m mmmi_hf.benchmark.cards $$card; fi; \
	done

test:
	.venv/bin/pytest

slow:
	.venv/bin/pytest -m slow

performance:
	for bench in tests/performance/bench_*.py; do .venv/bin/python $$bench; done

ci:
	bash .ci/run
