"""Tests of pointwise information: of blocks that are Gaussian, and of any y given recovered latents.

Owns their null distributions, exact or conservative at any sample size. Imports NumPy, SciPy and this room only.

A class given the latents has the declared posterior, so that Σ_r w_r(y_r) is a sum of independent numbers of known
laws: by Chernoff P(S ≥ x) ≤ min_t exp(Σ_r ln Σ_k p_rk e^{t w_r(k)} - t x). Weights are the pointwise information, which
finds labels that go with other images, and the indicator of each class. Of other numbers, E e^{-i} ≤ 1 for the declared
law, hence P(Σ i ≤ -c) ≤ e^{-c}: one-sided, and it finds numbers that go with other images only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import scipy

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.latents import Latents
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.queries import TARGET, Blocks
from mmmi_hf.causal.statistics.p_values import Test, chernoff, smallest

SMALLEST_DEVIATION = 5e-4
"""Standard deviation, in units of each feature's own, of the noise that is added to features (and to their covariance)
before they are tested: 25 times what a latent may be off (2e-5). Where the model predicts a feature more closely, from
7.6 nats on, errors of the round trip would be taken for departures from the law; from 18 nats on the covariance is
singular in float64."""
_STEEPEST = 60.0
_RAREST = 1e-300


def information_tests(model: CausalModel, latents: Latents, pairs: Sequence[tuple[Blocks, str]]) -> list[Test]:
    """Mean pointwise information of pairs of Gaussian blocks: Σ_r (i_r - I) = Σ (ρ_c / 2)(u² - v²) with unit normals.

    Its tail is bounded by Chernoff: ln E exp(t Σ) = -(n/2) Σ_c ln(1 - ρ_c² t²). Blocks that predict each other more
    closely than SMALLEST_DEVIATION are left to the other tests: their pointwise information amplifies every error.

    Raises:
        NotExactError: blocks that are not Gaussian.
    """
    p_values, names = [], []
    for first, second in pairs:
        correlations = model.canonical_correlations(first, second)
        correlations = correlations[correlations > 1e-9]
        if not len(correlations) or 1.0 - correlations.max() ** 2 < SMALLEST_DEVIATION**2:
            continue
        pointwise = model.pointwise_mutual_information(latents, first, second)
        excess = abs(float(np.sum(pointwise - model.mutual_information(first, second))))
        weights = np.concatenate([correlations, -correlations]) / 2.0
        p_values.append(2.0 * math.exp(chernoff(excess, weights, len(latents))))
        names.append(f"{_named(first)} and {second}")
    return [smallest("information", np.array(p_values), names)] if names else []


def likelihood_tests(model: CausalModel, latents: Latents, pairs: Sequence[tuple[Blocks, str]]) -> list[Test]:
    """Pairs of blocks of any law: e^{Σ i} where it is below 1, one-sided."""
    sums = [float(model.pointwise_mutual_information(latents, a, b).sum()) for a, b in pairs]
    names = [f"{_named(a)} and {b}" for a, b in pairs]
    return [smallest("likelihood", np.exp(np.minimum(0.0, sums)), names)] if pairs else []


def likelihoods_of_absences(model: CausalModel, latents: Latents) -> list[Test]:
    """`likelihood_tests` of all rows by the law with absences: two modalities, one and y, and all and y.

    Gaussian blocks that predict each other more closely than SMALLEST_DEVIATION are left out, as `information_tests`
    leaves them out.
    """
    names = model.modalities
    sets: list[Blocks] = [*names, *([names] if len(names) > 1 else [])]
    pairs: list[tuple[Blocks, str]] = [*combinations(names, 2), *((blocks, TARGET) for blocks in sets)]
    whole = CausalModel.of_law(model.law.whole)
    return likelihood_tests(model, latents, [pair for pair in pairs if not _predicted(whole, *pair)])


def _predicted(model: CausalModel, first: Blocks, second: str) -> bool:
    try:
        correlations = model.canonical_correlations(first, second)
    except NotExactError:
        return False
    return 1.0 - float(correlations.max(initial=0.0)) ** 2 < SMALLEST_DEVIATION**2


def target_tests(model: CausalModel, latents: Latents) -> list[Test]:
    """Tests of y given each modality of `latents`, and given all of them; where there are none, of classes alone."""
    names = tuple(latents.z)
    sets: list[Blocks] = [*names, *([names] if len(names) > 1 else [])]
    if model.classes is not None:
        looks = [look for blocks in sets or [()] for look in _classes(model, latents, blocks)]
        return [smallest("classes given latents", np.array([p for p, _ in looks]), [where for _, where in looks])]
    try:
        tests = information_tests(model, latents, [(blocks, TARGET) for blocks in sets])
    except NotExactError:
        return likelihood_tests(model, latents, [(blocks, TARGET) for blocks in sets])
    return [Test("information about y", test.p_value, test.where) for test in tests]


def _classes(model: CausalModel, latents: Latents, blocks: Blocks) -> list[tuple[float, str]]:
    """p-values, two-sided, of the pointwise information and of how often each class occurs; blocks may be empty."""
    found = latents.y.astype(np.int64)
    posterior = model.class_posterior(latents, blocks) if blocks else np.tile(model.class_prior, (len(found), 1))
    logs = np.log(np.maximum(posterior, _RAREST))
    weights = {"pointwise information": logs - np.log(model.class_prior)}
    weights |= {f"class {k}": np.broadcast_to(row, logs.shape) for k, row in enumerate(np.eye(logs.shape[1]))}
    looks = []
    for what, each in weights.items():
        centred = each - (np.exp(logs) * each).sum(axis=1, keepdims=True)
        excess = float(centred[np.arange(len(found)), found].sum())
        p_value = _two_sided(logs, centred if excess > 0.0 else -centred, abs(excess))
        looks.append((p_value, f"{_named(blocks)}, {what}"))
    return looks


def _two_sided(logs: Array, weights: Array, excess: float) -> float:
    """2 min_t exp(Σ_r ln Σ_k p_rk e^{t w_rk} - t x), at most 1."""

    def exponent(t: float) -> float:
        return float(scipy.special.logsumexp(logs + t * weights, axis=1).sum()) - t * excess

    best = scipy.optimize.minimize_scalar(exponent, bounds=(0.0, _STEEPEST), method="bounded")
    return min(1.0, 2.0 * math.exp(min(0.0, float(best.fun))))


def _named(blocks: Blocks) -> str:
    return blocks if isinstance(blocks, str) else ",".join(blocks) or "y"
