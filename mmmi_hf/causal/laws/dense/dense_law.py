"""The law of an arbitrary linear model (y, z) = A u with independent u ~ N(0, 1), by dense float64 algebra.

Owns the joining of rows, queries and latents of this kind, and its form in JSON. Imports NumPy and this room only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.laws import maps
from mmmi_hf.causal.laws.arrays import bytes_of, read_array, write_array
from mmmi_hf.causal.laws.dense.form import DenseForm, DensePosterior
from mmmi_hf.causal.laws.dense.latents import DenseSampler, DenseStandardizer
from mmmi_hf.causal.laws.dense.moments import DenseMoments
from mmmi_hf.causal.laws.dense.rows import DenseRows
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.queries import Query


class DenseLaw(Law):
    """(y, z_1, …, z_M) = A u.

    Args:
        matrix: A, (1 + Σ d_i, N); row 0 is y, then each modality's entries in C order.
        shapes: the shape of each modality.

    Raises:
        InvalidModelError: as `DenseRows`.
    """

    kind = "matrix"
    fields: ClassVar = ("matrix",)
    summary = "(y, x1, …) = A u,  u ~ N(0, I),  A in causal_models/"

    def __init__(self, matrix: Any, shapes: Any) -> None:
        self._rows = DenseRows(matrix, shapes)
        self.shapes, self.matrix = self._rows.shapes, self._rows.matrix
        self._standardizers: dict[tuple[str, str], DenseStandardizer] = {}

    @classmethod
    def read(cls, shapes: list[Any], fields: Mapping[str, Any]) -> DenseLaw:
        """The law that `write` wrote."""
        return cls(read_array("matrix", fields["matrix"]), shapes)

    def write(self) -> dict[str, Any]:
        """A, every float exactly."""
        return {"matrix": write_array(self._rows.matrix)}

    def content(self) -> Iterable[bytes]:
        """A."""
        return [bytes_of(self._rows.matrix)]

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return float(np.add.reduce(self._rows.matrix[0] ** 2))

    def form(self, query: Query) -> DenseForm:
        """The query in canonical form. Raises InfiniteInformationError where it has none."""
        return DenseForm(self._rows, query)

    def posterior(self, blocks: tuple[str, ...]) -> DensePosterior:
        """The law of the target given modalities."""
        return DensePosterior(self._rows, blocks)

    def standardizer(self, name: str, kind: str) -> DenseStandardizer:
        """The standardiser of one modality."""
        if (name, kind) not in self._standardizers:
            self._standardizers[name, kind] = DenseStandardizer.of(name, self._rows.block(name), kind)
        return self._standardizers[name, kind]

    def sampler(self, kind: str) -> DenseSampler:
        """The map from one row's normal numbers to its standardised latents."""
        return DenseSampler(self._rows, lambda name: self.standardizer(name, kind))

    def map_of_target(self, name: str, kind: str) -> Array:
        """I(z_a[c]; y) of every coordinate, (d,), in nats."""
        return maps.of_target(name, self._coordinates(name, kind), self._rows.matrix[0] / self._rows.scales[0])

    def map_of_pair(self, a: str, b: str, kind: str) -> Array:
        """I(z_a[c]; z_b[c]) of every coordinate, (d,), in nats."""
        return maps.of_pair(a, b, self._coordinates(a, kind), self._coordinates(b, kind))

    @cached_property
    def moments(self) -> DenseMoments:
        """Second moments of the rows of A."""
        return DenseMoments(self._rows, lambda name: self.standardizer(name, "whiten"))

    def check_rows(self) -> None:
        """A matrix says what it says of its entries: nothing to check."""

    def _coordinates(self, name: str, kind: str) -> Array:
        """(d, N): every coordinate of a standardised latent over the sources."""
        columns = np.ascontiguousarray(self._rows.block(name).T)
        return np.ascontiguousarray(self.standardizer(name, kind).apply(columns).T)
