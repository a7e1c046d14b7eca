"""`latentmi` (Gowri et al. 2024, MIT licence) as an estimator, if it is installed.

Owns the adapter only. The package learns low-dimensional representations of both blocks; nearest neighbours on the test
rows' representations then give nats. Its metadata asks for NumPy below 2, which this project cannot use, so that it is
no extra that a resolver could install; what is used of it runs with NumPy 2 when it is installed without dependencies.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.neighbours import Scaling, flat, measured_ksg
from mmmi_hf.benchmark.networks.training import seeded
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive

INSTALL = "pip install scikit-learn && pip install --no-deps latentmi"
_LEAST_COLUMNS = 8


class MissingPackageError(RuntimeError, ValueError):
    """An optional package is not installed."""


@register_estimator("latentmi")
@final
@dataclass
class LatentMI(Estimator):
    """Representations of `dimensions` numbers each by latentmi's cross-predicting autoencoders, then KSG."""

    order = 400
    dimensions: Positive = 8
    epochs: Positive = 300
    neighbours: Positive = 3

    @classmethod
    def require(cls) -> None:
        _package()

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        package = _package()
        self._scalings = [Scaling.of(flat(block)) for block in (train.a, train.b)]
        inputs = self._inputs(train)
        sides = [torch.cat(parts) for parts in zip(inputs, self._inputs(validation), strict=True)]
        rows = np.arange(len(train) + len(validation))
        with seeded(seed), contextlib.redirect_stdout(io.StringIO()):
            *_, self._model = package.learn_representation(
                sides[0],
                sides[1],
                rows[: len(train)],
                rows[len(train) :],
                N_dims=self.dimensions,
                epochs=self.epochs,
            )
        self._outputs = [Scaling.of(side) for side in self._encoded(inputs)]
        return []

    def measure(self, test: Pairs) -> Measured:
        encoded = self._encoded(self._inputs(test))
        a, b = (scaling(side) for scaling, side in zip(self._outputs, encoded, strict=True))
        return measured_ksg(a, b, self.neighbours)

    def _encoded(self, inputs: tuple[torch.Tensor, torch.Tensor]) -> list[np.ndarray]:
        """The representations of both sides, in float64."""
        with torch.no_grad():
            return [side.double().numpy() for side in self._model.encode(*inputs)]

    def _inputs(self, pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardised rows in float32; narrow blocks are tiled, as its hidden layers are a fraction of the columns."""
        sides = []
        for scaling, block in zip(self._scalings, (pairs.a, pairs.b), strict=True):
            rows = scaling(flat(block))
            sides.append(torch.from_numpy(np.tile(rows, (1, -(-_LEAST_COLUMNS // rows.shape[1])))).float())
        return sides[0], sides[1]


def _package() -> Any:
    try:
        return importlib.import_module("latentmi.lmi")
    except ImportError as error:
        raise MissingPackageError(
            f"the estimator 'latentmi' needs the package ({error}); install it: {INSTALL}"
        ) from None
