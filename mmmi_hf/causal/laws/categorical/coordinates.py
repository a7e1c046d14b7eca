"""What single coordinates of a latent with a categorical cause tell, by quadrature.

Owns the densities of a coordinate given the category. Imports NumPy and this room only.

A coordinate is τ t + √(1 - τ²) N(0, 1), τ the entry of the unit template there, and after whitening τ u + √(1 - τ²)
N(0, 1) with u = Φ⁻¹(F(t)).
"""

from __future__ import annotations

import math

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.integrals.divergence import divergence
from mmmi_hf.causal.laws.categorical.evidence import Evidence
from mmmi_hf.causal.laws.categorical.mixture import Mixture

_REACH = 9.5
_AT_ONCE = 1 << 21


def of_coordinate(size: float, means: Array, probabilities: Array, chances: Array, *, whitened: bool) -> float:
    """I(coordinate; label). size: |τ|; means: (C,); chances: p(label | category), (C, L)."""
    if size == 0.0 or np.ptp(means) == 0.0:
        return 0.0
    prior = probabilities @ chances
    if not whitened or size >= 1.0:
        seen = Evidence(size * means[None] if not whitened else means[None], probabilities)
        return seen.expected(lambda p: divergence(p @ chances, prior)).value
    densities, step = _densities(size, means, probabilities, whitened=True)
    total = probabilities @ densities
    kept = total > 1e-300
    posterior = (probabilities[:, None] * densities[:, kept] / total[kept]).T
    return float(step * total[kept] @ divergence(posterior @ chances, prior))


def of_two_coordinates(entries: Array, means: Array, probabilities: Array, *, whitened: bool) -> float:
    """I(coordinate of one modality; of another). entries: their two τ; means: (2, C)."""
    if np.any(entries == 0.0) or np.any(np.ptp(means, axis=1) == 0.0):
        return 0.0
    (first, h), (second, k) = (
        _densities(abs(float(size)), np.sign(size) * row, probabilities, whitened=whitened)
        for size, row in zip(entries, means, strict=True)
    )
    joint = (probabilities[:, None] * first).T @ second
    product = np.multiply.outer(probabilities @ first, probabilities @ second)
    change = np.where(product > 1e-300, joint / np.maximum(product, 1e-300) - 1.0, 0.0)
    terms = product * ((1.0 + change) * np.log1p(np.maximum(change, -1.0 + 1e-16)) - change)
    return max(0.0, float(h * k * terms.sum()))


def _densities(size: float, means: Array, probabilities: Array, *, whitened: bool) -> tuple[Array, float]:
    """p(v | category) on a grid of v, (C, n), and its step."""
    if not whitened or size >= 1.0:
        scale = 1.0 if whitened else size
        step = 0.05
        v = np.arange(scale * means.min() - _REACH, scale * means.max() + _REACH, step)
        densities = np.exp(-0.5 * np.square(v - scale * means[:, None])) / math.sqrt(2.0 * math.pi)
        return densities, step
    rest = math.sqrt((1.0 - size) * (1.0 + size))
    step, fine = min(0.1, 0.2 * rest), min(0.05, 0.1 * rest)
    v = np.arange(-_REACH, _REACH, step)
    t = np.arange(means.min() - _REACH, means.max() + _REACH, fine)
    centre = size * Mixture(means, probabilities).normal(t)
    given = np.exp(-0.5 * np.square(t - means[:, None])) * (fine / math.sqrt(2.0 * math.pi))
    total = np.zeros((len(means), len(v)))
    for start in range(0, len(t), max(1, _AT_ONCE // len(v))):
        part = slice(start, start + max(1, _AT_ONCE // len(v)))
        kernel = np.exp(-0.5 * np.square((v - centre[part, None]) / rest)) / (rest * math.sqrt(2.0 * math.pi))
        total += given[:, part] @ kernel
    return total, step
