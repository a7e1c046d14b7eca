"""Nearest neighbours: the estimate of Kraskov, Stögbauer and Grassberger, its standard error, and scales of rows.

Owns what several estimators need of it. Imports NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.special import digamma

from mmmi_hf.benchmark.estimator import Measured
from mmmi_hf.benchmark.pairs import Array

_PARTS = (2, 3, 4, 5, 6)


def ksg(a: Array, b: Array, neighbours: int = 3) -> float:
    """Kraskov, Stögbauer and Grassberger (2004), first estimator, eq. (8), in nats.

    ψ(k) + ψ(n) − ⟨ψ(n_a + 1) + ψ(n_b + 1)⟩, n_a the rows strictly nearer in a than the k-th neighbour is in the joint
    space, maximum norm.

    Args:
        a, b: (n, d_a), (n, d_b).

    Raises:
        ValueError: no more rows than neighbours.
    """
    count = len(a)
    if count <= neighbours:
        raise ValueError(f"KSG with {neighbours} neighbours needs more rows than {count}")
    distance = KDTree(np.concatenate([a, b], axis=1)).query(np.concatenate([a, b], axis=1), k=neighbours + 1, p=np.inf)
    radius = np.nextafter(np.asarray(distance[0])[:, -1], 0.0)
    # the row itself is counted, which is the + 1 of the formula
    inside = [KDTree(block).query_ball_point(block, radius, p=np.inf, return_length=True) for block in (a, b)]
    return float(digamma(neighbours) + digamma(count) - np.mean(digamma(inside[0]) + digamma(inside[1])))


def subsample_error(measure: Callable[[slice], float], rows: int) -> float | None:
    """The standard error of an estimate over rows, by subsample extrapolation (Holmes and Nemenman 2019).

    The rows, in random order, are cut into 2, 3, … 6 disjoint parts; the variance between equal parts falls as
    one over their size, and is carried on to all rows. A bootstrap would repeat rows, which nearest neighbours cannot
    bear. None where a part would have fewer than 20 rows.
    """
    over = under = 0.0
    for parts in _PARTS:
        size = rows // parts
        if size < 20:
            break
        values = [measure(slice(i * size, (i + 1) * size)) for i in range(parts)]
        over += (parts - 1) * float(np.var(values, ddof=1)) * size / rows
        under += parts - 1
    return math.sqrt(over / under) if under else None


def measured_ksg(a: Array, b: Array, neighbours: int, estimate: Callable[[Array, Array, int], float] = ksg) -> Measured:
    """KSG, or another estimate from neighbours, with its standard error."""
    error = subsample_error(lambda rows: estimate(a[rows], b[rows], neighbours), len(a))
    return Measured(estimate(a, b, neighbours), error, {"dimensions": [a.shape[1], b.shape[1]]})


def flat(block: Array) -> np.ndarray:
    """(n, d) float64."""
    return np.asarray(block, dtype=np.float64).reshape(len(block), -1)


@dataclass(frozen=True)
class Scaling:
    """x → (x − mean) / deviation, constants of the rows given."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Scaling:
        deviation = rows.std(axis=0)
        return cls(rows.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray((rows - self.mean) / self.deviation)
