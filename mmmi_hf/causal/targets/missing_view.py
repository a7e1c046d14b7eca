"""What modalities tell of a target where rows lack some of them: means over patterns of what is there.

Owns the view. Imports NumPy and this room only. The best guess, the least loss and the best predictor of a row are
those of what it has, so that what they reach on average is the mean over patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.integrals.divergence import entropy
from mmmi_hf.causal.integrals.quadrature import Exact
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.laws.missing.patterns import Names, Rows, by_rows
from mmmi_hf.causal.targets.target import Target, View


class MissingView(View):
    """What some modalities tell, of which rows lack some.

    Args:
        target, whole: the target on the law of rows that lack nothing. blocks: the modalities.
        found: (probability, modalities that are there, what these tell), None where there are none.
    """

    def __init__(
        self, target: Target, whole: Law, blocks: Names, found: Sequence[tuple[float, Names, View | None]]
    ) -> None:
        self._target, self._whole, self._blocks, self._found = target, whole, blocks, found
        self._views = {there: view for _, there, view in found}

    def information(self) -> Exact:
        """Σ P(pattern) I(what is there; y)."""
        return self._information

    def variance(self) -> Exact:
        """Within patterns, and of their means."""
        total = Exact(-(self._information.value**2), 2.0 * self._information.value * self._information.error)

        def second(view: View) -> Exact:
            mean = view.information()
            return view.variance() + Exact(mean.value**2, 2.0 * mean.value * mean.error)

        return total + self._mean(second, Exact(0.0))

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """ln p(y | what is there) - ln p(y); 0 where nothing is."""
        return self._rows(values, lambda view, part, rows: view.pointwise(part, target[rows]), np.zeros(len(target)))

    def pointwise_law(self) -> tuple[Array, Array]:
        """Those of all patterns, and a point at 0."""
        listed = [
            (chance, *(view.pointwise_law() if view is not None else (np.ones(1), np.zeros(1))))
            for chance, _, view in self._found
        ]
        weights = [chance * mass for chance, mass, _ in listed]
        return np.concatenate(weights), np.concatenate([values for _, _, values in listed])

    def posterior(self, values: Mapping[str, Array]) -> Array:
        """p(c | what is there) of every row and class, (n, classes); the prior where nothing is."""
        if self._target.classes is None:
            return super().posterior(values)
        prior = self._target.class_prior(self._whole)
        out = np.tile(prior, (len(values[self._blocks[0]]), 1))
        return self._rows(values, lambda view, part, rows: view.posterior(part), out)

    def accuracy(self) -> Exact:
        """Σ P(pattern) accuracy of the best guess from what is there."""
        if self._target.classes is None:
            return super().accuracy()
        return self._mean(lambda view: view.accuracy(), Exact(float(self._target.class_prior(self._whole).max())))

    def log_loss(self) -> Exact:
        """H(c) - I."""
        if self._target.classes is None:
            return super().log_loss()
        return Exact(entropy(self._target.class_prior(self._whole))) + self._information.times(-1.0)

    def r2_ceiling(self) -> Exact:
        """Σ P(pattern) R² of what is there."""
        if self._target.classes is not None:
            return super().r2_ceiling()
        return self._mean(lambda view: view.r2_ceiling(), Exact(0.0))

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | what is there] of every row; E y where nothing is."""
        out = np.full(len(values[self._blocks[0]]), self._target.mean())
        return self._rows(values, lambda view, part, rows: view.mean(part), out)

    def residual_variance(self) -> Exact:
        """E Var(y | what is there)."""
        return self._mean(lambda view: view.residual_variance(), Exact(self._target.variance(self._whole)))

    @cached_property
    def _information(self) -> Exact:
        return self._mean(lambda view: view.information(), Exact(0.0))

    def _mean(self, of: Callable[[View], Exact], of_nothing: Exact) -> Exact:
        total = Exact(0.0)
        for chance, _, view in self._found:
            total += (of_nothing if view is None else of(view)).times(chance)
        return total

    def _rows(
        self, values: Mapping[str, Array], of: Callable[[View, Mapping[str, Array], Rows], Array], out: Array
    ) -> Array:
        """`out`, (n, …), with what views say of rows; what they lack altogether is left as it is."""

        def found(there: Names, part: Mapping[str, Array], rows: Rows) -> Array:
            if not there:
                return out[rows]
            view = self._views.get(there)
            if view is None:
                raise NotExactError(f"rows lack modalities that are never missing: they have {', '.join(there)} alone")
            return of(view, part, rows)

        return by_rows(values, self._blocks, found, out)
