"""The law of an arbitrary linear model (y, z) = A u with independent u ~ N(0, 1), by dense float64 algebra.

Owns queries, posterior, standardisation and sampling of this kind. Imports NumPy and this room only. Covariances are
never formed: everything works on rows of A, by orthogonal factors. The bits of whitened latents follow the linear
algebra library here; those of rms and none do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mmmi_hf.causal.canonical import (
    EPSILON,
    Array,
    DependentRowsError,
    PrincipalAngles,
    orthonormal_rows,
    pair_densities,
)
from mmmi_hf.causal.errors import InfiniteInformationError, InvalidModelError, InvalidQueryError
from mmmi_hf.causal.laws.rowwise import combine
from mmmi_hf.causal.laws.structured.structured_law import SMALLEST, read_coefficients
from mmmi_hf.causal.queries import TARGET, Normals, Query
from mmmi_hf.causal.template_bank import Shape
from mmmi_hf.causal.templates import check_shape

MOST_ROWS = 4096
_CHUNK_NUMBERS = 1 << 18


class DenseLaw:
    """(y, z_1, …, z_M) = A u.

    Args:
        matrix: A, (1 + Σ d_i, N); row 0 is y, then each modality's entries in C order.
        shapes: the shape of each modality.

    Raises:
        InvalidModelError: more than 4,096 rows, a wrong number of rows, a row without a source, non-finite entries, or
            a modality of more entries than sources.
    """

    def __init__(self, matrix: Any, shapes: Any) -> None:
        self.matrix = read_coefficients("A", matrix, 2, "(1 + Σ d_i, N), the row of y first")
        if (
            not isinstance(shapes, (list, tuple))
            or not shapes
            or not all(isinstance(each, (list, tuple)) for each in shapes)
        ):
            raise InvalidModelError(f"shapes is {shapes!r}, expected one shape per modality such as [(1, 8, 8), (5,)]")
        self.shapes: dict[str, Shape] = {f"x{i + 1}": check_shape(each) for i, each in enumerate(shapes)}
        wanted = 1 + sum(map(math.prod, self.shapes.values()))
        if len(self.matrix) != wanted:
            raise InvalidModelError(
                f"A has {len(self.matrix)} rows, expected {wanted}: one for y and one per entry of shapes"
            )
        if wanted > MOST_ROWS:
            raise InvalidModelError(
                f"A has {wanted} rows, expected at most {MOST_ROWS}; larger models need the structure of CausalModel(…)"
            )
        silent = np.flatnonzero(np.abs(self.matrix).max(axis=1) < SMALLEST)
        if silent.size:
            raise InvalidModelError(f"A[{int(silent[0])}] is all zero: that entry has no source; give it one")
        self._rows = {TARGET: slice(0, 1)}
        begin = 1
        for name, shape in self.shapes.items():
            self._rows[name] = slice(begin, begin + math.prod(shape))
            begin = self._rows[name].stop
            if math.prod(shape) > self.matrix.shape[1]:
                raise InvalidModelError(
                    f"A has {self.matrix.shape[1]} columns: {name} has {math.prod(shape)} entries and so no density; "
                    "give at least as many sources"
                )
        self._standardizers: dict[tuple[str, str], DenseStandardizer] = {}

    @cached_property
    def factor(self) -> Array:
        """Rows with the inner products of those of A, each over its largest entry, in as few columns as possible."""
        scaled = self.matrix / self.scales[:, None]
        if scaled.shape[1] <= scaled.shape[0]:
            return scaled
        _, upper = np.linalg.qr(scaled.T)
        return np.ascontiguousarray(upper.T)

    @cached_property
    def scales(self) -> Array:
        """The largest entry of every row of A, (rows,)."""
        return np.asarray(np.abs(self.matrix).max(axis=1))

    def rows(self, names: tuple[str, ...]) -> Array:
        """Row numbers of some blocks, one after the other."""
        return np.concatenate([np.zeros(0, dtype=np.intp)] + [np.r_[self._rows[name]] for name in names])

    def block(self, name: str) -> Array:
        """The rows of A of one block."""
        return self.matrix[self._rows[name]]

    @property
    def target_variance(self) -> float:
        """Var(y)."""
        return float(np.add.reduce(self.matrix[0] ** 2))

    def canonical_form(self, query: Query) -> DenseForm:
        """The query in canonical form. Raises InfiniteInformationError where it has none."""
        return DenseForm(self, query)

    def posterior(self, blocks: tuple[str, ...]) -> DensePosterior:
        """The law of the target given modalities."""
        return DensePosterior(self, blocks)

    def standardizer(self, name: str, kind: str) -> DenseStandardizer:
        """The standardiser of one modality."""
        if (name, kind) not in self._standardizers:
            self._standardizers[name, kind] = DenseStandardizer.of(name, self.block(name), kind)
        return self._standardizers[name, kind]

    def sampler(self, kind: str) -> DenseSampler:
        """The map from one row's normal numbers to its standardised latents."""
        return DenseSampler(self, kind)

    def stacked(self, names: tuple[str, ...], values: Mapping[str, Array], target: Array) -> Array:
        """(n, rows): data of blocks in the units of `factor`."""
        parts = [target[:, None] if name == TARGET else values[name] for name in names]
        joined = np.concatenate([np.zeros((len(target), 0)), *parts], axis=1)
        return np.asarray(joined / self.scales[self.rows(names)])


