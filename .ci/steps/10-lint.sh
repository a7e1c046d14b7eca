ruff check .
ruff format --check .
