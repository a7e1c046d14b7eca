"""What counts as a number: Python's and NumPy's, and no boolean or text. Imports the standard library only."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TypeGuard


def is_whole(value: object, least: int | None = None) -> TypeGuard[int]:
    """Whether a value is an integer (of at least `least`); `int(value)` is then the plain one, which JSON takes."""
    return isinstance(value, Integral) and not isinstance(value, bool) and (least is None or int(value) >= least)


def is_finite(value: object) -> TypeGuard[float]:
    """Whether a value is a real number that a float can hold, and finite."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
