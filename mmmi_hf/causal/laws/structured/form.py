"""Queries about a structured model in canonical form, and the posterior of its target.

Owns the reduction of a query to a small exact model. Imports NumPy and this room only.

The causes are first conditioned on what is given. What remains of the asked blocks are, per channel, pairs of vectors
a_c = α_c ũ + n_c, b_c = β_c ũ + m_c with noise correlation ρ_c, of which only the coordinates inside span(α_c, β_c)
know of the causes, and unpaired vectors, for which one sufficient statistic of at most K numbers is kept. These small
factors go to the kernel in `canonical`; everything outside the spans is a closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.canonical import (
    EPSILON,
    Array,
    DependentRowsError,
    PrincipalAngles,
    information_of,
    orthonormal_rows,
)
from mmmi_hf.causal.errors import BeyondFloat64Error
from mmmi_hf.causal.laws.structured.covariance import Channel, StructuredCovariance
from mmmi_hf.causal.laws.structured.pointwise import log_densities
from mmmi_hf.causal.queries import TARGET, Query

FIRST, SECOND = 0, 1
_SMALL_SINE = 1e-3
_LOUDEST_ROWS = 1e-2 / EPSILON
"""How far causes may exceed the noise in data: rounding of a latent then moves a whitened residual by a hundredth."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The paired vectors of one channel, reduced to the span of their loadings.

    span: (p, r, s) orthonormal columns of the span in the frame's coordinates, or None where s = r (all of it).
    sides: the loadings of the first and of the second vectors in the span, each (p, s, K).
    """

    span: Array | None
    sides: tuple[Array, Array]

    @property
    def dimensions(self) -> int:
        """s, coordinates that know of the causes."""
        return int(self.sides[0].shape[1])


@dataclass(frozen=True, eq=False)
class Unpaired:
    """Vectors of one block whose noise is independent of the other block's: x = Λ ũ + n, stacked over channels.

    fold: (m, s) orthonormal columns with statistic foldᵀ x, or None where the stack itself is kept.
    loadings: (s, K) of the statistic.
    """

    fold: Array | None
    loadings: Array

    @classmethod
    def of(cls, stack: Array) -> Unpaired:
        """The statistic of a stack (m, K); it has min(m, K) entries."""
        if stack.shape[1] == 0:
            return cls(np.zeros((len(stack), 0)), np.zeros((0, 0)))
        if len(stack) <= stack.shape[1]:
            return cls(None, stack)
        fold, loadings = np.linalg.qr(stack)
        return cls(fold, loadings)


class StructuredForm:
    """One query in canonical form."""

    def __init__(self, covariance: StructuredCovariance, query: Query) -> None:
        self.covariance, self.query = covariance, query
        given, first, second = (
            [covariance.position[name] for name in names if name != TARGET]
            for names in (query.given, query.first, query.second)
        )
        self.channels = covariance.channels(given, first, second, query)
        free = covariance.causes_given_target if TARGET in query.given else None
        self.causes = len(covariance.eta) if free is None else free.shape[1]
        self._raw = [covariance.loadings(channel.members) for channel in self.channels]
        loadings = self._raw if free is None else [block @ free for block in self._raw]
        self._condition(loadings)
        self.rows_of_target = [TARGET in query.first, TARGET in query.second]
        self._direction = covariance.direction if free is None else covariance.direction @ free
        self.target_loading = self._relaxed(self._direction)
        self._plain = [
            (np.tensordot(channel.first, block, 1), np.tensordot(channel.second, block, 1))
            for channel, block in zip(self.channels, loadings, strict=True)
        ]
        whitened = [tuple(self._relaxed(side) for side in sides) for sides in self._plain]
        self.loadings = whitened
        self.pairs = [_pairs(channel, sides) for channel, sides in zip(self.channels, whitened, strict=True)]
        self.unpaired = [
            Unpaired.of(
                np.concatenate(
                    [np.zeros((0, self.causes))]
                    + [
                        _stacked(sides[side][len(channel.cosines) :])
                        for channel, sides in zip(self.channels, whitened, strict=True)
                    ]
                )
            )
            for side in (FIRST, SECOND)
        ]
        self._solve()

    def _drowned(self) -> BeyondFloat64Error:
        return BeyondFloat64Error(
            f"the noise of {', '.join(self.query.modalities)} is below rounding beside their causes: the "
            "information is beyond float64; make the mixing larger or the weights smaller"
        )

    def _condition(self, loadings: list[Array]) -> None:
        """Condition the causes on the given modalities: ũ = m + T⁻ᵀ ũ', with ũ' again standard normal."""
        stack = [
            _stacked(np.tensordot(channel.given, block, 1))
            for channel, block in zip(self.channels, loadings, strict=True)
            if len(channel.given)
        ]
        self._given_stack = stack
        self.relax: Array | None = None
        self.mean_map: Array = np.zeros((self.causes, 0))
        if stack and self.causes:
            self.mean_map, self.relax = self._posterior_factor(stack)

    def _posterior_factor(self, stack: list[Array]) -> tuple[Array, Array]:
        """For vectors x = W ũ + n: the map of x to E[ũ' | x] and T⁻¹, where T Tᵀ = I + Wᵀ W and ũ = T⁻ᵀ ũ'."""
        identity = np.eye(self.causes)
        try:
            basis, inverse = orthonormal_rows(np.concatenate([identity, *(part.T for part in stack)], axis=1), identity)
        except DependentRowsError:
            raise self._drowned() from None
        return basis[:, self.causes :], inverse

    def _relaxed(self, loadings: Array) -> Array:
        return loadings if self.relax is None else loadings @ self.relax.T

    def _solve(self) -> None:
        """Write both blocks as rows over independent sources and take the principal angles."""
        first, second = self._rows(FIRST), self._rows(SECOND)
        self.small: PrincipalAngles | None = None
        self._drowned_rows = False
        if not (len(first) and len(second)):
            return
        try:
            basis_a, self.whiten_a = orthonormal_rows(first, np.eye(len(first)))
            basis_b, self.whiten_b = orthonormal_rows(second, np.eye(len(second)))
        except DependentRowsError:
            self._drowned_rows = True
            return
        self.small = PrincipalAngles.between(basis_a, basis_b)

    def _angles(self) -> list[PrincipalAngles]:
        """The angles of the small model, where there is one."""
        if self._drowned_rows:
            raise self._drowned()
        return [] if self.small is None else [self.small]

    def _rows(self, side: int) -> Array:
        """One block over the sources (causes, shared noise, own noise of the second, unpaired noise of each)."""
        paired = sum(
            len(channel.cosines) * pairs.dimensions for channel, pairs in zip(self.channels, self.pairs, strict=True)
        )
        own = [len(block.loadings) for block in self.unpaired]
        head = int(self.rows_of_target[side])
        rows = np.zeros((head + paired + own[side], self.causes + 2 * paired + own[0] + own[1]))
        if head:
            rows[0, : self.causes] = self.target_loading
        at, column = head, self.causes
        for channel, pairs in zip(self.channels, self.pairs, strict=True):
            count = len(channel.cosines) * pairs.dimensions
            if not count:
                continue
            rows[at : at + count, : self.causes] = pairs.sides[side].reshape(count, self.causes)
            diagonal = np.arange(count)
            if side == FIRST:
                rows[at + diagonal, column + diagonal] = 1.0
            else:
                rows[at + diagonal, column + diagonal] = np.repeat(channel.cosines, pairs.dimensions)
                rows[at + diagonal, column + paired + diagonal] = np.repeat(channel.sines, pairs.dimensions)
            at, column = at + count, column + count
        rows[at:, : self.causes] = self.unpaired[side].loadings
        offset = self.causes + 2 * paired + (own[0] if side == SECOND else 0)
        rows[at:, offset : offset + own[side]] = np.eye(own[side])
        return rows

    def information(self) -> float:
        """Mutual information in nats: a sum of non-negative terms, or by determinants where angles are below 1e-3."""
        if self._drowned_rows or (self.small is not None and self.small.sines[0] < _SMALL_SINE):
            return self._by_determinants()
        total = 0.0 if self.small is None else float(np.add.reduce(self.small.information_terms()))
        for channel, pairs in zip(self.channels, self.pairs, strict=True):
            if len(channel.cosines):
                terms = information_of(channel.cosines, channel.sines)
                total += (channel.size - pairs.dimensions) * float(np.add.reduce(terms))
        return total

    def _by_determinants(self) -> float:
        """I(a; b | given) from Σ_c -d ln sin_c, four ½ ln det(I + Q), and ratios of Var(y | ·) where y is asked for.

        An angle θ is known to ε only, and ln sin θ to ε / θ: large information of few coordinates needs determinants.
        """
        first, second, rest, noise = [], [], [], 0.0
        for channel, (alpha, beta) in zip(self.channels, self._plain, strict=True):
            paired = len(channel.cosines)
            noise -= channel.size * float(np.add.reduce(np.log(channel.sines)))
            own = beta[:paired] - channel.cosines[:, None, None] * alpha[:paired]
            first.append(_stacked(alpha))
            second.append(_stacked(beta))
            rest += [_stacked(own / channel.sines[:, None, None]), _stacked(beta[paired:])]
        given = self._given_stack
        factors = [
            self._posterior_factor(stack)[1] for stack in (given, given + first, given + second, given + first + rest)
        ]
        # ln det(I + Q) = -2 Σ ln of the diagonal of T⁻¹
        none, with_first, with_second, with_both = (float(np.add.reduce(np.log(np.diagonal(f)))) for f in factors)
        total = noise + none + with_both - with_first - with_second
        for asked, other in zip(self.rows_of_target, factors[1:3], strict=True):
            if asked:
                before, after = other @ self._direction, factors[3] @ self._direction
                total += 0.5 * float(np.log((before @ before) / (after @ after)))
        return total

    def correlations(self) -> Array:
        """Canonical correlations in descending order, each as often as it occurs."""
        parts = [angles.cosines for angles in self._angles()]
        parts += [
            np.repeat(channel.cosines, channel.size - pairs.dimensions)
            for channel, pairs in zip(self.channels, self.pairs, strict=True)
        ]
        return np.sort(np.concatenate([*parts, np.zeros(0)]))[::-1]

    def squared_correlations(self) -> float:
        """Σ ρ² over all canonical pairs."""
        total = sum(float(np.add.reduce(angles.cosines**2)) for angles in self._angles())
        for channel, pairs in zip(self.channels, self.pairs, strict=True):
            total += (channel.size - pairs.dimensions) * float(np.add.reduce(channel.cosines**2))
        return total

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row in nats, O(d K) per row.

        Raises:
            BeyondFloat64Error: the noise is below rounding beside the causes, in the form or in float64 latents.
        """
        self._angles()
        for channel, block in zip(self.channels, self._raw, strict=True):
            for part in (channel.first, channel.second):
                heard = np.tensordot(part, block, 1)
                if heard.size and float(np.sqrt(np.add.reduce(heard**2, axis=1).max())) > _LOUDEST_ROWS:
                    raise self._drowned()
        return self.information() + log_densities(self, values, target)


def _stacked(loadings: Array) -> Array:
    """(n, r, K) to (n r, K)."""
    return loadings.reshape(loadings.shape[0] * loadings.shape[1], loadings.shape[2])


def _pairs(channel: Channel, sides: tuple[Array, ...]) -> Pairs:
    paired = len(channel.cosines)
    alpha, beta = sides[FIRST][:paired], sides[SECOND][:paired]
    causes, rank = alpha.shape[2], alpha.shape[1]
    if rank <= 2 * causes:
        return Pairs(None, (alpha, beta))
    if causes == 0 or paired == 0:
        empty = np.zeros((paired, 0, causes))
        return Pairs(np.zeros((paired, rank, 0)), (empty, empty))
    span, joint = np.linalg.qr(np.concatenate([alpha, beta], axis=2))
    return Pairs(span, (joint[:, :, :causes], joint[:, :, causes:]))
