"""Multivariate information from mutual informations.

Owns the quantities that are sums of I(a; b | given) with non-negative terms where the quantity is non-negative. Imports
this room only; knows nothing of covariances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Names = tuple[str, ...]
Information = Callable[[Names, Names, Names], float]


@dataclass(frozen=True)
class PartialInformation:
    """I(a, b; y) split into four parts, in nats."""

    redundant: float
    unique_a: float
    unique_b: float
    synergistic: float


def total_correlation(information: Information, names: Names) -> float:
    """TC = Σ H(x_i) - H(x), in nats, as TC(left) + TC(right) + I(left; right) over halves of the names."""
    if len(names) < 2:
        return 0.0
    left, right = names[: len(names) // 2], names[len(names) // 2 :]
    return total_correlation(information, left) + total_correlation(information, right) + information(left, right, ())


def dual_total_correlation(information: Information, names: Names, given: Names = ()) -> float:
    """DTC = H(x) - Σ H(x_i | rest), in nats, as I(left; right) + DTC(left | right) + DTC(right | left) over halves."""
    if len(names) < 2:
        return 0.0
    left, right = names[: len(names) // 2], names[len(names) // 2 :]
    return (
        information(left, right, given)
        + dual_total_correlation(information, left, right + given)
        + dual_total_correlation(information, right, left + given)
    )


def partial_information(information: Information, a: Names, b: Names, target: Names) -> PartialInformation:
    """The Gaussian BROJA decomposition of I(a, b; y), y scalar, which is the minimum-MI one exactly (Barrett, 2015).

    Redundant is min(I(a; y), I(b; y)), unique the excess over it, synergistic I(a, b; y) - max(…), which is the
    information of the lesser block given the greater one.
    """
    of_a, of_b = information(a, target, ()), information(b, target, ())
    redundant = min(of_a, of_b)
    lesser, greater = (b, a) if of_a >= of_b else (a, b)
    return PartialInformation(redundant, of_a - redundant, of_b - redundant, information(target, lesser, greater))
