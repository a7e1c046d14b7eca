"""The law of pointwise mutual information, and the mean of its largest values.

Owns expectations under that law, computed deterministically: a floor must not rest on random numbers. NumPy and SciPy
only; knows nothing of shares, folders or maps. All information is in nats.

For jointly Gaussian blocks with canonical correlations ρ_c, the pointwise information is

    i = I + Σ_c ρ_c W_c,   W_c = U_c V_c independent products of two independent standard normals,

because canonical variates a, b with correlation ρ have i = I + ½ ρ (A² - B²) for two independent normals A, B. The law
is symmetric about I. One W has the density K₀(|w|)/π (a modified Bessel function) and the moment generating function
(1 - λ²)^(-½), |λ| < 1.

Two routes, each with its error:

- one pair: double exponential quadrature (w = exp(x - e^(-x)), step 1/32) of K₀. Against adaptive quadrature its error
  is below `QUADRATURE_ERROR`, which every result of this module that is a bound already contains.
- several pairs: with M the moment generating function of Σ_c ρ_c W_c, for every λ in (0, 1/max ρ)

      E(W - c)₊ = (1/2π) ∫ M(λ + iτ) e^(-c(λ + iτ)) / (λ + iτ)² dτ.

  The trapezoidal rule of step h for it is, by Poisson's formula, Σ_j e^(λ j 2π/h) E(W - c - j 2π/h)₊: every term is
  positive and that with j = 0 is what is wanted, so that the rule errs upwards only. |M(λ + iτ)| falls in τ, hence what
  is cut off beyond T is at most e^(-λc) |M(λ + iT)| / (π T), which is added. The result is an upper bound up to
  rounding.

- any other law, as that of a class: points and weights of a quadrature over it (`Listed`). Its mean of the largest
  values is that of the points, whose spacing makes an error of the square of what i changes between two of them:
  `LISTED_ERROR` is allowed for, far above what was measured beside adaptive quadrature.

The mean of the largest share s of a law, s CVaR_s(X) = min over c of s c + E(X - c)₊ (Rockafellar and Uryasev, 2000):
any c gives an upper bound, so that an inexact quantile errs upwards, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidQueryError

QUADRATURE_ERROR = 1e-10
"""Nats, for each nat of the quantity (or one): allowed for the quadrature of one pair."""
LISTED_ERROR = 1e-6
"""Likewise for laws that are given as points."""
CUT = 1e-9
"""What the contour may leave out, as a share of the result: it is added to it."""

_FINE = 2048
"""Nodes of `points_of_pair` for a factor e, so that neighbours are near each other out to rare values."""
_FARTHEST = 40.0
"""W beyond which `points_of_pair` has none: 1e-18 of the law."""
_MOST_NODES = 1 << 18
_NUMBERS_AT_ONCE = 1 << 21


@lru_cache(maxsize=2)
def _half_line(parts: int = 32) -> tuple[Array, Array]:
    """Nodes and weights (n,) of ∫ over (0, ∞) of functions that fall like e^(-w) and may have a logarithm at 0."""
    step = 1.0 / parts
    x = np.arange(-4.25, 6.75, step)
    nodes = np.exp(x - np.exp(-x))
    return nodes, step * nodes * (1.0 + np.exp(-x))


def _density(w: Array) -> Array:
    """K₀(w)/π, for w > 0."""
    return np.asarray(scipy.special.k0e(w) * np.exp(-w) / np.pi)


@dataclass(frozen=True, eq=False)
class Listed:
    """A law of pointwise information as points of a quadrature, ascending: values and weights, (n,) each."""

    values: Array
    weights: Array

    @classmethod
    def of(cls, weights: Array, values: Array) -> Listed:
        """Of points in any order."""
        order = np.argsort(values)
        return cls(values[order], weights[order])

    def largest(self, share: float) -> Array:
        """(n,) weights of the largest values, s together: s CVaR_s of an increasing function is its sum with them."""
        above = np.cumsum(self.weights[::-1])[::-1]
        return np.clip(share - (above - self.weights), 0.0, self.weights)

    def summed(self, function: Callable[[Array], Array], weights: Array) -> float:
        """An increasing function of i, summed with weights (n,): an upper bound."""
        found = function(self.values)
        return float(weights @ found) + LISTED_ERROR * max(1.0, float(np.abs(found[-1])))


def expectation(function: Callable[[Array], Array], information: float) -> float:
    """E function(i) of one canonical pair.

    Args:
        function: of i, (n,) → (n,), growing at most linearly.
        information: I in nats.
    """
    rho, (w, weights) = correlation(information), _half_line()
    both = function(information + rho * w) + function(information - rho * w)
    return float((weights * _density(w)) @ both)


def points_of_pair(information: float) -> tuple[Array, Array]:
    """Weights and values, (n,) each, of the law of i of one canonical pair, for `Listed`."""
    if information == 0.0:
        return np.ones(1), np.zeros(1)
    rho, (w, weights) = correlation(information), _half_line(_FINE)
    mass = weights * _density(w)
    kept = w < _FARTHEST
    values = np.concatenate([information - rho * w[kept], information + rho * w[kept]])
    return np.tile(mass[kept], 2), values


def largest_values(function: Callable[[Array], Array], information: float, share: float) -> float:
    """s CVaR_s of function(i) of one canonical pair, for an increasing function: an upper bound.

    Args:
        function, information: as in `expectation`.
        share: s in (0, ½].
    """
    rho, (v, weights) = correlation(information), _half_line()
    quantile = upper_quantile(share)
    at = float(function(np.array([information + rho * quantile]))[0])
    above = function(information + rho * (quantile + v)) - at
    return share * at + float((weights * _density(quantile + v)) @ above) + QUADRATURE_ERROR * max(1.0, information)


def correlation(information: float) -> float:
    """ρ of one canonical pair with I nats."""
    return float(np.sqrt(-np.expm1(-2.0 * information)))


@lru_cache(maxsize=4096)
def upper_quantile(share: float) -> float:
    """The q that a product of two independent standard normals exceeds with this probability, in (0, ½]."""
    check_share(share)
    v, weights = _half_line()

    def excess(logarithm: float) -> float:
        return float(np.log(weights @ _density(np.exp(logarithm) + v)) - np.log(share))

    lowest, highest = np.log(1e-12), np.log(600.0)
    if excess(lowest) <= 0.0:
        return 0.0
    return float(np.exp(scipy.optimize.brentq(excess, lowest, highest, xtol=1e-13)))


def check_share(share: float) -> None:
    """Raise InvalidQueryError for a share outside (0, ½]."""
    if not 0.0 < share <= 0.5:
        raise InvalidQueryError(f"share is {share!r}, expected 0 < share ≤ ½; there is no floor above one half")


def excess_of_largest(correlations: Any, share: float) -> float:
    """An upper bound on s CVaR_s(i - I), in nats, for any number of canonical pairs.

    Args:
        correlations: (m,), in [0, 1).
        share: s in (0, ½].

    Raises:
        InvalidQueryError: another share, or correlations outside [0, 1).
    """
    check_share(share)
    rho = np.asarray(correlations, dtype=np.float64).ravel()
    if not np.all((rho >= 0.0) & (rho < 1.0)):
        raise InvalidQueryError(f"correlations must lie in [0, 1), got {rho[:4].tolist()}…")
    rho = rho[rho > 0.0]
    if not rho.size:
        return 0.0
    largest = float(rho.max())
    if rho.size == 1:
        v, weights = _half_line()
        quantile = upper_quantile(share)
        return largest * (share * quantile + float((weights * _density(quantile + v)) @ v)) + QUADRATURE_ERROR
    return largest * _contour(rho / largest, share)


def _contour(rho: Array, share: float) -> float:
    """The same of several pairs whose largest correlation is 1 (a unit of length, not a correlation)."""
    squares = rho * rho
    slope, entropic = _entropic(squares, share)
    step = 2.0 * np.pi * min(slope, 1.0 - slope) / 45.0
    count = _nodes(squares, slope, step)
    z = slope + 1j * step * np.arange(count + 1)
    logarithm = _log_moments(squares, z) - 2.0 * np.log(z) + np.log(step / np.pi)
    logarithm[0] -= np.log(2.0)
    end = np.log(np.pi * step * count)
    beyond = float(_log_moments(squares, z[-1:]).real[0] - end)

    def total(c: float) -> float:
        kept = float(np.exp(logarithm - c * z).real.sum())
        return float(share * c + kept + np.exp(beyond - slope * c))

    found = scipy.optimize.minimize_scalar(total, bounds=(0.0, entropic), method="bounded", options={"xatol": 1e-6})
    return min(float(found.fun) * (1.0 + 1e-11), share * entropic)


def _entropic(squares: Array, share: float) -> tuple[float, float]:
    """(λ, (ln M(λ) + ln 1/s) / λ) with the smallest of these, which is a bound on CVaR_s by itself."""

    def bound(logit: float) -> float:
        slope = float(scipy.special.expit(logit))
        moments = -0.5 * float(np.log1p(-squares * slope * slope).sum())
        return float((moments - np.log(share)) / slope)

    found = scipy.optimize.minimize_scalar(bound, bounds=(-14.0, 14.0), method="bounded", options={"xatol": 1e-3})
    return float(scipy.special.expit(found.x)), float(found.fun)


def _nodes(squares: Array, slope: float, step: float) -> int:
    """How many steps until what is left out is a share CUT of the result, or as many as are allowed."""
    whole = float(_log_moments(squares, np.array([slope + 0j])).real[0])
    count = 64
    while count < _MOST_NODES:
        end = step * count
        if float(_log_moments(squares, np.array([slope + 1j * end])).real[0]) - whole - np.log(np.pi * end) < np.log(
            CUT
        ):
            break
        count *= 2
    return count


def _log_moments(squares: Array, z: Any) -> Any:
    """ln M(z) = -½ Σ ln(1 - ρ² z²), (n,) complex, some nodes at a time; the real part of 1 - ρ² z² is positive."""
    result = np.empty(len(z), dtype=np.complex128)
    together = max(1, _NUMBERS_AT_ONCE // len(squares))
    for start in range(0, len(z), together):
        part = z[start : start + together]
        result[start : start + together] = -0.5 * np.log(1.0 - np.multiply.outer(part * part, squares)).sum(axis=1)
    return result
