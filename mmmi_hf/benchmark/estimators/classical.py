"""Estimators without networks: nearest neighbours, principal components, canonical correlations.

Owns KSG, PCA → KSG and Gaussian CCA. Imports NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg
from scipy.spatial import KDTree
from scipy.special import digamma

from mmmi_hf.benchmark.estimators.contract import Array, Estimator, History, Measured, Pairs, register_estimator

_MOST = 32  # canonical variates at most
_PARTS = (2, 3, 4, 5, 6)
_SHRINKAGE = (1e-3, 1e-2, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95)


def ksg(a: Array, b: Array, neighbours: int = 3) -> float:
    """Kraskov, Stögbauer and Grassberger (2004), first estimator, in nats.

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


def measured_ksg(a: Array, b: Array, neighbours: int) -> Measured:
    """KSG with its standard error."""
    error = subsample_error(lambda rows: ksg(a[rows], b[rows], neighbours), len(a))
    return Measured(ksg(a, b, neighbours), error, {"dimensions": [a.shape[1], b.shape[1]]})


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


@register_estimator("ksg")
@final
@dataclass
class KSG(Estimator):
    """Nearest neighbours of all coordinates, standardised with constants of the training rows."""

    neighbours: int = 3

    def __post_init__(self) -> None:
        _check_natural("neighbours", self.neighbours)

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._scalings = [Scaling.of(flat(block)) for block in (train.a, train.b)]
        return []

    def measure(self, test: Pairs) -> Measured:
        a, b = (scaling(flat(block)) for scaling, block in zip(self._scalings, (test.a, test.b), strict=True))
        return measured_ksg(a, b, self.neighbours)


@register_estimator("pca-ksg")
@final
@dataclass
class PCAKSG(Estimator):
    """Nearest neighbours of each block's first principal components, which are those of the training rows."""

    components: int = 4
    neighbours: int = 3

    def __post_init__(self) -> None:
        _check_natural("components", self.components)
        _check_natural("neighbours", self.neighbours)

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._maps = [self._components(flat(block)) for block in (train.a, train.b)]
        return []

    def measure(self, test: Pairs) -> Measured:
        a, b = ((flat(block) - mean) @ axes for (mean, axes), block in zip(self._maps, (test.a, test.b), strict=True))
        if 0 in (a.shape[1], b.shape[1]):
            return Measured(0.0, 0.0, {"dimensions": [a.shape[1], b.shape[1]]})
        return measured_ksg(a, b, self.neighbours)

    def _components(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = rows.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(rows.T).reshape(rows.shape[1], rows.shape[1]))
        # what is left of constant or repeated coordinates is rounding, which division would make the loudest of all
        count = min(self.components, int(np.sum(values > values[-1] * len(values) * np.finfo(np.float64).eps)))
        return mean, vectors[:, ::-1][:, :count] / np.sqrt(values[::-1][:count])


@register_estimator("cca")
@final
@dataclass
class GaussianCCA(Estimator):
    """−½ Σ ln(1 − r²) over canonical variates, for blocks that are jointly normal.

    The variates are those of shrunk training covariances, (1 − λ) S + λ (tr S / d) 1; λ and the number of variates are
    the ones with the highest mean log density ratio on the validation rows, and no variate is a choice. r are the
    variates' correlations on the test rows, corrected for their sampling: ½ E[…] of independent variates is 1 / (2 n)
    nats each.
    """

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self._scalings = [Scaling.of(flat(block)) for block in (train.a, train.b)]
        a, b = self._scaled(train)
        held = self._scaled(validation)
        factors = [np.linalg.eigh(block.T @ block / len(block)) for block in (a, b)]
        cross = a.T @ b / len(a)
        history: list[dict[str, float]] = []
        best = 0.0
        self._axes: tuple[np.ndarray, np.ndarray] = (np.zeros((a.shape[1], 0)), np.zeros((b.shape[1], 0)))
        for shrinkage in _SHRINKAGE:
            axes = _variates(factors, cross, shrinkage)
            gains = _gains(held[0] @ axes[0], held[1] @ axes[1])
            count = int(np.argmax(gains)) + 1
            history.append({"shrinkage": shrinkage, "variates": count, "criterion": float(gains[count - 1])})
            if gains[count - 1] > best:
                best, self._axes = float(gains[count - 1]), (axes[0][:, :count], axes[1][:, :count])
        return history

    def measure(self, test: Pairs) -> Measured:
        a, b = self._scaled(test)
        a, b = a @ self._axes[0], b @ self._axes[1]
        count = len(a)
        variates = a.shape[1]
        if not variates:
            return Measured(0.0, 0.0, {"variates": 0})
        a, b = ((side - side.mean(axis=0)) / side.std(axis=0) for side in (a, b))
        correlations = np.mean(a * b, axis=0)
        value = float(-0.5 * np.sum(np.log1p(-(correlations**2))) - variates / (2.0 * count))
        # the slope of -½ ln(1 - r²) by a row's weight: r (ab - r (a² + b²) / 2) / (1 - r²)
        slopes = correlations * (a * b - correlations * (a**2 + b**2) / 2.0) / (1.0 - correlations**2)
        return Measured(value, float(np.std(slopes.sum(axis=1)) / math.sqrt(count)), {"variates": variates})

    def _scaled(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        return self._scalings[0](flat(pairs.a)), self._scalings[1](flat(pairs.b))


def _variates(
    factors: Sequence[tuple[np.ndarray, np.ndarray]], cross: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Canonical axes of two blocks, (d, p) each, from eigenvalues and vectors of their covariances."""
    whiten = []
    for values, vectors in factors:
        shrunk = (1.0 - shrinkage) * np.maximum(values, 0.0) + shrinkage * float(np.mean(values))
        whiten.append(vectors / np.sqrt(shrunk))
    middle = whiten[0].T @ cross @ whiten[1]
    swapped = middle.shape[0] < middle.shape[1]
    tall = middle.T if swapped else middle
    size = tall.shape[1]
    squares, right = scipy.linalg.eigh(tall.T @ tall, subset_by_index=[max(0, size - _MOST), size - 1])
    right = right[:, ::-1]
    left = tall @ right / np.sqrt(np.maximum(squares[::-1], np.finfo(np.float64).tiny))
    first, second = (right, left) if swapped else (left, right)
    return whiten[0] @ first, whiten[1] @ second


def _gains(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean log density ratio on held-out rows of the first 1, 2, … variates, (p,), in nats.

    A variate's scale and correlation are those of every other held-out row, judged on the rest, and vice versa.
    """
    total = np.zeros(a.shape[1])
    halves = slice(0, None, 2), slice(1, None, 2)
    for chosen, judged in (halves, halves[::-1]):
        scalings = [Scaling.of(side[chosen]) for side in (a, b)]
        r = np.mean(scalings[0](a[chosen]) * scalings[1](b[chosen]), axis=0)
        s, t = (scaling(side[judged]) for scaling, side in zip(scalings, (a, b), strict=True))
        density = (r * s * t - 0.5 * r**2 * (s**2 + t**2)) / (1.0 - r**2) - 0.5 * np.log1p(-(r**2))
        total += 0.5 * density.mean(axis=0)
    return np.cumsum(total)


def _check_natural(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
