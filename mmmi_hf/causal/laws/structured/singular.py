"""Queries about modalities of which the vector sources are linearly dependent, and the posterior of the target.

Owns the reduction of such queries to rows over independent sources. Imports NumPy and this room only.

A combination of latents that is free of noise tells certain sums of the causes exactly. The query is infinite where
that joins its two sides, and a number where it does not: with η = (1, 0), w = ((1, 0), (1, 1)) and G = ((1), (1)),
x_2 - x_1 tells ũ_2, which says nothing of y. In the frame of the templates every latent has r coordinates, rows over
the causes and r copies of the vector sources; the d - r others are noise alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import pair_densities
from mmmi_hf.causal.laws import spans
from mmmi_hf.causal.laws.rowwise import combine, project
from mmmi_hf.causal.laws.structured.covariance import StructuredCovariance
from mmmi_hf.causal.queries import TARGET, Query
from mmmi_hf.causal.template_bank import Frame


@dataclass(frozen=True, eq=False)
class _Group:
    """Connected modalities: their frame, the d - r coordinates beside it, and their noise over the vector sources."""

    members: tuple[int, ...]
    frame: Frame
    beside: int
    noise: Array

    def pick(self, members: list[int]) -> Array:
        """The noise of some of them, (n, J), in this order."""
        return self.noise[[self.members.index(i) for i in members if i in self.members]]


class _Rows:
    """The rows of every block in the frames, over causes and copies of the vector sources."""

    def __init__(self, covariance: StructuredCovariance, query: Query) -> None:
        self._covariance = covariance
        numbers = [covariance.position[name] for name in query.modalities]
        self.groups: list[_Group] = []
        for members in covariance.connected(numbers):
            shape = covariance.shapes[members[0]]
            frame = covariance.bank.frame(shape)
            rank = frame.coordinates.shape[1]
            self.groups.append(_Group(tuple(members), frame, math.prod(shape) - rank, covariance.noise[members]))
        causes, sources = len(covariance.eta), covariance.noise.shape[1]
        width = causes + sum(sources * group.frame.coordinates.shape[1] for group in self.groups)
        self._rows = {TARGET: np.zeros((1, width))}
        self._rows[TARGET][0, :causes] = covariance.direction
        self._group_of = {}
        begin = causes
        for group in self.groups:
            rank = group.frame.coordinates.shape[1]
            end = begin + sources * rank
            for i, loading in zip(group.members, covariance.loadings(group.members), strict=True):
                block = np.zeros((rank, width))
                block[:, :causes] = loading
                block[:, begin:end] = np.kron(covariance.noise[i], np.eye(rank))
                self._rows[f"x{i + 1}"], self._group_of[f"x{i + 1}"] = block, group
            begin = end

    def of(self, names: tuple[str, ...]) -> Array:
        """Rows of some blocks, one after the other."""
        return np.concatenate([self._rows[TARGET][:0], *(self._rows[name] for name in names)])

    def data(self, names: tuple[str, ...], values: Mapping[str, Array], target: Array) -> Array:
        """(n, rows): what rows of data have in the place of these rows."""
        parts = [np.zeros((len(target), 0))]
        for name in names:
            if name == TARGET:
                parts.append(target[:, None] / self._covariance.target_scale)
            else:
                basis, z = self._group_of[name].frame.basis, self.scaled(name, values)
                parts.append(z if basis is None else project(z, basis))
        return np.concatenate(parts, axis=1)

    def scaled(self, name: str, values: Mapping[str, Array]) -> Array:
        """A latent in the units of the covariance, (n, d)."""
        return np.asarray(values[name] / self._covariance.scale[self._covariance.position[name]])


class SingularForm:
    """One query in canonical form.

    Raises:
        InfiniteInformationError: what is free of noise joins the sides of the query, or what is given tells a side.
    """

    def __init__(self, covariance: StructuredCovariance, query: Query) -> None:
        self._query, self._rows = query, _Rows(covariance, query)
        inside = spans.Spans.of(*(self._rows.of(names) for names in (query.given, query.first, query.second)))
        self._beside: list[tuple[_Group, spans.Spans]] = []
        for group in self._rows.groups:
            sides = [self._members(group, names) for names in (query.given, query.first, query.second)]
            found = spans.Spans.of(*(group.pick(side) for side in sides)) if group.beside else None
            if group.beside and found is None:
                raise covariance.infinite(query)
            if found is not None:
                self._beside.append((group, found))
        if inside is None or not all(
            sum(sizes) for sizes in zip(inside.left, *(found.left for _, found in self._beside), strict=True)
        ):
            raise covariance.infinite(query)
        self._inside = inside

    @staticmethod
    def _members(group: _Group, names: tuple[str, ...]) -> list[int]:
        numbers = [int(name[1:]) - 1 for name in names if name != TARGET]
        return [i for i in numbers if i in group.members]

    def information(self) -> float:
        """Mutual information in nats, a sum of non-negative terms."""
        return self._inside.information() + sum(group.beside * found.information() for group, found in self._beside)

    def correlations(self) -> Array:
        """Canonical correlations in descending order, each as often as it occurs."""
        parts = [np.repeat(found.angles.cosines, group.beside) for group, found in self._beside]
        return np.sort(np.concatenate([self._inside.angles.cosines, *parts]))[::-1]

    def variance(self) -> float:
        """Σ ρ² over all canonical pairs."""
        return self._inside.squared_correlations() + sum(
            group.beside * found.squared_correlations() for group, found in self._beside
        )

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row in nats."""
        query, rows = self._query, self._rows
        sides = [query.given + names for names in (query.first, query.second)]
        total: Array = self._inside.densities(
            *(
                combine(rows.data(names, values, target), turn)
                for names, turn in zip(sides, self._inside.maps, strict=True)
            )
        )
        for group, found in self._beside:
            sources = []
            for names, turn in zip(sides, found.maps, strict=True):
                stacked = [np.zeros((len(target), 0, group.beside + len(group.frame.coordinates.T)))]
                stacked += [self._outside(group, f"x{i + 1}", values)[:, None] for i in self._members(group, names)]
                sources.append(combine(np.concatenate(stacked, axis=1), turn))
            for c in range(len(found.angles.cosines)):
                pair = found.angles.cosines[c : c + 1], found.angles.sines[c : c + 1]
                total = total + pair_densities(*pair, sources[0][:, c], sources[1][:, c])
        return np.asarray(self.information() + total)

    def _outside(self, group: _Group, name: str, values: Mapping[str, Array]) -> Array:
        """A latent less what it has in the frame, (n, d)."""
        z, basis = self._rows.scaled(name, values), group.frame.basis
        return z if basis is None else np.asarray(z - combine(project(z, basis), basis.T))


class SingularPosterior:
    """y | z_S ~ N(mean, variance), z_S with noise-free combinations that do not tell y.

    Raises:
        InfiniteInformationError: they tell it.
    """

    def __init__(self, covariance: StructuredCovariance, query: Query) -> None:
        self._names, self._rows, self._scale = query.given, _Rows(covariance, query), covariance.target_scale
        rows, target = self._rows.of(self._names), self._rows.of((TARGET,))
        if spans.rank(np.concatenate([rows, target])) == spans.rank(rows):
            raise covariance.infinite(query)
        self._weights, rest = spans.regression(rows, target[0])
        self.variance = float(rest @ rest) * self._scale**2

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        data = self._rows.data(self._names, values, np.zeros(len(values[self._names[0]])))
        return combine(data, self._weights[None] * self._scale)[:, 0]
