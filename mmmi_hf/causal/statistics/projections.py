"""Linear features of latents and their declared covariance: what tests of recovered latents are made of.

Owns the choice of directions and the covariance that a causal model declares for them. Imports NumPy, SciPy and this
room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import fft

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.template_bank import Shape

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
    candidates = [*_declared(model, name, kind), *_smooth(shape), *generator.standard_normal((RANDOM_DIRECTIONS, size))]
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
    if is_dense(model):
        matrix, begin = model.matrix, 1
        factors = [matrix[:1]]
        for name, shape in model.shapes.items():
            end = begin + math.prod(shape)
            if name in loadings:
                factors.append(loadings[name] @ matrix[begin:end])
            begin = end
        factor = np.concatenate(factors)
        return np.asarray(factor @ factor.T)
    position = {name: i for i, name in enumerate(model.modalities)}
    causes = [model.eta[None, :]]
    for name, rows in loadings.items():
        block = np.zeros((len(rows), len(model.eta)))
        for k in range(len(model.eta)):
            template = model.template(position[name], k)
            if template is not None:
                block[:, k] = model.weights[position[name], k] * (rows @ template.ravel())
        causes.append(block)
    factor = np.concatenate(causes)
    covariance = factor @ factor.T
    noise = model.mixing @ model.mixing.T
    at = 1
    for first, rows in loadings.items():
        column = 1
        for second, others in loadings.items():
            shared = noise[position[first], position[second]]
            if shared != 0.0:
                covariance[at : at + len(rows), column : column + len(others)] += shared * (rows @ others.T)
            column += len(others)
        at += len(rows)
    return np.asarray(covariance)


def bases(values: Array, shape: Shape) -> dict[str, Array]:
    """(n, d) in orthonormal bases: coordinates, and cosine coefficients over the last two axes (one of a series)."""
    axes = tuple(range(-min(len(shape), 2), 0))
    if all(shape[axis] == 1 for axis in axes):
        return {"coordinate": values}
    cosines = fft.dctn(values.reshape(-1, *shape), axes=axes, norm="ortho").reshape(values.shape)
    return {"coordinate": values, "cosine coefficient": cosines}


def is_dense(model: CausalModel) -> bool:
    """Whether the model was given as a matrix."""
    try:
        _ = model.matrix
    except AttributeError:
        return False
    return True


def _declared(model: CausalModel, name: str, kind: str) -> list[Array]:
    """Directions of the common causes in the standardised latent; for dense models that of y."""
    shape = model.shapes[name]
    if is_dense(model):
        begin = 1 + sum(math.prod(model.shapes[other]) for other in model.modalities[: model.modalities.index(name)])
        block = model.matrix[begin : begin + math.prod(shape)]
        found = [block @ model.matrix[0]]
    else:
        position = model.modalities.index(name)
        templates = [model.template(position, k) for k in range(len(model.eta)) if model.weights[position, k] != 0.0]
        found = [template.ravel() for template in templates if template is not None]
    return [model.standardize_latents(row.reshape(1, *shape), name, kind).ravel() for row in found]


def _smooth(shape: tuple[int, ...]) -> list[Array]:
    """The lowest cosine patterns over the last two axes (one axis for series), of each leading index by itself."""
    axes = min(len(shape), 2)
    grid, leading = shape[-axes:], shape[:-axes]
    patterns = []
    for index in np.ndindex(*leading):
        for frequency in np.ndindex(*(min(FREQUENCIES, n) for n in grid)):
            spectrum = np.zeros(shape)
            spectrum[index + frequency] = 1.0
            patterns.append(fft.idctn(spectrum, axes=range(-axes, 0), norm="ortho").ravel())
    return patterns[:64]
