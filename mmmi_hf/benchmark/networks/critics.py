"""Critics: networks that score pairs.

Owns encoders and the two kinds of critic. Imports torch; knows nothing of objectives, files or datasets.

A critic maps (n, …) rows of a and (m, …) rows of b to the (n, m) matrix of scores of every a with every b.
Blocks are standardised per coordinate with constants of the training rows, which changes no information.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

ENCODERS = ("auto", "mlp", "conv")
CRITICS = ("separable", "joint")
LONG = 512
"""Numbers of a line that is convolved: sounds, and no short series."""
_NOTHING = 1e-10


class Standardize(nn.Module):
    """x → (x − mean) / deviation per coordinate, constants of the rows given; off: the identity."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, rows: torch.Tensor, *, on: bool = True) -> None:
        super().__init__()
        deviation = rows.std(dim=0) if on else torch.ones_like(rows[0])
        self.register_buffer("mean", rows.mean(dim=0) if on else torch.zeros_like(rows[0]))
        self.register_buffer("deviation", torch.where(deviation > 0, deviation, torch.ones_like(deviation)))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return (rows - self.mean) / self.deviation


class Whiten(nn.Module):
    """x → Λ^(−1/2) Vᵀ (x − mean) with the eigenvalues and vectors of the rows' covariance, (n, kept).

    Directions in which the rows do not vary are left out.
    """

    mean: torch.Tensor
    factor: torch.Tensor

    def __init__(self, rows: torch.Tensor) -> None:
        super().__init__()
        flat = rows.flatten(1).double()
        mean = flat.mean(dim=0)
        values, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean) / (len(flat) - 1))
        kept = values > _NOTHING * values[-1]
        self.register_buffer("mean", mean.to(rows.dtype))
        self.register_buffer("factor", (vectors[:, kept] * values[kept].rsqrt()).to(rows.dtype))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        whitened: torch.Tensor = (rows.flatten(1) - self.mean) @ self.factor
        return whitened


def perceptron(inputs: int, width: int, layers: int, outputs: int) -> nn.Sequential:
    """`layers` hidden ReLU layers of equal width, then a linear one."""
    modules: list[nn.Module] = []
    for _ in range(layers):
        modules += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*modules, nn.Linear(inputs, outputs))


def from_zero(network: nn.Sequential) -> nn.Sequential:
    """The network with a last layer of zeros, so that it begins as 0."""
    for parameter in network[-1].parameters():
        nn.init.zeros_(parameter)
    return network


