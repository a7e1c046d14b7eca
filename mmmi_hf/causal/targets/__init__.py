"""What the target y is made of: classes, signs of causes, several numbers, functions.

A file in `kinds` defines `KIND`; it is found by listing that folder. Imports NumPy, SciPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mmmi_hf.causal.arguments import shown
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.targets import kinds
from mmmi_hf.causal.targets.target import Target

__all__ = ["Target", "all_kinds", "read", "write"]


@cache
def all_kinds() -> dict[str, type[Target]]:
    """Name to kind, by the names of their files."""
    modules = sorted(module.name for module in iter_modules(kinds.__path__))
    found = [import_module(f"{kinds.__name__}.{name}").KIND for name in modules]
    return {kind.kind: kind for kind in found}


def read(spec: Target | Mapping[str, Any]) -> Target:
    """A target, or what describes it: {kind: {argument: value}}, as in JSON and YAML.

    Raises:
        InvalidModelError: it describes none.

    >>> read({"classes": {"quantiles": 4}}).classes
    4
    """
    if isinstance(spec, Target):
        return spec
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise InvalidModelError(f"target is {shown(spec)}, expected one kind with its arguments: {_examples()}")
    ((kind, fields),) = spec.items()
    if kind not in all_kinds() or not isinstance(fields, Mapping):
        raise InvalidModelError(f"target is {shown(spec)}, expected one kind with its arguments: {_examples()}")
    return all_kinds()[kind].read(fields)


def write(target: Target) -> dict[str, Any]:
    """{kind: {argument: value}}, the same for the same target."""
    return {target.kind: target.write()}


def _examples() -> str:
    return f"{{kind: {{…}}}}, kind being one of {', '.join(all_kinds())}"
