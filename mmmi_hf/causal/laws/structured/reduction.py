"""The reduction of a query about a structured model to a small exact model.

Owns the factors that information, densities and the posterior of the target are computed from. Imports NumPy and this
room only.

The causes are first conditioned on what is given. What remains of the asked blocks are, per channel, pairs of vectors
a_c = α_c ũ + n_c, b_c = β_c ũ + m_c with noise correlation ρ_c, of which only the coordinates inside span(α_c, β_c)
know of the causes, and unpaired vectors, for which one sufficient statistic of at most K numbers is kept. These small
factors go to the kernel in `canonical`; everything outside the spans is a closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import DependentRowsError, PrincipalAngles, orthonormal_rows
from mmmi_hf.causal.errors import BeyondFloat64Error
from mmmi_hf.causal.laws.structured.covariance import Channel, StructuredCovariance
from mmmi_hf.causal.queries import TARGET, Query

FIRST, SECOND = 0, 1


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


class Reduction:
    """One query as small factors."""

    def __init__(self, covariance: StructuredCovariance, query: Query, channels: list[Channel]) -> None:
        self.covariance, self.query, self.channels = covariance, query, channels
        free = covariance.causes_given_target if TARGET in query.given else None
        self.causes = len(covariance.eta) if free is None else free.shape[1]
        self.raw = [covariance.loadings(channel.members) for channel in self.channels]
        loadings = self.raw if free is None else [block @ free for block in self.raw]
        self._condition(loadings)
        self.rows_of_target = [TARGET in query.first, TARGET in query.second]
        self.direction = covariance.direction if free is None else covariance.direction @ free
        self.target_loading = self._relaxed(self.direction)
        self.plain = [
            (np.tensordot(channel.first, block, 1), np.tensordot(channel.second, block, 1))
            for channel, block in zip(self.channels, loadings, strict=True)
        ]
        whitened = [tuple(self._relaxed(side) for side in sides) for sides in self.plain]
        self.loadings = whitened
        self.pairs = [_pairs(channel, sides) for channel, sides in zip(self.channels, whitened, strict=True)]
        self.unpaired = [
            Unpaired.of(
                np.concatenate(
                    [np.zeros((0, self.causes))]
                    + [
                        stacked(sides[side][len(channel.cosines) :])
                        for channel, sides in zip(self.channels, whitened, strict=True)
                    ]
                )
            )
            for side in (FIRST, SECOND)
        ]
        self._solve()

    @classmethod
    def of(cls, covariance: StructuredCovariance, query: Query) -> Reduction | None:
        """The reduction of a query; None where the vector sources of its modalities are linearly dependent."""
        given, first, second = (
            [covariance.position[name] for name in names if name != TARGET]
            for names in (query.given, query.first, query.second)
        )
        channels = covariance.channels(given, first, second)
        return None if channels is None else cls(covariance, query, channels)

    def drowned(self) -> BeyondFloat64Error:
        """The error of causes beside which the noise is lost."""
        return BeyondFloat64Error(
            f"the noise of {', '.join(self.query.modalities)} is below rounding beside their causes: the "
            "information is beyond float64; make the mixing larger or the weights smaller"
        )

    def _condition(self, loadings: list[Array]) -> None:
        """Condition the causes on the given modalities: ũ = m + T⁻ᵀ ũ', with ũ' again standard normal."""
        stack = [
            stacked(np.tensordot(channel.given, block, 1))
            for channel, block in zip(self.channels, loadings, strict=True)
            if len(channel.given)
        ]
        self.given_stack = stack
        self.relax: Array | None = None
        self.mean_map: Array = np.zeros((self.causes, 0))
        if stack and self.causes:
            self.mean_map, self.relax = self.posterior_factor(stack)

    def posterior_factor(self, stack: list[Array]) -> tuple[Array, Array]:
        """For vectors x = W ũ + n: the map of x to E[ũ' | x] and T⁻¹, where T Tᵀ = I + Wᵀ W and ũ = T⁻ᵀ ũ'."""
        identity = np.eye(self.causes)
        try:
            basis, inverse = orthonormal_rows(np.concatenate([identity, *(part.T for part in stack)], axis=1), identity)
        except DependentRowsError:
            raise self.drowned() from None
        return basis[:, self.causes :], inverse

    def _relaxed(self, loadings: Array) -> Array:
        return loadings if self.relax is None else loadings @ self.relax.T

    def _solve(self) -> None:
        """Write both blocks as rows over independent sources and take the principal angles."""
        first, second = self._rows(FIRST), self._rows(SECOND)
        self.small: PrincipalAngles | None = None
        self.drowned_rows = False
        if not (len(first) and len(second)):
            return
        try:
            basis_a, self.whiten_a = orthonormal_rows(first, np.eye(len(first)))
            basis_b, self.whiten_b = orthonormal_rows(second, np.eye(len(second)))
        except DependentRowsError:
            self.drowned_rows = True
            return
        self.small = PrincipalAngles.between(basis_a, basis_b)

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


def stacked(loadings: Array) -> Array:
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
