"""p-values of the tests of the certificate: exact or conservative, corrected for what was looked at.

Owns the record of a test and the null distributions that tests share. NumPy and SciPy only; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON

ROUNDING = 4.0 * EPSILON
"""Of a squared sine, for every entry of the vectors: smaller ones count as this, which is conservative."""
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Test:
    """One test: what was looked at, its corrected p-value, and where the smallest one was found."""

    __test__ = False

    name: str
    p_value: float
    where: str


def test_of(name: str, looks: Sequence[tuple[float, str]]) -> list[Test]:
    """The smallest of several p-values, or no test where there are none."""
    return [smallest(name, np.array([p for p, _ in looks]), [where for _, where in looks])] if looks else []


def smallest(name: str, p_values: Array, labels: list[str]) -> Test:
    """The smallest p-value, corrected; what is no number has none, and counts as impossible."""
    known = np.where(np.isnan(p_values), 0.0, p_values)
    at = int(np.argmin(known))
    return Test(name, min(1.0, float(known[at]) * len(known)), labels[at])


def two_sided(squares: Array, freedom: int) -> Array:
    """p-values of sums of that many squared N(0, 1)."""
    half = np.asarray(squares) / 2.0
    return np.asarray(
        2.0 * np.minimum(scipy.special.gammaincc(freedom / 2.0, half), scipy.special.gammainc(freedom / 2.0, half))
    )


def of_squares(total: float, freedom: int) -> float:
    """p-value of a large sum of that many squared N(0, 1)."""
    return float(scipy.special.gammaincc(freedom / 2.0, total / 2.0))


def of_normal(value: float) -> float:
    """P(|N(0, 1)| ≥ |value|)."""
    return 2.0 * float(scipy.special.ndtr(-abs(value)))


def of_rest(rest: float, outside: int, inside: int, size: int) -> float:
    """P(a random direction has at most this share of its square in `outside` dimensions, the others being `inside`).

    The share is Beta(outside/2, inside/2). One below the rounding of vectors in R^size counts as this rounding.
    """
    return float(scipy.special.betainc(outside / 2.0, inside / 2.0, max(rest, ROUNDING * size)))


def largest_normal(normals: Array, where: str) -> tuple[float, str]:
    """The p-value of the largest |N(0, 1)| among these, and where it is."""
    k = int(np.argmax(np.abs(normals)))
    return of_normal(float(normals[k])) * len(normals), f"{where} {k}"


def largest_cosine(cosines: Array, size: int, where: str) -> tuple[float, str]:
    """The p-value of the largest |cosine| of directions in R^size, one of each pair random, and where it is."""
    k = int(np.argmax(np.abs(cosines)))
    return _probability_of_cosine(abs(float(cosines[k])), size) * len(cosines), f"{where} {k}"


def _probability_of_cosine(cosine: float, size: int) -> float:
    """P(|cosine| of a fixed and a random direction in R^size is as large), size ≥ 2."""
    return of_rest((1.0 - cosine) * (1.0 + cosine), size - 1, 1, size)


def likest_rows(first: Array, second: Array, *, later: bool = False, cosines: bool = True) -> tuple[float, int, int]:
    """The largest |first_r · second_s|: its p-value among all, r and s.

    Args:
        first, second: (p, m) and (q, m).
        later: only s > r.
        cosines: of unit vectors in R^m; else each product is N(0, 1).
    """
    best, where = 0.0, (0, 1 if later else 0)
    for begin in range(0, len(first), ROWS_AT_ONCE):
        start = begin if later else 0
        products = np.abs(first[begin : begin + ROWS_AT_ONCE] @ second[start:].T)
        if later:
            products[np.tril_indices(len(products), 0, products.shape[1])] = 0.0
        r, s = np.unravel_index(int(np.argmax(products)), products.shape)
        if products[r, s] > best:
            best, where = float(products[r, s]), (begin + int(r), start + int(s))
    count = len(first) * (len(first) - 1) // 2 if later else len(first) * len(second)
    p_value = _probability_of_cosine(best, first.shape[1]) if cosines else of_normal(best)
    return p_value * count, *where


def chernoff(excess: float, weights: Array, freedom: int) -> float:
    """ln of a bound of P(Σ_i λ_i χ²_i - its mean ≥ excess), Σ λ_i = 0, each χ² with that many degrees of freedom.

    min over t of -(freedom / 2) Σ ln(1 - 2 λ_i t) - t excess: a bound for any t, found on a fine grid here.
    """
    largest = float(weights.max(initial=0.0))
    if not largest > 0.0:
        return 0.0
    values, counts = np.unique(np.round(weights / largest, 12), return_counts=True)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 1.0, 1000)[:-1]])
    exponents = -0.5 * freedom * (np.log1p(-np.multiply.outer(grid, values)) @ counts) - grid * excess / (2.0 * largest)
    return float(exponents.min())


def unit(rows: Array) -> Array:
    """Rows over their lengths; rows of zeros stay."""
    return ratio(rows, lengths_of(rows)[:, None])


def lengths_of(rows: Array) -> Array:
    """The length of every row."""
    return np.asarray(np.sqrt(np.square(rows).sum(axis=1)))


def ratio(values: Array, lengths: Array) -> Array:
    """values / lengths, 0 where the length is."""
    return np.asarray(values / np.where(lengths > 0.0, lengths, 1.0))
