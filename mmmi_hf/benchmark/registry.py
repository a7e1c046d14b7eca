"""Estimators by name: ours, which are files of `estimators/`, and those of others that were registered.

Owns looking them up. Imports an estimator, and so torch, only when one is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any

from mmmi_hf.benchmark import estimators
from mmmi_hf.benchmark.estimator import Estimator, registered, setting_names


def list_estimators() -> list[str]:
    """The names of all registered estimators: ours in a fixed order, then those of others."""
    known = _known()
    return sorted(known, key=lambda name: known[name].order)


def estimator_class(name: str) -> type[Estimator]:
    """The class of a registered estimator. Raises ValueError for an unknown name, with the nearest ones."""
    known = _known()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"expected one of {', '.join(list_estimators())}"
        raise ValueError(f"unknown estimator {name!r}: {hint}")
    return known[name]


def make_estimator(name: str, **settings: Any) -> Estimator:
    """A registered estimator with its settings. Raises ValueError for an unknown name or setting."""
    kind = estimator_class(name)
    settable = setting_names(kind)
    unknown = sorted(set(settings) - set(settable))
    if unknown:
        raise ValueError(f"{name!r} has no setting {unknown[0]!r}, expected {', '.join(settable) or 'none'}")
    return kind(**settings)


def _known() -> dict[str, type[Estimator]]:
    for module in pkgutil.iter_modules(estimators.__path__):
        importlib.import_module(f"{estimators.__name__}.{module.name}")
    return registered()
