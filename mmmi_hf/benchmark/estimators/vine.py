"""Vine copulas by `pyvinecopulib` (MIT licence), if it is installed."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from mmmi_hf.benchmark.estimator import (
    CannotSayError,
    Estimator,
    History,
    Measured,
    MissingPackageError,
    register_estimator,
)
from mmmi_hf.benchmark.neighbours import flat
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


@register_estimator("vine")
@final
@dataclass
class VineCopula(Estimator):
    """mean of ln c(u_a, u_b) − ln c(u_a) − ln c(u_b), each a vine copula (Bedford and Cooke 2002) fitted to ranks.

    Ranks are those among the training rows. The densities of pairs are chosen from the package's parametric families
    by the Bayesian criterion. A difference of three fitted densities: no bound. Vines have a pair for every two
    coordinates: above `most` coordinates together it says that it cannot say.
    """

    order = 410
    most: Positive = 12

    @classmethod
    def require(cls) -> None:
        _package()

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        package = _package()
        blocks = [flat(block) for block in (train.a, train.b)]
        size = sum(block.shape[1] for block in blocks)
        if size > self.most:
            raise CannotSayError(
                f"{size} coordinates would be {size * (size - 1) // 2} pairs; a vine is fitted to at most {self.most} "
                "(setting `most`)"
            )
        self._sorted = [np.sort(block, axis=0) for block in blocks]
        u = self._ranks(train)
        families = package.families.parametric
        controls = package.FitControlsVinecop(family_set=families, selection_criterion="bic", num_threads=1)
        self._vines = [
            package.Vinecop.from_data(part, controls=controls) if part.shape[1] > 1 else None
            for part in (np.concatenate(u, axis=1), *u)
        ]
        return []

    def measure(self, test: Pairs) -> Measured:
        u = self._ranks(test)
        logs = [
            np.zeros(len(part)) if vine is None else np.log(vine.pdf(part))
            for vine, part in zip(self._vines, (np.concatenate(u, axis=1), *u), strict=True)
        ]
        gains = logs[0] - logs[1] - logs[2]
        return Measured(float(gains.mean()), float(gains.std() / math.sqrt(len(gains))))

    def _ranks(self, pairs: Pairs) -> list[np.ndarray]:
        """Every coordinate's rank among the training rows, in (0, 1)."""
        found = []
        for ordered, block in zip(self._sorted, (pairs.a, pairs.b), strict=True):
            rows, count = flat(block), len(ordered)
            columns = [
                (
                    np.searchsorted(ordered[:, k], rows[:, k], "left")
                    + np.searchsorted(ordered[:, k], rows[:, k], "right")
                    + 1.0
                )
                / (2.0 * count + 2.0)
                for k in range(rows.shape[1])
            ]
            found.append(np.stack(columns, axis=1))
        return found


def _package() -> Any:
    try:
        return importlib.import_module("pyvinecopulib")
    except ImportError as error:
        raise MissingPackageError(
            f"the estimator 'vine' needs the package ({error}); install it: pip install 'mmmi-hf[vine]'"
        ) from None
