"""Estimators by name: ours, which are files of `estimators/`, and those of others.

Owns looking them up. Others register theirs by the decorator, in a module that is imported by hand or that an installed
package names as an entry point of the group `mmmi_hf.estimators`. Imports an estimator, and so torch, only when one is
asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from mmmi_hf.benchmark import estimators
from mmmi_hf.benchmark.estimator import Estimator, register_estimator, registered, setting_types
from mmmi_hf.common.terminal import did_you_mean

GROUP = "mmmi_hf.estimators"


def list_estimators() -> list[str]:
    """The names of all registered estimators: ours in a fixed order, then those of others."""
    known = _known()
    return sorted(known, key=lambda name: known[name].order)


def estimator_class(name: str) -> type[Estimator]:
    """The class of a registered estimator. Raises ValueError for an unknown name, with the nearest ones."""
    known = _known()
    if name not in known:
        hint = did_you_mean(name, known, f"expected one of {', '.join(list_estimators())}")
        raise ValueError("; ".join([f"unknown estimator {name!r}: {hint}", *broken_plugins()]))
    return known[name]


def make_estimator(name: str, **settings: Any) -> Estimator:
    """A registered estimator with its settings. Raises ValueError for an unknown name or setting."""
    kind = estimator_class(name)
    settable = setting_types(kind)
    unknown = sorted(set(settings) - set(settable))
    if unknown:
        raise ValueError(f"{name!r} has no setting {unknown[0]!r}, expected {', '.join(settable) or 'none'}")
    return kind(**settings)


@cache
def broken_plugins() -> tuple[str, ...]:
    """Load the entry points; one line for each that does not give an estimator, the others are there all the same.

    An entry point is a module that registers estimators, or a class that has no name yet and gets that of the entry.
    """
    _ours()
    broken = []
    for entry in entry_points(group=GROUP):
        try:
            found = entry.load()
            if isinstance(found, type) and issubclass(found, Estimator) and found.name == Estimator.name:
                register_estimator(entry.name)(found)
        except Exception as error:
            package = entry.dist.name if entry.dist is not None else "an unknown package"
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            broken.append(f"plug-in {entry.name!r} of {package} ({entry.value}) cannot be loaded: {reason}")
    return tuple(broken)


def _ours() -> None:
    for module in pkgutil.iter_modules(estimators.__path__):
        importlib.import_module(f"{estimators.__name__}.{module.name}")


def _known() -> dict[str, type[Estimator]]:
    broken_plugins()
    return registered()
