"""Sliced mutual information: the mean over random directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.neighbours import Scaling, flat, ksg, subsample_error
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


@register_estimator("sliced")
@final
@dataclass
class Sliced(Estimator):
    """The mean of I(θ·a; φ·b) over directions θ, φ, uniform on the spheres (Goldfeld and Greenewald 2021), by KSG.

    It is 0 if and only if the blocks are independent, and at most their information, by far where one direction of many
    carries it. Unlike the information it depends on the scales of coordinates, which are standardised with constants of
    the training rows. The directions are drawn once per fit, and the interval does not speak of them.
    """

    order = 230
    bound = "lower"
    reads = "a mean over directions: at most the information, and far below it in many dimensions"
    directions: Positive = 64
    neighbours: Positive = 3

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        generator = np.random.default_rng(seed)
        self._scalings = [Scaling.of(flat(block)) for block in (train.a, train.b)]
        self._axes = [
            _unit(generator.standard_normal((len(scaling.mean), self.directions))) for scaling in self._scalings
        ]
        return []

    def measure(self, test: Pairs) -> Measured:
        a, b = (
            scaling(flat(block)) @ axes
            for scaling, axes, block in zip(self._scalings, self._axes, (test.a, test.b), strict=True)
        )

        def mean(rows: slice) -> float:
            return float(
                np.mean([ksg(a[rows, k : k + 1], b[rows, k : k + 1], self.neighbours) for k in range(a.shape[1])])
            )

        return Measured(mean(slice(None)), subsample_error(mean, len(a)), {"directions": self.directions})


def _unit(axes: np.ndarray) -> np.ndarray:
    return np.asarray(axes / np.linalg.norm(axes, axis=0))
