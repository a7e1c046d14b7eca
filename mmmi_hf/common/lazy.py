"""Lazy packages: a name is imported from its module when it is first used.

Owns the module-level `__getattr__` and `__dir__` of a package whose parts need heavy libraries. What a package offers
is listed once, as the imports under its `if TYPE_CHECKING:`, which type checkers read as they stand; linters compare
`__all__` with them. Imports no room.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def lazy_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        file: its `__file__`, in which the imports stand.
    """
    place_of = offered(Path(file).read_text(encoding="utf-8"))

    def get(name: str) -> Any:
        if name not in place_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, own = place_of[name]
        return getattr(importlib.import_module(module), own)

    return get, lambda: sorted(place_of)


def offered(source: str) -> dict[str, tuple[str, str]]:
    """Name → module and name there, of the imports that a module's source makes for type checkers alone."""
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for block in blocks
        if ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }
