"""Mutual information from denoisers: the gap of their errors, or of what they predict."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import torch

from mmmi_hf.benchmark.estimator import Estimator, History, Measured, register_estimator
from mmmi_hf.benchmark.networks.denoising import LOUDEST, QUIETEST, Denoiser
from mmmi_hf.benchmark.networks.densities import Predicted
from mmmi_hf.benchmark.networks.training import Training, fit_network, refuse_paper, seeded
from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.common.records import Positive

_LOOKS = 16  # levels of noise at which validation rows are looked at
_WIDTH = QUIETEST - LOUDEST
_Read = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]


class Diffusion(Estimator):
    """Half the integral of a gap over ln γ, γ the signal-to-noise ratio of the smaller block; see `Denoiser`."""

    training: Training
    levels: Positive

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_paper(self.name, self.training)

    @staticmethod
    @abstractmethod
    def gap(given: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
        """What is integrated, from the errors of both predictions of the noise, (n, d) → (n,)."""

    def learn(self, train: Pairs, validation: Pairs, seed: int) -> History:
        recipe = self.training
        self._predicted, self._noise_seed = Predicted(train), seed
        (a, b), held = self._predicted(train), self._predicted(validation)
        with seeded(seed):
            self._network = Denoiser(self._predicted.given, self._predicted.size, recipe)
        generator = torch.Generator().manual_seed(seed)

        def loss(rows: torch.Tensor) -> torch.Tensor:
            ratios = _between(torch.rand(len(rows), 1, generator=generator))
            noise = torch.randn(len(rows), b.shape[1], generator=generator)
            given, alone = self._network.errors(a[rows], b[rows], ratios, noise)
            return given.square().mean() + alone.square().mean()

        def look() -> dict[str, float]:
            given, alone = self._gaps(held, _LOOKS, lambda one, other: (_size(one), _size(other)))
            return {"criterion": -float((given + alone).mean()), "value": float((alone - given).mean()) * _WIDTH / 2}

        return fit_network(self._network, loss, look, len(a), recipe, seed)

    def measure(self, test: Pairs) -> Measured:
        with torch.no_grad():
            (gaps,) = self._gaps(self._predicted(test), self.levels, lambda one, other: (self.gap(one, other),))
        values = gaps * (_WIDTH / 2)
        return Measured(float(values.mean()), float(values.std() / math.sqrt(len(values))))

    def _gaps(self, rows: tuple[torch.Tensor, torch.Tensor], levels: int, read: _Read) -> tuple[torch.Tensor, ...]:
        """The mean over levels of noise of what is read of the errors, of every row, in float64.

        Every row meets every stratum of ln γ once, each time with noise of its own.
        """
        a, b = rows
        generator = torch.Generator().manual_seed(self._noise_seed)
        found = []
        for level in range(levels):
            place = (level + torch.rand(len(b), 1, generator=generator)) / levels
            noise = torch.randn(b.shape, generator=generator)
            found.append([part.double() for part in read(*self._network.errors(a, b, _between(place), noise))])
        return tuple(torch.stack(parts).mean(dim=0) for parts in zip(*found, strict=True))


@register_estimator("mmg")
@final
@dataclass
class MMSEGap(Diffusion):
    """½ ∫ (mmse(b|z_γ) − mmse(b|z_γ, a)) dγ, z_γ = √γ b + noise (MMG, Yu et al. 2025,
    arXiv 2509.20609).

    Half the gap between the least mean squared errors without and with the other block, integrated over all
    signal-to-noise ratios, is the information (Guo, Shamai and Verdú 2005). Errors are those of the noise that two
    networks predict, γ times as large, so that the integral is over ln γ, here from −7 to 12: what lies outside is
    missing, .001 nats of a normal pair of 2.5 nats and .06 of one of 5. Each error lies above the least one; the
    difference has no sign.

    The paper goes from −10 to 14, by weighted draws of a logistic law. With these networks that costs more than it
    brings: of normal pairs of 5 nats (3,000 rows, 3 seeds) it reads 1.71 nats too little, and 2.02 with ln γ uniform as
    here, where this range reads .80 too little. Of .25 to 2.5 nats the three are at most .18 apart, none always best.
    """

    order = 150
    training: Training = field(default_factory=Training)
    levels: Positive = 64

    @staticmethod
    def gap(given: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
        return _size(alone) - _size(given)


@register_estimator("minde")
@final
@dataclass
class MINDE(Diffusion):
    """½ ∫ E‖ε̂(z_γ) − ε̂(z_γ, a)‖² d ln γ (MINDE, its conditional form, Franzese et al. 2024).

    By Girsanov's theorem the divergence of p(b|a) from p(b) is half the integral of the squared difference of their
    scores along the noising of b given a; scores are predictions of the noise. ln γ goes from −7 to 12, as for `mmg`;
    the paper's goes from −10 to 9 (β from .1 to 20, times from .001 on, earlier ones weighted as that), which leaves
    out .35 nats of a normal pair of 5. Never negative, so that what networks are off by counts as information: no
    bound.
    """

    order = 151
    reads = "never below 0: what networks are off by counts as information"
    training: Training = field(default_factory=Training)
    levels: Positive = 64

    @staticmethod
    def gap(given: torch.Tensor, alone: torch.Tensor) -> torch.Tensor:
        return _size(alone - given)


def _between(place: torch.Tensor) -> torch.Tensor:
    """ln γ at places between 0 and 1."""
    return LOUDEST + _WIDTH * place


def _size(errors: torch.Tensor) -> torch.Tensor:
    return errors.square().sum(dim=1)
