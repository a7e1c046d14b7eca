"""The structured joint covariance of a causal model: Kronecker part of the vector sources, low rank of the causes.

Owns, per query, the whitening of the vector sources and their canonical pairs. With loadings L (the weighted templates)
the joint law of modalities is Cov(z) = (G Gᵀ) ⊗ I_d + L Lᵀ. Imports NumPy and this room only; knows nothing of names'
order in files, of sampling or of JSON.

Modalities that share no vector source, directly or through others, are independent given the causes. Each such group
is one `Channel`: in it the noise of the asked blocks is whitened and paired canonically, n_c with m_c, correlation ρ_c
in every one of the d coordinates. Outside the span of the templates nothing else happens, so that part's information
is (d - r) Σ_c -½ ln(1 - ρ_c²) exactly, and r coordinates remain for the small exact model of `structured_form`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import EPSILON, DependentRowsError, PrincipalAngles, orthonormal_rows
from mmmi_hf.causal.errors import BeyondFloat64Error, InfiniteInformationError, InvalidModelError
from mmmi_hf.causal.laws.spans import dependent
from mmmi_hf.causal.queries import Query
from mmmi_hf.causal.template_bank import Frame, TemplateBank

_LOUDEST = 1e120  # how far causes may exceed the noise, so that squares stay in float64


@dataclass(frozen=True, eq=False)
class Channel:
    """Modalities of one query that are connected by vector sources.

    members: modality numbers, those given first, then those of the first and of the second block.
    given, first, second: rows over members that whiten the vector sources of each part; first and second are what the
        given ones leave, rotated so that row c of both is canonical pair c for c < len(cosines).
    cosines, sines: the canonical correlations of the vector sources and their complements sqrt(1 - ρ²).
    frame: of all templates of the members' shape; size: d.
    """

    members: tuple[int, ...]
    given: Array
    first: Array
    second: Array
    cosines: Array
    sines: Array
    frame: Frame
    size: int


class StructuredCovariance:
    """Second moments of y = Σ η_k ũ_k and z_i = Σ_k w_ik T_ik ũ_k + Σ_j G_ij û_j.

    Args:
        eta, weights, mixing: (K,), (M, K), (M, J), validated.
        bank: the templates.

    Every modality is divided by its largest mixing coefficient, `scale`, which changes no information.

    Raises:
        InvalidModelError: weighted templates exceed the noise by more than float64 can hold.
    """

    def __init__(self, eta: Array, weights: Array, mixing: Array, bank: TemplateBank) -> None:
        self.eta, self.weights, self.mixing, self.bank = eta, weights, mixing, bank
        self.shapes = bank.shapes
        self.position = {f"x{i + 1}": i for i in range(len(weights))}
        self.scale: Array = np.abs(mixing).max(axis=1)
        self.noise: Array = mixing / self.scale[:, None]
        with np.errstate(over="ignore"):
            self.gains: Array = weights / self.scale[:, None]
        loud = np.flatnonzero(np.abs(self.gains).max(axis=1) > _LOUDEST)
        if loud.size:
            raise InvalidModelError(
                f"weights[{loud[0]}] exceed mixing[{loud[0]}] by a factor of more than {_LOUDEST}; make both alike"
            )

    @cached_property
    def target_scale(self) -> float:
        """The largest coefficient of the target, by which it is divided."""
        return float(np.abs(self.eta).max())

    @cached_property
    def direction(self) -> Array:
        """The target's coefficients divided by `target_scale`, (K,)."""
        return self.eta / self.target_scale

    @cached_property
    def target_variance(self) -> float:
        """Var(y) = Σ η_k²."""
        return float(self.direction @ self.direction) * self.target_scale**2

    @cached_property
    def causes_given_target(self) -> Array:
        """(K, K - 1): orthonormal directions of the causes that the target does not fix, by one reflection."""
        reflected = self.direction / np.sqrt(self.direction @ self.direction)
        reflected[0] += -1.0 if reflected[0] < 0 else 1.0
        reflection = np.eye(len(reflected)) - 2.0 * np.outer(reflected, reflected) / (reflected @ reflected)
        return np.ascontiguousarray(reflection[:, 1:])

    def loadings(self, members: Sequence[int]) -> Array:
        """(len(members), r, K): weighted templates of modalities of one shape, in the frame of their shape.

        Raises:
            BeyondFloat64Error: they exceed the noise by more than float64 can hold.
        """
        chosen = list(members)
        coordinates = self.bank.frame(self.shapes[chosen[0]]).coordinates
        if not len(coordinates):
            return np.zeros((len(chosen), 0, len(self.eta)))
        loadings = np.swapaxes(self.gains[chosen][:, :, None] * coordinates[self.bank.index[chosen]], 1, 2)
        if np.abs(loadings).max() > _LOUDEST:
            raise BeyondFloat64Error(
                f"the causes of {', '.join(f'x{i + 1}' for i in chosen)} are more than {_LOUDEST} times as loud as the "
                "noise: the information is beyond float64; make the mixing larger or the weights smaller"
            )
        return loadings

    def channels(self, given: list[int], first: list[int], second: list[int]) -> list[Channel] | None:
        """A query's modalities by connection, each group whitened and paired.

        None where the vector sources of its modalities are linearly dependent, however the query splits them.
        """
        kinds = dict.fromkeys(given, 0) | dict.fromkeys(first, 1) | dict.fromkeys(second, 2)
        groups = self.connected(list(kinds))
        if any(len(group) > 1 and dependent(self.noise[group]) for group in groups):
            return None
        try:
            return [self._channel(group, kinds) for group in groups]
        except DependentRowsError:
            return None

    def connected(self, members: list[int]) -> list[list[int]]:
        """The modalities in groups with no covariance of vector sources between groups, in the order of `members`."""
        return _connected(self.noise, members)

    def infinite(self, query: Query) -> InfiniteInformationError:
        """The error of a query, naming the first modalities whose vector sources are linearly dependent."""
        members = [self.position[name] for name in query.modalities]
        culprits = list(query.modalities)
        for count in range(1, len(members)):
            rows, row = self.noise[members[:count]], self.noise[members[count]]
            parts = np.linalg.lstsq(rows.T, row, rcond=None)[0]
            if np.abs(parts @ rows - row).max() <= 1e-12:
                culprits = [name for name, part in zip(query.modalities, parts, strict=False) if abs(part) > 1e-12]
                culprits.append(query.modalities[count])
                break
        return InfiniteInformationError(
            f"the vector sources of {', '.join(culprits)} have a singular covariance, so that a combination of them is "
            "free of noise and this quantity is infinite or undefined; give each a source of its own, or ask about "
            "other blocks, whose information may well be finite"
        )

    def _channel(self, group: list[int], kinds: dict[int, int]) -> Channel:
        parts = [[i for i in group if kinds[i] == kind] for kind in range(3)]
        members = (*parts[0], *parts[1], *parts[2])
        counts = [len(part) for part in parts]
        used = counts[0] + counts[1] + counts[2]
        shape = self.shapes[members[0]]
        rows = self.noise[list(members)]
        identity = np.eye(used)
        keep = slice(0, counts[0] + counts[1])
        basis_a, whiten_a = orthonormal_rows(rows[keep], identity[keep])
        given, first = whiten_a[: counts[0]], whiten_a[counts[0] :]
        second, cosines, sines = identity[:0], np.zeros(0), np.zeros(0)
        if counts[2]:
            chosen = [*range(counts[0]), *range(counts[0] + counts[1], used)]
            basis_b, whiten_b = orthonormal_rows(rows[chosen], identity[chosen])
            second = whiten_b[counts[0] :]
            if counts[1]:
                angles = PrincipalAngles.between(basis_a[counts[0] :], basis_b[counts[0] :])
                if angles.sines[0] <= 8.0 * EPSILON * max(rows.shape):
                    raise DependentRowsError(used - 1)
                paired = int(np.count_nonzero(angles.cosines))
                if paired:
                    first, second = angles.left @ first, angles.right @ second
                    cosines, sines = angles.cosines[:paired], angles.sines[:paired]
        size = math.prod(shape)
        return Channel(members, given, first, second, cosines, sines, self.bank.frame(shape), size)


def _connected(noise: Array, members: list[int]) -> list[list[int]]:
    """The modalities in groups with no covariance of vector sources between groups, in the order of `members`."""
    if len(members) == 1:
        return [members]
    rows = noise[members]
    linked: NDArray[np.bool_] = rows @ rows.T != 0.0
    if linked.all():
        return [members]
    label = np.full(len(members), -1)
    groups = 0
    for start in range(len(members)):
        if label[start] >= 0:
            continue
        frontier = np.zeros(len(members), dtype=bool)
        frontier[start] = True
        while frontier.any():
            label[frontier] = groups
            frontier = linked[frontier].any(axis=0) & (label < 0)
        groups += 1
    return [[members[i] for i in np.flatnonzero(label == group)] for group in range(groups)]
