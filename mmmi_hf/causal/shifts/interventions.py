"""Interventions on one cause, and how far they move the law of what is seen.

Owns do(ũ_k ~ N(0, τ²)), do(ũ_k = a) and KL(do ‖ observed). Imports NumPy and this room only.

With q = w² Tᵀ Σ_do⁻¹ T the loudness of the cause beside all else in the modalities, ½ ln(1 + q) is I(x_S; ũ_k), which
the model knows. do(x_i) leaves y alone and needs no function. Latents of an intervened law are no longer N(0, I) under
the standardisation of the observed one: a flow that maps them leaves the law that it was trained on, or they are
whitened by their own law, which hides the shift of their scale.
"""

from __future__ import annotations

import math

import numpy as np

from mmmi_hf.causal.arguments import Array, read_finite, read_positive, read_whole
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET, Blocks


def with_cause_scaled(model: CausalModel, cause: int, scale: float) -> CausalModel:
    """The model under do(ũ_k ~ N(0, scale²)): column k of η and w times the scale; all formulas stay.

    Args:
        model: of a Gaussian y. cause: k, from 0.

    Raises:
        InvalidModelError: no such cause or no scale.
        NotExactError: the model has no causes, or a target that is made of standard ones.
    """
    k, factor = _cause(model, cause), read_positive("scale", scale)
    if model.target is not None:
        raise NotExactError("targets are made of standard causes: intervene on the model without its target")
    stretch = np.ones(len(model.eta))
    stretch[k] = factor
    return _changed(model, model.eta * stretch, model.weights * stretch)


def divergence_of_scale(model: CausalModel, cause: int, scale: float, blocks: Blocks) -> float:
    """KL(do(ũ_k ~ N(0, scale²)) ‖ observed) of modalities in nats: ½ (λ - 1 - ln λ), λ = (1 + scale² q)/(1 + q)."""
    factor = read_positive("scale", scale)
    heard = _heard(model, _cause(model, cause), blocks)
    change = (factor - 1.0) * (factor + 1.0) * heard
    return 0.5 * (change - math.log1p(change))


def divergence_of_value(model: CausalModel, cause: int, value: float, blocks: Blocks) -> float:
    """KL(do(ũ_k = value) ‖ observed) of modalities in nats: ½ [ln(1+q) + (a² - 1) q/(1+q)]."""
    a = read_finite("value", value)
    heard = _heard(model, _cause(model, cause), blocks)
    return 0.5 * (-math.log1p(-heard) - heard + a * a * heard)


def _cause(model: CausalModel, cause: int) -> int:
    if model.structure is None:
        raise NotExactError("a model of a matrix has no causes to intervene on; give eta, weights, mixing")
    return read_whole("cause", cause, 0, len(model.eta) - 1)


def _heard(model: CausalModel, cause: int, blocks: Blocks) -> float:
    """q / (1 + q) = 1 - e^{-2 I(x_S; ũ_k)}."""
    if TARGET in ([blocks] if isinstance(blocks, str) else list(blocks)):
        raise InvalidModelError("blocks name y, expected modalities: what is intervened on may fix y")
    of_cause = _changed(model, np.eye(len(model.eta))[cause], model.weights)
    return -math.expm1(-2.0 * of_cause.mutual_information(blocks, TARGET))


def _changed(model: CausalModel, eta: Array, weights: Array) -> CausalModel:
    """The model with other coefficients of its causes."""
    templates = [[model.template(i, k) for k in range(len(eta))] for i in range(len(weights))]
    return CausalModel(eta, weights, model.mixing, shape=list(model.shapes.values()), templates=templates)
