"""What inverse design returns, and the check that every designed model passes.

Owns the record of a design: the model, what was asked for, what it has, and what was chosen where solutions are not
unique. Imports this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import shown
from mmmi_hf.causal.errors import InfeasibleError, InvalidModelError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.quantities import read

LARGEST_WISH = 160.0
"""nats; what the coefficients of some designs carry is a little more, and float64 ends soon after."""
TOLERANCE = 1e-9
"""Designed values agree with the wanted ones to this part of max(1, |value|)."""


@dataclass(frozen=True, eq=False)
class Design:
    """A causal model made for wanted values.

    Attributes:
        model: the causal model.
        family: the kind of models that was searched.
        wanted: quantity → value in nats, as asked for.
        achieved: quantity → value in nats, computed from the model.
        choices: one sentence for each decision that the wanted values leave open.
        parameters: what was solved for, by name.
        others: further solutions of a root search, each by parameter name.
        spec: the model in the plain form of a configuration's `causal_model`; None where it holds arrays.
    """

    model: CausalModel
    family: str
    wanted: Mapping[str, float]
    achieved: Mapping[str, float]
    choices: tuple[str, ...]
    parameters: Mapping[str, float]
    others: tuple[Mapping[str, float], ...]
    spec: Mapping[str, Any] | None


def checked(
    model: CausalModel,
    family: str,
    wanted: Mapping[str, float],
    *,
    choices: Sequence[str],
    parameters: Mapping[str, float],
    others: Sequence[Mapping[str, float]] = (),
    spec: Mapping[str, Any] | None,
) -> Design:
    """The Design of a model that has the wanted values.

    Raises:
        ArithmeticError: it has not, to `TOLERANCE`: nothing else is ever returned in silence.
    """
    achieved = {name: read(name).of(model) for name in wanted}
    for name, value in wanted.items():
        if not abs(achieved[name] - value) <= TOLERANCE * max(1.0, abs(value)):
            raise ArithmeticError(
                f"{name} came out as {achieved[name]!r} where {value!r} was wanted: beyond the reach of float64 here"
            )
    return Design(model, family, dict(wanted), achieved, tuple(choices), dict(parameters), tuple(others), spec)


def read_nats(name: str, value: object) -> float:
    """A wanted value as a float.

    Raises:
        InvalidModelError: not a number.
        InfeasibleError: negative, or above `LARGEST_WISH`, where float64 holds no noise beside the causes.
    """
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)) or math.isnan(value):
        raise InvalidModelError(f"{name} is wanted to be {shown(value)}, expected a number of nats")
    number = float(value)
    if not 0.0 <= number <= LARGEST_WISH:
        nearest = 0.0 if number < 0.0 else LARGEST_WISH
        reason = "information is never negative" if number < 0.0 else f"more than {LARGEST_WISH:g} nats leave float64"
        raise InfeasibleError(
            f"{name} cannot be {number:g}: {reason}; the nearest value that can be had is {nearest:g}",
            {name: number},
            {name: nearest},
        )
    return number
