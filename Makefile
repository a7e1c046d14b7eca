# The same steps as .ci/run, one at a time, in .venv.
.PHONY: install lint types imports cards pictures test slow performance ci

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
	for card in model_cards/*/evaluation.json; do .venv/bin/python -m mmmi_hf.flow.evaluation.model_card $$(dirname $$card); done
	if [ -f model_cards/benchmark/README.md ]; then .venv/bin/python -m mmmi_hf.benchmark.report.card model_cards/benchmark; fi
	.venv/bin/python -m mmmi_hf.dataset.cards.family_card model_cards --text

pictures:
	.venv/bin/python -m mmmi_hf.dataset.cards.family_card model_cards

test:
	.venv/bin/pytest

slow:
	.venv/bin/pytest -m slow

performance:
	for bench in tests/performance/bench_*.py; do .venv/bin/python -m tests.performance.$$(basename $$bench .py); done

ci:
	bash .ci/run