class DenseForm:
    """One query in canonical form."""

    def __init__(self, law: DenseLaw, query: Query) -> None:
        self._law, self._query = law, query
        given = len(law.rows(query.given))
        try:
            sides = [
                orthonormal_rows(rows, np.zeros((len(rows), 0)))[0][given:]
                for rows in (law.factor[law.rows(query.given + names)] for names in (query.first, query.second))
            ]
            self._angles = PrincipalAngles.between(sides[0], sides[1], complete=False)
            if self._angles.sines[0] <= 8.0 * EPSILON * max(law.factor.shape):
                raise DependentRowsError(0)
        except DependentRowsError:
            raise _infinite(query) from None

    def information(self) -> float:
        """Mutual information in nats, a sum of non-negative terms."""
        return float(np.add.reduce(self._angles.information_terms()))

    def correlations(self) -> Array:
        """Canonical correlations in descending order."""
        return self._angles.cosines

    def squared_correlations(self) -> float:
        """Σ ρ² over all canonical pairs."""
        return float(np.add.reduce(self._angles.cosines**2))

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row in nats."""
        variates = [
            combine(self._law.stacked(names, values, target), variate) for names, variate in self._canonical_variates
        ]
        return self.information() + pair_densities(self._angles.cosines, self._angles.sines, *variates)

    @cached_property
    def _canonical_variates(self) -> list[tuple[tuple[str, ...], Array]]:
        """For either block, the blocks and the matrix (p, rows) that give its canonical variates."""
        law, query = self._law, self._query
        given, count = len(law.rows(query.given)), len(self._angles.cosines)
        maps = []
        for names, turn in ((query.first, self._angles.left), (query.second, self._angles.right)):
            rows = law.factor[law.rows(query.given + names)]
            _, whiten = orthonormal_rows(rows, np.eye(len(rows)))
            maps.append((query.given + names, turn[:count] @ whiten[given:]))
        return maps


class DensePosterior:
    """y | z_S ~ N(mean, variance)."""

    def __init__(self, law: DenseLaw, blocks: tuple[str, ...]) -> None:
        self._law, self._blocks = law, blocks
        rows = law.factor[law.rows(blocks)]
        try:
            basis, whiten = orthonormal_rows(rows, np.eye(len(rows)))
        except DependentRowsError:
            raise _infinite(Query(blocks, ())) from None
        target = law.factor[0]
        weights = basis @ target
        residual = target - weights @ basis
        self.variance = float(residual @ residual) * float(law.scales[0]) ** 2
        self._weights = (weights @ whiten)[None, :] * law.scales[0]

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z_S] of every row, (n,)."""
        count = len(values[self._blocks[0]])
        return combine(self._law.stacked(self._blocks, values, np.zeros(count)), self._weights)[:, 0]


@dataclass(frozen=True, eq=False)
class DenseStandardizer:
    """z' = forward z and z = backward z', both (d, d), or division by `scale` where they are None."""

    scale: float
    forward: Array | None = None
    backward: Array | None = None

    @classmethod
    def of(cls, name: str, block: Array, kind: str) -> DenseStandardizer:
        """The standardiser of a modality with these rows of A: whitening is U S⁻¹ Uᵀ for the SVD block = U S Vᵀ."""
        if kind == "none":
            return cls(1.0)
        if kind == "rms":
            return cls(math.sqrt(float(np.mean(np.add.reduce(block * block, axis=1)))))
        directions, lengths, _ = np.linalg.svd(block, full_matrices=False)
        if lengths[-1] <= 8.0 * EPSILON * max(block.shape) * lengths[0]:
            raise InvalidQueryError(
                f"{name} has a singular covariance and cannot be whitened; use standardize='rms' or 'none'"
            )
        return cls(1.0, (directions / lengths) @ directions.T, (directions * lengths) @ directions.T)

    def apply(self, latent: Array) -> Array:
        """z to z', (n, d)."""
        return latent / self.scale if self.forward is None else combine(latent, self.forward)

    def undo(self, latent: Array) -> Array:
        """z' to z, (n, d)."""
        return latent * self.scale if self.backward is None else combine(latent, self.backward)


class DenseSampler:
    """Draws standardised latents as one linear map of the row's N sources, which are its stream 0."""

    def __init__(self, law: DenseLaw, kind: str) -> None:
        self._target = law.block(TARGET)
        self._maps: dict[str, Array] = {}
        for name in law.shapes:
            standard, block = law.standardizer(name, kind), law.block(name)
            self._maps[name] = block / standard.scale if standard.forward is None else standard.forward @ block
        self.rows_at_once = max(1, _CHUNK_NUMBERS // max(law.matrix.shape))

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill the latents and the target of some rows; sums run over sources in increasing order."""
        sources = np.empty((len(rows), self._target.shape[1]))
        normals.fill(0, rows, sources)
        target[:] = combine(sources, self._target)[:, 0]
        for name, linear in self._maps.items():
            out[name][:] = combine(sources, linear)


def _infinite(query: Query) -> InfiniteInformationError:
    return InfiniteInformationError(
        f"the rows of A of {', '.join(query.names)} are linearly dependent, so that some of these blocks fix a part of "
        "others and this quantity is infinite or undefined; give each a source of its own, or ask about other blocks, "
        "whose information may well be finite"
    )
