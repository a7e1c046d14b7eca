"""The errors of the causal room. Imports the standard library only.

Every message is one line: the argument, what was received, what is right, and the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping


class InvalidModelError(ValueError):
    """Coefficients, shapes or templates that define no causal model."""


class BeyondFloat64Error(InvalidModelError, ArithmeticError):
    """Causes so loud beside the noise that a query's value is lost to rounding."""


class InvalidQueryError(ValueError):
    """Blocks, rows, seeds or latents that a causal model cannot answer about."""


class NotExactError(InvalidQueryError):
    """A quantity that has no exact value here: refused with the reason, never approximated."""


class InfiniteInformationError(ValueError):
    """A query about blocks of which some determine a part of others exactly: its value is infinite or undefined."""


class InfeasibleError(InvalidModelError):
    """Wanted values that no model of the family has.

    Attributes:
        wanted: quantity → value in nats, as asked for.
        nearest: quantity → value in nats, the nearest that the family has; empty where values are not the reason.
    """

    def __init__(self, message: str, wanted: Mapping[str, float], nearest: Mapping[str, float]) -> None:
        super().__init__(message)
        self.wanted = dict(wanted)
        self.nearest = dict(nearest)
