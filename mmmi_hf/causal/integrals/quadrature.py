"""Integrals of one variable with a stated error.

Owns adaptive Gauss–Legendre quadrature, all open panels at once. Imports NumPy and this room's errors only.

A panel is compared with its two halves; it is halved until they agree to rounding. What is returned is the sum of the
halves, and the stated error the sum of the differences, which is far more than the error of the halves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError

Integrand = Callable[[Array], Array]

REACH = 13.0
"""Beyond so many standard deviations a normal variable has 1e-38 of its mass."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_MOST_PANELS, _LEVELS = 1 << 14, 60
_ROUNDING = 2e-16
_CLAIMED = 1e-15
_POINTS_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Exact:
    """A value and a bound of its numerical error."""

    value: float
    error: float = 0.0

    def __add__(self, other: Exact) -> Exact:
        return Exact(self.value + other.value, self.error + other.error)

    def times(self, factor: float) -> Exact:
        """The value times a number."""
        return Exact(factor * self.value, abs(factor) * self.error)


def integral(function: Integrand, breaks: Iterable[float]) -> Exact:
    """∫ function from the least to the greatest of `breaks`, which are where panels begin and end at first.

    Args:
        function: (n,) points to (n,) values of size 1 or so: errors of 2e-16 in a panel are let pass.

    Raises:
        NotExactError: more than 16,384 panels at once do not suffice.
    """
    edges = np.unique(np.fromiter(breaks, dtype=np.float64))
    low, high = edges[:-1], edges[1:]
    coarse, _ = _panels(function, low, high)
    total, size, error = 0.0, 0.0, 0.0
    for level in range(_LEVELS):
        middle = 0.5 * (low + high)
        halves, sizes = _panels(function, np.concatenate([low, middle]), np.concatenate([middle, high]))
        fine, absolute = halves.reshape(2, -1).sum(axis=0), sizes.reshape(2, -1).sum(axis=0)
        difference = np.abs(fine - coarse)
        done = difference <= _ROUNDING + 1e-14 * absolute
        if level == _LEVELS - 1:
            done[:] = True
        total, size = total + math.fsum(fine[done]), size + math.fsum(absolute[done])
        error += math.fsum(difference[done])
        if done.all():
            break
        if np.count_nonzero(~done) > _MOST_PANELS:
            raise NotExactError(f"quadrature over {len(low)} panels still errs by {difference.max():.1e}")
        low, middle, high = low[~done], middle[~done], high[~done]
        coarse = halves.reshape(2, -1)[:, ~done].ravel()
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
    return Exact(total, error + _CLAIMED * (size + 1.0))


def expectation(function: Integrand, points: Iterable[float] = (), width: float = 1.0) -> Exact:
    """E function(t), t ~ N(0, 1).

    Args:
        function: (n,) to (n,).
        points, width: where it changes quickly, and over what distance.
    """

    def weighted(t: Array) -> Array:
        return function(t) * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)

    return integral(weighted, breaks_around(points, width))


def rule(points: Iterable[float], width: float, parts: int) -> tuple[Array, Array]:
    """Points and weights of E function(t), t ~ N(0, 1): panels as of `expectation`, each cut into so many parts."""
    edges = np.asarray(breaks_around(points, width))
    cuts = edges[:-1, None] + np.diff(edges)[:, None] * np.arange(parts) / parts
    low, high = cuts.ravel(), np.append(cuts.ravel()[1:], edges[-1])
    half = 0.5 * (high - low)
    t = ((0.5 * (low + high))[:, None] + half[:, None] * _NODES).ravel()
    weights = (half[:, None] * _WEIGHTS).ravel() * np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi)
    return t, weights


def breaks_around(points: Iterable[float], width: float) -> list[float]:
    """Ends of panels on the whole line of a normal variable, closer to each other beside the points."""
    offsets = [width * factor for factor in (0.0, 1.0, 3.0, 8.0, 20.0, 50.0, 120.0) if width * factor < 1.0]
    near = [p + sign * offset for p in points for offset in offsets for sign in (-1.0, 1.0)]
    found = [-REACH]
    for end in sorted([*np.linspace(-REACH, REACH, 14)[1:-1], *(p for p in near if -REACH < p < REACH)]):
        if end - found[-1] > 0.5 * min(width, 1.0):
            found.append(end)
    return [*found, REACH]


def _panels(function: Integrand, low: Array, high: Array) -> tuple[Array, Array]:
    """The integral over every panel, and that of the absolute value."""
    half = 0.5 * (high - low)
    points = (0.5 * (low + high))[:, None] + half[:, None] * _NODES
    flat = points.ravel()
    parts = [function(flat[i : i + _POINTS_AT_ONCE]) for i in range(0, len(flat), _POINTS_AT_ONCE)]
    values = np.concatenate([np.zeros(0), *parts]).reshape(points.shape) * _WEIGHTS * half[:, None]
    return values.sum(axis=1), np.abs(values).sum(axis=1)
