"""Queries about a categorical law, and what sets of modalities tell of the category.

Owns the sums of J(S) = I(x_S; c). Imports NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.laws.categorical.evidence import Evidence, variance_of_pair
from mmmi_hf.causal.laws.rowwise import project
from mmmi_hf.causal.queries import TARGET, Query


def mean_number(probabilities: Array) -> float:
    """Of a category: y is its number less this."""
    return float(probabilities @ np.arange(len(probabilities)))


class BlocksView:
    """What some modalities tell of the category: their numbers along the templates are sufficient."""

    def __init__(self, names: tuple[str, ...], directions: list[Array], evidence: Evidence) -> None:
        self._names, self._directions, self.evidence = names, directions, evidence
        self.probabilities = evidence.probabilities
        self.expected, self.accuracy, self.listed = evidence.expected, evidence.accuracy, evidence.listed

    def numbers(self, values: Mapping[str, Array]) -> Array:
        """t, (n, S), of rows in the units of the model."""
        columns = [
            project(values[name], direction[None])
            for name, direction in zip(self._names, self._directions, strict=True)
        ]
        return np.concatenate(columns, axis=1)

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(category | z) of every row, (n, C)."""
        return np.exp(self.evidence.log_posterior(self.numbers(values)))

    def numbers_of(self, target: Array) -> Any:
        """Categories, from 0, of y."""
        return np.rint(target + mean_number(self.probabilities)).astype(np.int64)


class CategoricalForm:
    """One query: signs of J of sets of modalities."""

    def __init__(self, view: Callable[[tuple[str, ...]], BlocksView], query: Query) -> None:
        self._view, self._query = view, query
        self._about_target = TARGET in query.names
        first, second, given = (
            tuple(name for name in names if name != TARGET) for names in (query.first, query.second, query.given)
        )
        if TARGET in query.given:
            signed: list[tuple[int, tuple[str, ...]]] = []
        elif TARGET in query.first + query.second:
            if TARGET in query.first:
                first, second = second, first
            # I(a; b, y | g) = I(a; y | g), because b tells nothing beside y
            signed = [(1, first + given), (-1, given)]
        else:
            signed = [(1, first + given), (1, second + given), (-1, first + second + given), (-1, given)]
        self._signed = [(sign, names) for sign, names in signed if names]

    def exact(self) -> Exact:
        """The information in nats with a bound of its numerical error."""
        total = Exact(0.0)
        for sign, names in self._signed:
            total += self._view(names).evidence.information().times(sign)
        return Exact(0.0, total.error) if -total.error <= total.value < 0.0 else total

    def information(self) -> float:
        """Mutual information in nats."""
        return self.exact().value

    def variance(self) -> float:
        """Variance of the pointwise information in nats², where it has no condition.

        Raises:
            NotExactError: it has one.
        """
        if not self._signed:
            return 0.0
        if self._query.given or (self._about_target and len(self._signed) > 1):
            raise NotExactError("the variance of the pointwise information is known without a condition; leave it out")
        if self._about_target:
            return self._view(self._signed[0][1]).evidence.variance().value
        return variance_of_pair(*(self._view(names).evidence for names in (self._query.first, self._query.second)))

    def correlations(self) -> Array:
        """Refused: canonical correlations describe Gaussian blocks."""
        raise NotExactError(f"{self._query} has no canonical correlations: a categorical cause is not Gaussian")

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise information of every row in nats, (n,)."""
        total: Array = np.zeros(len(target))
        for sign, names in self._signed:
            view = self._view(names)
            t = view.numbers(values)
            if self._about_target:
                posterior = view.evidence.log_posterior(t)
                number = self._view(names).numbers_of(target)
                known = posterior[np.arange(len(number)), number] - np.log(view.probabilities)[number]
                total = total + sign * known
            else:
                total = total - sign * view.evidence.log_ratio(t)
        return total


class NumberPosterior:
    """The number of the category given modalities."""

    def __init__(self, view: BlocksView) -> None:
        self._view = view
        self._numbers = np.arange(len(view.probabilities)) - mean_number(view.probabilities)

    @property
    def variance(self) -> float:
        """E Var(y | z_S)."""
        return self._view.expected(lambda p: np.asarray(p @ self._numbers**2 - (p @ self._numbers) ** 2)).value

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        return np.asarray(self._view.posterior(values) @ self._numbers)
