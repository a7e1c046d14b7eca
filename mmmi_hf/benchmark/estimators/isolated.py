"""Estimators of packages whose pins contradict ours, each in an environment of its own.

Owns their names and settings; `benchmark/isolated/` runs them. They learn when they are asked for an estimate, because
nothing learned goes from one process to another. Without the environment they say how to make it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, final

import numpy as np

from mmmi_hf.benchmark.estimator import CannotSayError, Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.isolated.environment import Environment
from mmmi_hf.benchmark.neighbours import measured_ksg
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive


class Isolated(Estimator):
    """An estimator that a bridge runs; subclasses name the environment."""

    environment: ClassVar[Environment]
    timeout: Positive

    @classmethod
    def require(cls) -> None:
        cls.environment.interpreter()

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        self.environment.interpreter()
        self._known, self._request_seed = {"train": train, "validation": validation}, seed
        return []

    def measure(self, test: Pairs) -> Measured:
        request = {"seed": self._request_seed, "settings": asdict(self)}  # type: ignore[call-overload]
        answer = self.environment.ask({**self._known, "test": test}, request, timeout=self.timeout)
        if "cannot_say" in answer:
            raise CannotSayError(str(answer["cannot_say"]))
        return self.read(answer)

    def read(self, answer: dict[str, Any]) -> Measured:
        """The estimate that an answer holds."""
        try:
            value, error = float(answer["value"]), answer.get("standard_error")
            return Measured(value, None if error is None else float(error), {"version": answer.get("version")})
        except (KeyError, TypeError, ValueError):
            raise ArithmeticError(f"{self.name!r} answered {json.dumps(answer)[:100]}, which has no value") from None


@register_estimator("latentmi")
@final
@dataclass
class LatentMI(Isolated):
    """KSG on `dimensions` numbers of each block, from cross-predicting autoencoders (LMI, Gowri et al. 2024).

    ψ(k) + ψ(n) − ⟨ψ(n_a + 1) + ψ(n_b + 1)⟩ of these (Kraskov, Stögbauer and Grassberger 2004, eq. 8).
    """

    order = 400
    environment = Environment("latentmi", "latentmi==0.1.3", "latentmi")
    dimensions: Positive = 8
    epochs: Positive = 300
    neighbours: Positive = 3
    timeout: Positive = 3600

    def read(self, answer: dict[str, Any]) -> Measured:
        a, b = (np.asarray(side, dtype=np.float64) for side in answer["representations"])
        found = measured_ksg(a, b, self.neighbours)
        return Measured(found.value, found.standard_error, {**found.details, "version": answer.get("version")})


@register_estimator("mist")
@final
@dataclass
class Mist(Isolated):
    """The median of a network that many laws of known information trained (MIST, Gritsai et al. 2025, arXiv
    2511.18945, its quantile form).

    Of the test rows alone, as a set; above 64 coordinates together it says that it cannot say. `weights` is a folder or
    a Hub id of the package's model.
    """

    order = 401
    environment = Environment("mist", "mist-statinf==0.1.1", "mist")
    weights: str = "grgera/MIST-QR"
    timeout: Positive = 3600


@register_estimator("torch-mist")
@final
@dataclass
class TorchMist(Isolated):
    """An estimator of the package torch-mist, by default its SMILE, trained as the package does.

    SMILE is E_P[f] − ln E_Q[clip(e^f, e^−τ, e^τ)] (Song and Ermon 2020).
    """

    order = 402
    environment = Environment("torch-mist", "torch-mist==0.2.17 pandas", "torch_mist")
    method: str = "smile"
    epochs: Positive = 100
    timeout: Positive = 3600


@register_estimator("diffusion-mi")
@final
@dataclass
class DiffusionMI(Isolated):
    """An estimator of diffusion-mi (Yu et al. 2025, arXiv 2509.20609), by default its MMG, trained as the package does.

    MMG is ½ ∫ (mmse(b|z_γ) − mmse(b|z_γ, a)) dγ, z_γ = √γ b + noise.
    """

    order = 403
    environment = Environment("diffusion-mi", "diffusion-mi==0.1.0", "diffusion_mi")
    method: Literal["mmg", "minde", "dime", "smile", "mine", "nwj", "cpc", "doe"] = "mmg"
    steps: Positive = 3000
    timeout: Positive = 3600
