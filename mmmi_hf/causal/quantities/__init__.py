"""Quantities of information by name, and the one registry of their kinds.

A file in `kinds` defines `KIND`; it is found by listing that folder, and with it the grammar, the ground truth of a
model, the command line and figures know it. Imports this room only.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from mmmi_hf.causal.errors import InfiniteInformationError, NotExactError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities import kinds
from mmmi_hf.causal.quantities.quantity import Kind, Quantity, read_name

__all__ = ["Kind", "Quantity", "all_kinds", "read", "reported", "reported_values"]


@cache
def all_kinds() -> tuple[Kind, ...]:
    """All kinds, by the names of their files."""
    modules = sorted(module.name for module in iter_modules(kinds.__path__))
    return tuple(import_module(f"{kinds.__name__}.{name}").KIND for name in modules)


def read(name: str) -> Quantity:
    """The quantity of a name, such as "I(x1,x2;y)", "I(x1;x2|y)", "TC(x1,x2,y)" or "unique(x1;y) without x2".

    Raises:
        InvalidQueryError: not a quantity.
    """
    return read_name(name, all_kinds())


def reported(model: CausalModel) -> list[Quantity]:
    """All quantities that the ground truth of a model lists, in its order: of a target those that are exact.

    Raises:
        NotExactError: what modalities tell of y or of each other is not known exactly; then nothing is claimed.
    """
    places = [entry for kind in all_kinds() for entry in kind.reported(model)]
    found = [quantity for _, quantity in sorted(places, key=lambda entry: entry[0])]
    return found if model.law.is_gaussian else [quantity for quantity in found if _is_exact(quantity, model)]


def reported_values(model: CausalModel) -> dict[str, float]:
    """The values of all reported quantities by name, in nats where the quantity says no other unit.

    Raises:
        InfiniteInformationError: the model has a quantity that is infinite.
        NotExactError: as `reported`.
    """
    return {str(quantity): quantity.of(model) for quantity in reported(model)}


def _is_exact(quantity: Quantity, model: CausalModel) -> bool:
    try:
        quantity.of(model)
    except NotExactError as error:
        if quantity.kind.word == "I":
            raise NotExactError(f"{quantity} has no exact value: {error}") from error
        return False
    except InfiniteInformationError:
        pass  # whoever asks for the value is told so
    return True
