"""What the target y is made of: classes, signs of causes, several numbers, functions.

In YAML, JSON and `CausalModel(…, target=…)` a target is one kind with its arguments; `causes` are numbered from 0, and
`flip` is the probability that a label is another one.

- `{"classes": {"quantiles": 10, "flip": 0.1}}`: the bin of the Gaussian y; or `edges` in standard deviations.
- `{"parity": {"causes": [0, 1]}}`: 1 where an odd number of these causes is positive.
- `{"boolean": {"causes": [0, 1], "table": [0, 1, 1, 2]}}`: a label for each pattern of their signs.
- `{"several": {"coefficients": [[1, 0], [1, 1]]}}`: several numbers y1 = ũ1, y2 = ũ1 + ũ2, …: a row for each number, a
  column for each cause of the model; rows may not depend on each other.
- `{"function": {"name": "sine", "frequency": 1.0}}`: a function of the Gaussian y: `uniform`, `exponential`,
  `log_normal` (sigma), `student` (dof), `square`, `absolute`, `sine` (frequency).
- `{"category": {"categories": 4}}`: the category of a categorical cause.

`flip` may be `noise` instead, p(label | class), a row for each class. `names` are those of the labels. Rows may lack
modalities beside any of these (`CausalModel.with_missing`).

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
        raise InvalidModelError(f"target is {shown(spec)}, expected one kind with its arguments, one of {_examples()}")
    ((kind, fields),) = spec.items()
    if kind not in all_kinds() or not isinstance(fields, Mapping):
        raise InvalidModelError(f"target is {shown(spec)}, expected one kind with its arguments, one of {_examples()}")
    return all_kinds()[kind].read(fields)


def write(target: Target) -> dict[str, Any]:
    """{kind: {argument: value}}, the same for the same target."""
    return {target.kind: target.write()}


def _examples() -> str:
    return "; ".join(f"{{{kind.example}}}" for kind in all_kinds().values())
