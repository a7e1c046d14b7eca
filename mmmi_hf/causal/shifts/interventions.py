"""Interventions on one cause, and how far they move the law of what is seen.

Owns do(ũ_k ~ N(0, τ²)), do(ũ_k = a) and KL(do ‖ observed). Imports NumPy and this room only.

With q = w² Tᵀ Σ_do⁻¹ T the loudness of the cause beside all else in the modalities, ½ ln(1 + q) is I(x_S; ũ_k), which
the model knows. Where rows lack modalities, flags have one law observed and under the intervention, and the divergence
is the mean over patterns of that of what is there. do(x_i) leaves y alone and needs no function. Latents of an
intervened law are no longer N(0, I) under the standardisation of the observed one: a flow that maps them leaves the law
that it was trained on, or they are whitened by their own law, which hides the shift of their scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mmmi_hf.causal.arguments import Array, read_finite, read_positive, read_whole
from mmmi_hf.causal.errors import InvalidModelError, NotExactError
from mmmi_hf.causal.laws.missing.patterns import patterns
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET, Blocks, read_blocks


def with_cause_scaled(model: CausalModel, cause: int, scale: float) -> CausalModel:
    """The model under do(ũ_k ~ N(0, scale²)): column k of η and w times the scale; all formulas and absences stay.

    Args:
        model: of a Gaussian y. cause: k, from 0.

    Raises:
        InvalidModelError: no such cause or no scale.
        NotExactError: the model is not made of causes and templates alone, or has a target.
    """
    law = _structured(model)
    k, factor = read_whole("cause", cause, 0, len(model.eta) - 1), read_positive("scale", scale)
    if model.target is not None:
        raise NotExactError("targets are made of standard causes: intervene on the model without its target")
    stretch = np.ones(len(model.eta))
    stretch[k] = factor
    return _changed(law, model.eta * stretch, model.weights * stretch).with_missing(model.law.missing or None)


def divergence_of_scale(model: CausalModel, cause: int, scale: float, blocks: Blocks) -> float:
    """KL(do(ũ_k ~ N(0, scale²)) ‖ observed) of modalities in nats: ½ (λ - 1 - ln λ), λ = (1 + scale² q)/(1 + q).

    Where rows lack modalities the mean of it over patterns. Raises as `with_cause_scaled`, but for any target.
    """
    factor = read_positive("scale", scale)

    def of_pattern(heard: float) -> float:
        change = (factor - 1.0) * (factor + 1.0) * heard
        return 0.5 * (change - math.log1p(change))

    return _mean_over_patterns(model, cause, blocks, of_pattern)


def divergence_of_value(model: CausalModel, cause: int, value: float, blocks: Blocks) -> float:
    """KL(do(ũ_k = value) ‖ observed) of modalities in nats: ½ [ln(1+q) + (a² - 1) q/(1+q)]; likewise."""
    a = read_finite("value", value)
    return _mean_over_patterns(model, cause, blocks, lambda heard: 0.5 * (-math.log1p(-heard) - heard + a * a * heard))


def _structured(model: CausalModel) -> StructuredLaw:
    """The law of whole rows without a target."""
    law = model.with_target(None).law.whole
    if not isinstance(law, StructuredLaw):
        raise NotExactError(f"a {law.kind} model has no causes to intervene on; take one of eta, weights and mixing")
    return law


def _mean_over_patterns(model: CausalModel, cause: int, blocks: Blocks, of: Callable[[float], float]) -> float:
    """The mean over patterns of what rows have of the blocks: of a function of q/(1 + q) = 1 - e^{-2 I(x_S; ũ_k)}."""
    law = _structured(model)
    if TARGET in ([blocks] if isinstance(blocks, str) else list(blocks)):
        raise InvalidModelError("blocks name y, expected modalities: what is intervened on may fix y")
    names = read_blocks("blocks", blocks, model.shapes)
    k = read_whole("cause", cause, 0, len(model.eta) - 1)
    of_cause = _changed(law, np.eye(len(model.eta))[k], model.weights)
    return math.fsum(
        chance * of(-math.expm1(-2.0 * of_cause.mutual_information(there, TARGET)))
        for chance, there in patterns(names, model.law.missing)
        if there
    )


def _changed(law: StructuredLaw, eta: Array, weights: Array) -> CausalModel:
    """The model of whole rows with other coefficients of its causes."""
    parts = law.structure
    templates = [[parts.template(i, k) for k in range(len(eta))] for i in range(len(weights))]
    return CausalModel(eta, weights, parts.mixing, shape=list(law.shapes.values()), templates=templates)
