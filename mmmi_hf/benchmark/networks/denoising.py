"""Networks that denoise one block given the other, or transport it, by steps between noise and data.

Owns the noising, the denoiser and the velocity. Imports torch; knows nothing of objectives, files or datasets.

Both are what would be right if the block were normal given the other, with a mean and a variance that a network learns,
plus a network for the rest: what is left to learn is small at all levels of noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from mmmi_hf.benchmark.networks.critics import from_zero, perceptron
from mmmi_hf.benchmark.networks.densities import features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmmi_hf.benchmark.networks.training import Training

LOUDEST, QUIETEST = -7.0, 12.0
"""ln of the signal-to-noise ratio: of one normal pair's 2.5 nats .0009 lie outside of it, of 3 nats .0017, of 4 .0095,
of 5 .064."""
_NARROWEST = -12.0  # of ln variance


class _GivenOther(nn.Module):
    """A network of a noisy row, the time and what is given; mean and variance of what is given."""

    def __init__(self, given: Sequence[int], size: int, recipe: Training) -> None:
        super().__init__()
        self.size = size
        self.encode = features(given, recipe, recipe.embedding)
        self.moments = from_zero(perceptron(recipe.embedding, recipe.width, 1, 2 * size))
        self.rest = from_zero(perceptron(size + 1 + recipe.embedding, recipe.width, recipe.layers, size))

    def known(self, a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, mean and variance given rows of a."""
        hidden = self.encode(a)
        mean, log_variance = self.moments(torch.relu(hidden)).split(self.size, dim=1)
        return hidden, mean, log_variance.clamp(_NARROWEST, 2.0).exp()


class Denoiser(_GivenOther):
    """The noise in √γ/√(1+γ) b + 1/√(1+γ) ε, given a and without a; ln γ uniform between two ends."""

    def __init__(self, given: Sequence[int], size: int, recipe: Training) -> None:
        super().__init__(given, size, recipe)
        self.alone = from_zero(perceptron(size + 1, recipe.width, recipe.layers, size))

    def errors(
        self, a: torch.Tensor, b: torch.Tensor, log_ratio: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the predicted noise is off by, (n, d) each: given a, and without a.

        Args:
            b, noise: (n, d). log_ratio: (n, 1), ln γ.
        """
        signal, sigma = torch.sigmoid(log_ratio).sqrt(), torch.sigmoid(-log_ratio).sqrt()
        noisy, time = signal * b + sigma * noise, log_ratio / QUIETEST
        hidden, mean, variance = self.known(a)
        normal = sigma * (noisy - signal * mean) / (sigma.square() + signal.square() * variance)
        given = normal + self.rest(torch.cat([noisy, time, hidden], dim=1))
        alone = sigma * noisy + self.alone(torch.cat([noisy, time], dim=1))
        return given - noise, alone - noise


class Transport(_GivenOther):
    """The velocity of (1 − t) b' + t b given a, b' being that of a row drawn at random."""

    def velocity(self, a: torch.Tensor, between: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """E[b − b' | between, a], (n, d). between: (n, d). time: (n, 1)."""
        hidden, mean, variance = self.known(a)
        spread = (1.0 - time).square() + time.square() * variance
        normal = mean + (time * variance - (1.0 - time)) / spread * (between - time * mean)
        velocity: torch.Tensor = normal + self.rest(torch.cat([between, 2.0 * time - 1.0, hidden], dim=1))
        return velocity

    def divergence(
        self, a: torch.Tensor, between: torch.Tensor, time: torch.Tensor, probe: torch.Tensor
    ) -> torch.Tensor:
        """Σ_i ∂v_i/∂b_i of every row, (n,), by Hutchinson's estimate with a probe of signs, (n, d); of one number it is
        exact."""
        with torch.enable_grad():
            at = between.detach().requires_grad_()
            (slopes,) = torch.autograd.grad((self.velocity(a, at, time) * probe).sum(), at)
        divergence: torch.Tensor = (slopes * probe).sum(dim=1)
        return divergence
