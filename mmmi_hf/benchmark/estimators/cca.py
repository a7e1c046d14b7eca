"""Canonical correlations of Gaussian blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.linalg

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.neighbours import Scaling, flat
from mmmi_hf.benchmark.pairs import Pairs

_MOST = 32  # canonical variates at most
_SHRINKAGE = (1e-3, 1e-2, 0.05, 0.1, 0.2, 0.4, 0.7, 0.95)


@register_estimator("cca")
@final
@dataclass
class GaussianCCA(Estimator):
    """−½ Σ ln(1 − r²) over canonical variates (Hotelling 1936), for blocks that are jointly normal (Gelfand and Yaglom
    1957).

    The variates are those of shrunk training covariances, (1 − λ) S + λ (tr S / d) 1; λ and the number of variates are
    the ones with the highest mean log density ratio on the validation rows, and no variate is a choice. r are the
    variates' correlations on the test rows. From every variate 1 / (2 n) nats are taken off, which −½ ln(1 − r²) of
    independent ones is on average.
    """

    order = 220

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
