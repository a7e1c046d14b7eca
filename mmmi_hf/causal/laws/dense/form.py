"""Queries about a dense model, and the posterior of its target.

Owns both, by orthogonal factors of rows; covariances are never formed. Imports NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.canonical import DependentRowsError, PrincipalAngles, orthonormal_rows, pair_densities
from mmmi_hf.causal.errors import InfiniteInformationError
from mmmi_hf.causal.laws import spans
from mmmi_hf.causal.laws.dense.rows import DenseRows
from mmmi_hf.causal.laws.rowwise import combine
from mmmi_hf.causal.queries import TARGET, Query


class DenseForm:
    """One query in canonical form.

    Raises:
        InfiniteInformationError: dependent rows make the query infinite, or a modality by itself has no density.
    """

    def __init__(self, law: DenseRows, query: Query) -> None:
        self._law, self._query = law, query
        self._given = law.rows(query.given)
        self._sides = [np.concatenate([self._given, law.rows(names)]) for names in (query.first, query.second)]
        self._spans: spans.Spans | None = None
        if spans.dependent(law.factor[law.rows(query.names)]):
            self._spans = self._of_dependent()
            self._angles = self._spans.angles
            return
        try:
            sides = [
                orthonormal_rows(law.factor[rows], np.zeros((len(rows), 0)))[0][len(self._given) :]
                for rows in self._sides
            ]
        except DependentRowsError:
            raise infinite(query) from None
        self._angles = PrincipalAngles.between(sides[0], sides[1], complete=False)

    def _of_dependent(self) -> spans.Spans:
        law, query = self._law, self._query
        blocks = [law.factor[law.rows(names)] for names in (query.given, query.first, query.second)]
        has_density = not any(spans.dependent(law.factor[law.rows((name,))]) for name in query.modalities)
        found = spans.Spans.of(*blocks) if has_density else None
        if found is None or not all(found.left):
            raise infinite(query)
        return found

    def information(self) -> float:
        """Mutual information in nats, a sum of non-negative terms."""
        return float(np.add.reduce(self._angles.information_terms())) if len(self._angles.cosines) else 0.0

    def correlations(self) -> Array:
        """Canonical correlations in descending order."""
        return self._angles.cosines

    def variance(self) -> float:
        """Σ ρ² over all canonical pairs."""
        return float(np.add.reduce(self._angles.cosines**2))

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row in nats."""
        sides = (self._query.first, self._query.second)
        variates = [
            combine(self._law.stacked(self._query.given + names, values, target), variate)
            for names, variate in zip(sides, self._canonical_variates, strict=True)
        ]
        return self.information() + pair_densities(self._angles.cosines, self._angles.sines, *variates)

    @cached_property
    def _canonical_variates(self) -> tuple[Array, Array]:
        """For either block, the matrix (p, rows) that gives its canonical variates from it and what is given."""
        if self._spans is not None:
            return self._spans.maps
        given, count = len(self._given), len(self._angles.cosines)
        maps = []
        for rows, turn in zip(self._sides, (self._angles.left, self._angles.right), strict=True):
            _, whiten = orthonormal_rows(self._law.factor[rows], np.eye(len(rows)))
            maps.append(turn[:count] @ whiten[given:])
        return maps[0], maps[1]


class DensePosterior:
    """y | z_S ~ N(mean, variance)."""

    def __init__(self, law: DenseRows, blocks: tuple[str, ...]) -> None:
        self._law, self._blocks = law, blocks
        rows, target = law.factor[law.rows(blocks)], law.factor[0]
        if spans.dependent(rows):
            if spans.rank(np.concatenate([rows, target[None]])) == spans.rank(rows):
                raise infinite(Query((TARGET,), (), blocks))
            weights, residual = spans.regression(rows, target)
        else:
            basis, whiten = orthonormal_rows(rows, np.eye(len(rows)))
            parts = basis @ target
            weights, residual = parts @ whiten, target - parts @ basis
        self.variance = float(residual @ residual) * float(law.scales[0]) ** 2
        self._weights = weights[None, :] * law.scales[0]

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        count = len(values[self._blocks[0]])
        return combine(self._law.stacked(self._blocks, values, np.zeros(count)), self._weights)[:, 0]


def infinite(query: Query) -> InfiniteInformationError:
    """The error of a query whose dependent rows join its sides."""
    return InfiniteInformationError(
        f"the rows of A of {', '.join(query.names)} are linearly dependent, so that some of these blocks fix a part of "
        "others and this quantity is infinite or undefined; give each a source of its own, or ask about other blocks, "
        "whose information may well be finite"
    )
