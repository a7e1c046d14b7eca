"""Targets that are functions of the law's Gaussian y alone.

Owns the sufficient statistic: with u = y / σ_y, E[u | x_S] = ρ T, T ~ N(0, 1) and Var(u | x_S) = 1 - ρ². Imports NumPy
and this room only.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import NotExactError
from mmmi_hf.causal.laws.law import Law, Posterior
from mmmi_hf.causal.queries import TARGET, Query
from mmmi_hf.causal.targets.target import Target, View


@dataclass(frozen=True, eq=False)
class Line:
    """u = y / σ_y as modalities see it.

    gaussian: I(x_S; u) in nats. posterior: of y, where rows are asked about. scale: σ_y.
    """

    gaussian: float
    scale: float = 1.0
    posterior: Posterior | None = None

    @property
    def rho(self) -> float:
        """The correlation of u and its best guess."""
        return math.sqrt(-math.expm1(-2.0 * self.gaussian))

    @property
    def sine(self) -> float:
        """The standard deviation of u given x_S, √(1 - ρ²)."""
        return math.exp(-self.gaussian)

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[u | x_S] of every row, (n,)."""
        if self.posterior is None:
            raise ValueError("this line was made of a number alone; it knows no rows")
        return np.asarray(self.posterior.mean(values) / self.scale)


class LineTarget(Target):
    """A target that is a function of u = y / σ_y, and of noise of its own."""

    @abstractmethod
    def seen(self, line: Line) -> View:
        """What is known of it through a line."""

    def check(self, law: Law) -> None:
        """Whether y and the modalities are jointly Gaussian."""
        if not law.is_gaussian:
            raise NotExactError(
                f"a target of kind {self.kind} is made of a y that is Gaussian with the modalities, which this "
                f"{law.kind} model has not"
            )

    def view(self, law: Law, blocks: tuple[str, ...]) -> View:
        """What modalities tell of y."""
        gaussian = law.form(Query(blocks, (TARGET,))).information()
        return self.seen(Line(gaussian, math.sqrt(law.target_variance), law.posterior(blocks)))

    def of_gaussian_information(self, value: float) -> float:
        """I(·; y) of something that tells so much of the Gaussian y."""
        return self.seen(Line(value)).information().value
