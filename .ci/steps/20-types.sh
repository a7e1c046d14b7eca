mypy
