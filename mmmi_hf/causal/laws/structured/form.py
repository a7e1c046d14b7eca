"""Queries about a structured model in canonical form.

Owns information, correlations and the pointwise information of a `Reduction`. Imports NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON, PrincipalAngles, information_of
from mmmi_hf.causal.laws.rowwise import combine
from mmmi_hf.causal.laws.structured.pointwise import in_frame, log_densities, mean_of_causes, scaled_latents
from mmmi_hf.causal.laws.structured.reduction import Reduction, stacked

_SMALL_SINE = 1e-3
LOUDEST_ROWS = 1e-2 / EPSILON
"""How far causes may exceed the noise in data: rounding of a latent then moves a whitened residual by a hundredth."""


class StructuredForm:
    """One query in canonical form."""

    def __init__(self, reduced: Reduction) -> None:
        self._reduced = reduced

    def _angles(self) -> list[PrincipalAngles]:
        """The angles of the small model, where there is one."""
        if self._reduced.drowned_rows:
            raise self._reduced.drowned()
        return [] if self._reduced.small is None else [self._reduced.small]

    def information(self) -> float:
        """Mutual information in nats: a sum of non-negative terms, or by determinants where angles are below 1e-3."""
        reduced = self._reduced
        if reduced.drowned_rows or (reduced.small is not None and reduced.small.sines[0] < _SMALL_SINE):
            return self._by_determinants()
        total = 0.0 if reduced.small is None else float(np.add.reduce(reduced.small.information_terms()))
        for channel, pairs in zip(reduced.channels, reduced.pairs, strict=True):
            if len(channel.cosines):
                terms = information_of(channel.cosines, channel.sines)
                total += (channel.size - pairs.dimensions) * float(np.add.reduce(terms))
        return total

    def _by_determinants(self) -> float:
        """I(a; b | given) from Σ_c -d ln sin_c, four ½ ln det(I + Q), and ratios of Var(y | ·) where y is asked for.

        An angle θ is known to ε only, and ln sin θ to ε / θ: large information of few coordinates needs determinants.
        """
        reduced = self._reduced
        first, second, rest, noise = [], [], [], 0.0
        for channel, (alpha, beta) in zip(reduced.channels, reduced.plain, strict=True):
            paired = len(channel.cosines)
            noise -= channel.size * float(np.add.reduce(np.log(channel.sines)))
            own = beta[:paired] - channel.cosines[:, None, None] * alpha[:paired]
            first.append(stacked(alpha))
            second.append(stacked(beta))
            rest += [stacked(own / channel.sines[:, None, None]), stacked(beta[paired:])]
        given = reduced.given_stack
        factors = [
            reduced.posterior_factor(stack)[1] for stack in (given, given + first, given + second, given + first + rest)
        ]
        # ln det(I + Q) = -2 Σ ln of the diagonal of T⁻¹
        none, with_first, with_second, with_both = (float(np.add.reduce(np.log(np.diagonal(f)))) for f in factors)
        total = noise + none + with_both - with_first - with_second
        for asked, other in zip(reduced.rows_of_target, factors[1:3], strict=True):
            if asked:
                before, after = other @ reduced.direction, factors[3] @ reduced.direction
                total += 0.5 * float(np.log((before @ before) / (after @ after)))
        return total

    def correlations(self) -> Array:
        """Canonical correlations in descending order, each as often as it occurs."""
        reduced = self._reduced
        parts = [angles.cosines for angles in self._angles()]
        parts += [
            np.repeat(channel.cosines, channel.size - pairs.dimensions)
            for channel, pairs in zip(reduced.channels, reduced.pairs, strict=True)
        ]
        return np.sort(np.concatenate([*parts, np.zeros(0)]))[::-1]

    def variance(self) -> float:
        """Σ ρ² over all canonical pairs."""
        reduced = self._reduced
        total = sum(float(np.add.reduce(angles.cosines**2)) for angles in self._angles())
        for channel, pairs in zip(reduced.channels, reduced.pairs, strict=True):
            total += (channel.size - pairs.dimensions) * float(np.add.reduce(channel.cosines**2))
        return total

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row in nats, O(d K) per row.

        Raises:
            BeyondFloat64Error: the noise is below rounding beside the causes, in the form or in float64 latents.
        """
        reduced = self._reduced
        self._angles()
        for channel, block in zip(reduced.channels, reduced.raw, strict=True):
            for part in (channel.first, channel.second):
                heard = np.tensordot(part, block, 1)
                if heard.size and float(np.sqrt(np.add.reduce(heard**2, axis=1).max())) > LOUDEST_ROWS:
                    raise reduced.drowned()
        return self.information() + log_densities(reduced, values, target)


class StructuredPosterior:
    """y | z_S ~ N(mean, variance), with Var(y | z_S) = ηᵀ (I + Q_S)⁻¹ η; of the reduction of I(y; nothing | z_S)."""

    def __init__(self, reduced: Reduction) -> None:
        self._reduced = reduced

    @property
    def variance(self) -> float:
        """Var(y | z_S)."""
        loading = self._reduced.target_loading
        return float(loading @ loading) * self._reduced.covariance.target_scale**2

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        reduced = self._reduced
        means = _relaxed_means(reduced, values)
        return np.asarray(combine(means, reduced.target_loading[None, :])[:, 0] * reduced.covariance.target_scale)


class StructuredCausesPosterior:
    """ũ | z_S ~ N(mean, factor factorᵀ) of all causes, with the covariance (I + Q_S)⁻¹; of the same reduction."""

    def __init__(self, reduced: Reduction) -> None:
        self._reduced = reduced
        self.factor: Array = np.eye(reduced.causes) if reduced.relax is None else reduced.relax.T

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[ũ | z_S] of every row, (n, K)."""
        return combine(_relaxed_means(self._reduced, values), self.factor)


def _relaxed_means(reduced: Reduction, values: Mapping[str, Array]) -> Array:
    """E[ũ' | z_S], ũ = factor ũ', of every row, (n, K)."""
    inner = [in_frame(channel, scaled_latents(reduced.covariance, channel, values)) for channel in reduced.channels]
    return mean_of_causes(reduced, inner)
