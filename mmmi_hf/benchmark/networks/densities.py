"""Densities of one block given the other, by networks.

Owns which block is predicted and in which coordinates, and mixtures of normal or logistic densities whose parameters
are numbers or come of a network. Imports torch; knows nothing of objectives, files or datasets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import softplus

from mmmi_hf.benchmark.networks.critics import Standardize, Whiten, encoder
from mmmi_hf.benchmark.networks.tensors import tensors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmmi_hf.benchmark.networks.training import Training
    from mmmi_hf.benchmark.pairs import Pairs

FAMILIES = ("normal", "logistic")
_ROWS_OF_A_COORDINATE = 20
_APART = 0.5  # deviation of the means that a mixture begins with
_NARROWEST = -6.0  # of ln scale, in units of training deviations


class Predicted(nn.Module):
    """The larger block, standardised, and the smaller one in coordinates in which its training rows have covariance 1.

    Where there are fewer than 20 training rows for a coordinate, as of images, coordinates are scaled one by one. Both
    maps are affine and invertible, and so change no information; the smaller block is the one that is predicted.
    """

    def __init__(self, train: Pairs) -> None:
        super().__init__()
        a, b = sides(train)
        self.first = Standardize(a)
        self.second = Whiten(b) if len(b) >= _ROWS_OF_A_COORDINATE * b[0].numel() else Standardize(b)
        self.given = tuple(a.shape[1:])
        self.size = self.second(b[:1]).numel()

    def forward(self, pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
        """What is given, (n, *shape), and what is predicted, (n, size)."""
        a, b = sides(pairs)
        return self.first(a), self.second(b).flatten(1)


def sides(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """Both blocks, the larger one first."""
    a, b = tensors(pairs)
    return (a, b) if a[0].numel() >= b[0].numel() else (b, a)


def features(given: Sequence[int], recipe: Training, outputs: int) -> nn.Module:
    """An encoder of what is given, as a recipe says."""
    return encoder(given, recipe.encoder, width=recipe.width, layers=recipe.layers, outputs=outputs)


@dataclass(frozen=True)
class Mixture:
    """Mixtures of densities with diagonal scales. logits: (n, k); means, log_scales: (n, k, d); n may be 1."""

    logits: torch.Tensor
    means: torch.Tensor
    log_scales: torch.Tensor
    family: str = "normal"

    def log_density(self, b: torch.Tensor) -> torch.Tensor:
        """ln q of rows (n, d), each under its own mixture, (n,)."""
        return self._mixed(self._of_components(b[:, None]))

    def log_densities(self, b: torch.Tensor) -> torch.Tensor:
        """ln q of every row (m, d) under every mixture, (n, m); of one component only."""
        return self._of_components(b[None])

    def _of_components(self, b: torch.Tensor) -> torch.Tensor:
        scales = self.log_scales.clamp(min=_NARROWEST)
        z = (b - self.means) * (-scales).exp()
        if self.family == "logistic":
            return (-z - 2.0 * softplus(-z) - scales).sum(dim=-1)
        return (-0.5 * z.square() - scales - 0.5 * math.log(2.0 * math.pi)).sum(dim=-1)

    def _mixed(self, parts: torch.Tensor) -> torch.Tensor:
        return torch.logsumexp(torch.log_softmax(self.logits, dim=1) + parts, dim=1)


class ConditionalDensity(nn.Module):
    """q(b | a): the parameters of a mixture, from a network of a."""

    def __init__(self, given: Sequence[int], size: int, recipe: Training, *, components: int, family: str) -> None:
        super().__init__()
        self.components, self.size, self.family = components, size, family
        self.network = features(given, recipe, components * (1 + 2 * size))
        means, self.log_scale = _beginning(components, size, family)
        self.start = nn.Parameter(means)

    def forward(self, a: torch.Tensor) -> Mixture:
        logits, means, scales = self.network(a).split([self.components, *2 * [self.components * self.size]], dim=1)
        shape = (len(a), self.components, self.size)
        return Mixture(logits, self.start + means.reshape(shape), self.log_scale + scales.reshape(shape), self.family)


class Density(nn.Module):
    """q(b): the same with parameters that are numbers."""

    def __init__(self, size: int, *, components: int, family: str) -> None:
        super().__init__()
        self.family = family
        self.logits = nn.Parameter(torch.zeros(1, components))
        means, log_scale = _beginning(components, size, family)
        self.means = nn.Parameter(means[None])
        self.log_scales = nn.Parameter(torch.full((1, components, size), log_scale))

    def forward(self) -> Mixture:
        return Mixture(self.logits, self.means, self.log_scales, self.family)


def _beginning(components: int, size: int, family: str) -> tuple[torch.Tensor, float]:
    """Means, (components, size), and the ln scale of a mixture that has about the variance 1, as what is predicted has.

    A logistic density of scale s has the variance (π s)² / 3.
    """
    means = _APART * torch.randn(components, size) if components > 1 else torch.zeros(1, size)
    within = 1.0 - _APART**2 if components > 1 else 1.0
    return means, 0.5 * math.log(3.0 * within / math.pi**2 if family == "logistic" else within)
