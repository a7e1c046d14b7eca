"""Linear features of latents and their declared covariance: what tests of recovered latents are made of.

Owns the choice of directions and the covariance that a causal model declares for them. Imports NumPy, SciPy and this
room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.model import CausalModel

FREQUENCIES = 3
RANDOM_DIRECTIONS = 4


def probing_directions(model: CausalModel, name: str, kind: str, generator: np.random.Generator) -> Array:
    """Orthonormal directions of one modality's standardised latent, (p, d), p ≤ d.

    First the directions in which the model says that y and the common causes show, then the lowest cosine patterns of
    each channel (the constant among them), which the model may or may not use, then random ones.

    Args:
        model, name, kind: the model, the modality and the standardisation of its latents.
        generator: of the random directions.
    """
    shape = model.shapes[name]
    size = math.prod(shape)
    shown = [row.reshape(1, *shape) for row in model.law.moments.directions(name)]
    declared = [model.standardize_latents(row, name, kind).ravel() for row in shown]
    candidates = [*declared, *_smooth(shape), *generator.standard_normal((RANDOM_DIRECTIONS, size))]
    basis: list[Array] = []
    for candidate in candidates:
        length = math.sqrt(float(candidate @ candidate))
        if len(basis) == size or length == 0.0:
            continue
        rest = candidate / length
        for _ in range(2):
            for row in basis:
                rest = rest - (rest @ row) * row
        norm = math.sqrt(float(rest @ rest))
        if norm > 1e-6:
            basis.append(rest / norm)
    return np.array(basis)


def declared_covariance(model: CausalModel, directions: Mapping[str, Array], kind: str) -> Array:
    """Covariance of (y, features of every modality), features being directions @ standardised latent.

    Args:
        directions: modality → (p_i, d_i), in the order of the features.
        kind: the standardisation.

    Returns:
        (1 + Σ p_i, 1 + Σ p_i).
    """
    # Standardisers are symmetric maps, so that eᵀ(S z) = (S e)ᵀ z.
    loadings = {
        name: model.standardize_latents(rows.reshape(len(rows), *model.shapes[name]), name, kind).reshape(rows.shape)
        for name, rows in directions.items()
    }
    return model.law.moments.covariance(loadings)


def bases(values: Array, shape: Shape) -> dict[str, Array]:
    """(n, d) in orthonormal bases: coordinates, and cosine coefficients over the last two axes (one of a series)."""
    axes = tuple(range(-min(len(shape), 2), 0))
    if all(shape[axis] == 1 for axis in axes):
        return {"coordinate": values}
    cosines = scipy.fft.dctn(values.reshape(-1, *shape), axes=axes, norm="ortho").reshape(values.shape)
    return {"coordinate": values, "cosine coefficient": cosines}


def _smooth(shape: tuple[int, ...]) -> list[Array]:
    """The lowest cosine patterns over the last two axes (one axis for series), of each leading index by itself."""
    axes = min(len(shape), 2)
    grid, leading = shape[-axes:], shape[:-axes]
    patterns = []
    for index in np.ndindex(*leading):
        for frequency in np.ndindex(*(min(FREQUENCIES, n) for n in grid)):
            spectrum = np.zeros(shape)
            spectrum[index + frequency] = 1.0
            patterns.append(scipy.fft.idctn(spectrum, axes=range(-axes, 0), norm="ortho").ravel())
    return patterns[:64]