def convolutions(shape: Sequence[int], width: int, outputs: int) -> nn.Sequential:
    """Three strided convolutions (16, 32, 64 channels), one hidden layer, then a linear one."""
    channels, height, breadth = shape
    modules: list[nn.Module] = []
    for more in (16, 32, 64):
        modules += [nn.Conv2d(channels, more, 3, stride=2, padding=1), nn.ReLU()]
        channels, height, breadth = more, -(-height // 2), -(-breadth // 2)
    flat = channels * height * breadth
    return nn.Sequential(*modules, nn.Flatten(), nn.Linear(flat, width), nn.ReLU(), nn.Linear(width, outputs))


def line_convolutions(length: int, width: int, outputs: int) -> nn.Sequential:
    """The same along a line, for series and sounds: kernels of 9, strides of 4."""
    channels, modules = 1, list[nn.Module]()
    for more in (16, 32, 64):
        modules += [nn.Conv1d(channels, more, 9, stride=4, padding=4), nn.ReLU()]
        channels, length = more, -(-length // 4)
    hidden = [nn.Linear(channels * length, width), nn.ReLU(), nn.Linear(width, outputs)]
    return nn.Sequential(nn.Unflatten(1, (1, -1)), *modules, nn.Flatten(), *hidden)


def is_convolved(shape: Sequence[int], kind: str) -> bool:
    """Whether rows of a shape meet convolutions: images ("auto": from 8 × 8 on), and lines of at least LONG numbers."""
    if len(shape) == 3:
        return kind == "conv" or (kind == "auto" and min(shape[1:]) >= 8)
    return len(shape) == 1 and shape[0] >= LONG and kind != "mlp"


def encoder(shape: Sequence[int], kind: str, *, width: int, layers: int, outputs: int) -> nn.Module:
    """An encoder of rows of a shape: convolutions where `is_convolved`, else a perceptron.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in ENCODERS:
        raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, got {kind!r}")
    if not is_convolved(shape, kind):
        return nn.Sequential(nn.Flatten(), perceptron(math.prod(shape), width, layers, outputs))
    return convolutions(shape, width, outputs) if len(shape) == 3 else line_convolutions(shape[0], width, outputs)


class SeparableCritic(nn.Module):
    """f(a, b) = g(a) · h(b)."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.first(a) @ self.second(b).T
        return scores


class JointCritic(nn.Module):
    """f(a, b) = perceptron of (g(a), h(b)) concatenated; g and h are the identity where blocks enter as they are.

    The first layer is computed once per row, not once per pair: W (g, h) = W_a g + W_b h.
    """

    def __init__(
        self, first: nn.Module, second: nn.Module, inputs: tuple[int, int], *, width: int, layers: int
    ) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.enter_a = nn.Linear(inputs[0], width)
        self.enter_b = nn.Linear(inputs[1], width, bias=False)
        bound = 1.0 / math.sqrt(sum(inputs))  # as one layer on the concatenation would start
        for layer in (self.enter_a, self.enter_b):
            nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.uniform_(self.enter_a.bias, -bound, bound)
        self.rest = perceptron(width, width, layers - 1, 1)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.enter_a(self.first(a))[:, None] + self.enter_b(self.second(b))[None])
        scores: torch.Tensor = self.rest(hidden)[..., 0]
        return scores


class FromNothing(nn.Module):
    """A critic times a number plus a number, both 0 at first: what is read of an untrained one is no information."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.gain, self.offset = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.gain * self.inner(a, b) + self.offset
        return scores


class TwoCritics(nn.Module):
    """u(a_i, b_i) on the diagonal, of one critic, and g(a_i, b_j) − g(a_i, b_i) beside it, of another.

    Of as many rows of a as of b.
    """

    def __init__(self, contrast: nn.Module, ratio: nn.Module) -> None:
        super().__init__()
        self.contrast, self.ratio = contrast, ratio

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.contrast(a, b)
        return scores - scores.diagonal()[:, None] + torch.diag(self.ratio(a, b).diagonal())


def critic(
    kind: str,
    shapes: tuple[Sequence[int], Sequence[int]],
    *,
    encoder_kind: str,
    width: int,
    layers: int,
    embedding: int,
) -> nn.Module:
    """A critic for blocks of two shapes; () is the shape of a single number.

    separable: two encoders to `embedding` numbers. joint: a perceptron on the concatenation, of flattened rows where
    they are perceptron inputs and of `embedding` features where they are images or long lines.

    Raises:
        ValueError: an unknown kind.
    """
    if kind == "separable":
        return SeparableCritic(
            *(encoder(shape, encoder_kind, width=width, layers=layers, outputs=embedding) for shape in shapes)
        )
    if kind == "joint":
        parts = [
            encoder(shape, encoder_kind, width=width, layers=layers, outputs=embedding)
            if (len(shape) == 3 and encoder_kind != "mlp") or is_convolved(shape, encoder_kind)
            else nn.Flatten()
            for shape in shapes
        ]
        sizes = [
            math.prod(shape) if isinstance(part, nn.Flatten) else embedding
            for part, shape in zip(parts, shapes, strict=True)
        ]
        return JointCritic(parts[0], parts[1], (sizes[0], sizes[1]), width=width, layers=layers)
    raise ValueError(f"critic must be one of {', '.join(CRITICS)}, got {kind!r}")
