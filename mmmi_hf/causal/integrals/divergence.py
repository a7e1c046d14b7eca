"""Sums over classes: information of a posterior beside the prior. Imports NumPy and this room only."""

from __future__ import annotations

import numpy as np

from mmmi_hf.causal.arguments import Array


def divergence(posterior: Array, prior: Array) -> Array:
    """Σ_k p_k ln(p_k / P_k) of every row of (n, K), as a sum of non-negative terms, also where it is tiny."""
    change = posterior / prior - 1.0
    ratio = np.maximum(1.0 + change, np.finfo(np.float64).tiny)
    near = np.abs(change) < 1e-2
    c = np.where(near, change, 0.0)
    # (1 + c) ln(1 + c) - c
    series = c * c * (1 / 2 - c * (1 / 6 - c * (1 / 12 - c * (1 / 20 - c * (1 / 30 - c * (1 / 42 - c / 56))))))
    terms = np.where(near, series, ratio * np.log(ratio) - change)
    return np.asarray((prior * terms).sum(axis=1))


def second_moment(posterior: Array, prior: Array) -> Array:
    """Σ_k p_k ln²(p_k / P_k) of every row of (n, K)."""
    ratio = np.maximum(posterior / prior, np.finfo(np.float64).tiny)
    return np.asarray((posterior * np.log(ratio) ** 2).sum(axis=1))


def of_posterior(mass: Array, posterior: Array, prior: Array) -> tuple[Array, Array]:
    """Weights and values of ln(p_k / P_k): points of some mass, (n,), with a posterior each, (n, K)."""
    weights = (mass[:, None] * posterior).ravel()
    kept = weights > 0.0
    return weights[kept], np.log(posterior / prior, where=posterior > 0.0, out=np.zeros_like(posterior)).ravel()[kept]


def entropy(prior: Array) -> float:
    """H in nats."""
    return float(-(prior[prior > 0.0] * np.log(prior[prior > 0.0])).sum())
