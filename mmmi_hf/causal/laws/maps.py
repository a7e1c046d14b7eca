"""Where in a latent the information sits: the mutual information of every single coordinate.

Owns maps of I(z_a[c]; y) and I(z_a[c]; z_b[c]) over the coordinates c of a modality, of rows over independent sources.
They describe latents, not images, and do not add up to the information of the whole latent. Imports NumPy and this room
only.
"""

from __future__ import annotations

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON, information_of
from mmmi_hf.causal.errors import BeyondFloat64Error

_SMALLEST_SINE = 1e-8
"""Between two coordinates: a sine is known to ε, and so 18 nats to one part in 1e9."""


def of_target(name: str, rows: Array, direction: Array, noise: Array | None = None) -> Array:
    """I(z_a[c]; y) of every coordinate, (d,): ½ ln(Var(z_c) / Var(z_c | y)), in nats.

    Args:
        name: the modality, for the message.
        rows: (d, m), the coordinates over the sources that y is made of; direction: (m,), y over the same.
        noise: (d,), the variance of what else the coordinates hold.
    """
    direction = direction / np.sqrt(direction @ direction)
    along = rows @ direction
    rest = np.add.reduce((rows - np.multiply.outer(along, direction)) ** 2, axis=1)
    lost = (8.0 * EPSILON) ** 2 * along * along if np.count_nonzero(direction) > 1 else np.zeros(len(along))
    if noise is not None:
        rest = rest + noise
    if not np.all(rest > lost):
        raise BeyondFloat64Error(
            f"a coordinate of {name} came out with the variance {float(rest.min())} beside y; its noise is below "
            "rounding: make the mixing larger or the weights smaller"
        )
    return np.asarray(0.5 * np.log1p(along * along / rest))


def of_pair(a: str, b: str, first: Array, second: Array) -> Array:
    """I(z_a[c]; z_b[c]) of every coordinate, (d,): -½ ln(1 - ρ_c²), in nats; both (d, m) over the same sources."""
    first, second = (rows / np.sqrt(np.add.reduce(rows * rows, axis=1, keepdims=True)) for rows in (first, second))
    cosines = np.add.reduce(first * second, axis=1, keepdims=True)
    sines = np.sqrt(np.add.reduce((second - cosines * first) ** 2, axis=1))
    if not np.all(sines > _SMALLEST_SINE):
        raise BeyondFloat64Error(
            f"a coordinate of {a} and {b} came out with the correlation {float(np.abs(cosines).max())!r}; their "
            "noise is below rounding: make the mixing larger or the weights smaller"
        )
    return information_of(np.abs(cosines[:, 0]), sines)
