"""Rows of two blocks, and what is exactly known of them where their latents are known.

Owns what an estimator is given. Imports NumPy and the causal room.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.causal import CausalModel, Latents

TARGET = "y"
_SMALLEST, _LARGEST = 1e-12, 1e12
Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of two blocks.

    a: (n, *shape) or (n,), b: likewise; floating point, finite.
    exact: what is exactly known of these rows, for oracles only; None where it is not known.
    """

    a: Array
    b: Array
    exact: ExactPairs | None = None

    def __post_init__(self) -> None:
        for name, values in (("a", self.a), ("b", self.b)):
            if not isinstance(values, np.ndarray) or values.ndim == 0 or not np.issubdtype(values.dtype, np.floating):
                raise ValueError(f"{name} must be a floating-point array (n, …), got {_kind(values)}")
        if len(self.a) != len(self.b):
            raise ValueError(f"a has {len(self.a)} rows and b {len(self.b)}; give the same rows of both")
        for name, values in (("a", self.a), ("b", self.b)):
            if not np.isfinite(values).all():
                bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
                raise ValueError(f"{name} must be finite, got NaN or infinity in rows {bad[:5].tolist()}")

    def __len__(self) -> int:
        return len(self.a)

    def check_content(self, label: str) -> None:
        """Refuse blocks of which an estimate would be about float's ends, or nothing.

        Raises:
            ValueError: names the block, after `label`.
        """
        for name, values in (("a", self.a), ("b", self.b)):
            if np.all(values == values[:1]):
                raise ValueError(f"{label}: {name} is the same in all {len(values)} rows, so that it tells nothing")
            size = float(np.abs(values).max())
            if not _SMALLEST <= size <= _LARGEST:
                raise ValueError(
                    f"{label}: {name} has values up to {size:.1e}, expected {_SMALLEST:.0e} … {_LARGEST:.0e}: multiply "
                    "it by a constant, which changes no information"
                )

    def take(self, rows: NDArray[np.intp]) -> Pairs:
        """These rows, in this order."""
        return Pairs(self.a[rows], self.b[rows], None if self.exact is None else self.exact.take(rows))

    def deranged(self, seed: int) -> Pairs:
        """Independent blocks: every a with the b of another row, by one random cycle through all rows."""
        partner = derangement(len(self), np.random.default_rng(seed))
        return Pairs(self.a, self.b[partner], None if self.exact is None else self.exact.deranged(partner))

    def known(self) -> ExactPairs:
        """What is exactly known of these rows. Raises ValueError where nothing is."""
        if self.exact is None:
            raise ValueError("an oracle needs the latents' model; the test rows have no `exact`")
        return self.exact

    def shuffled(self, seed: int) -> Pairs:
        """The same set of rows in an order that depends on the set and the seed alone.

        Of rows whose latents are known, on the set of the latents: whatever was made of them, oracles see one order.
        """
        sides = (self.a, self.b) if self.exact is None else self.exact.blocks()
        digests = [hashlib.blake2b(a.tobytes() + b.tobytes()).digest() for a, b in zip(*sides, strict=True)]
        order = np.array(sorted(range(len(self)), key=digests.__getitem__), dtype=np.intp)
        return self.take(order[np.random.default_rng(seed).permutation(len(order))])


def derangement(n: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """A random cyclic permutation of n ≥ 2 rows: no row is its own partner."""
    if n < 2:
        raise ValueError(f"{n} row(s) cannot be deranged; give at least 2")
    return next_in_cycle(generator.permutation(n))


def next_in_cycle(cycle: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of every row the one that follows it in a cycle through all rows, (n,): with n ≥ 2 never the row itself."""
    partner = np.empty_like(cycle)
    partner[cycle] = np.roll(cycle, -1)
    return partner


@dataclass(frozen=True, eq=False)
class ExactPairs:
    """What is known of rows of two blocks: the model, the latents, and which latents stand side by side.

    rows_a, rows_b: (n,), the latent row of each block in every pair; they differ where pairs were deranged.
    """

    model: CausalModel
    latents: Latents
    first: str
    second: str
    rows_a: NDArray[np.intp]
    rows_b: NDArray[np.intp]
    independent: bool = False

    @classmethod
    def of(cls, model: CausalModel, latents: Latents, first: str, second: str) -> ExactPairs:
        """Every row paired with itself."""
        rows = np.arange(len(latents))
        return cls(model, latents, first, second, rows, rows)

    def take(self, rows: NDArray[np.intp]) -> ExactPairs:
        """These pairs, in this order."""
        return replace(self, rows_a=self.rows_a[rows], rows_b=self.rows_b[rows])

    def deranged(self, partner: NDArray[np.intp]) -> ExactPairs:
        """Every first block with another row's second block."""
        return replace(self, rows_b=self.rows_b[partner], independent=True)

    def blocks(self) -> tuple[Array, Array]:
        """The latents of both blocks, y as it is: (n, *shape) each, or (n,)."""
        first, second = (
            self.latents.y[rows] if name == TARGET else self.latents.z[name][rows]
            for name, rows in ((self.first, self.rows_a), (self.second, self.rows_b))
        )
        return first, second

    def sufficient(self) -> tuple[np.ndarray, np.ndarray]:
        """Sufficient statistics of each block for the other, (n, p) and (n, q).

        For y it is y itself, and E[y | x]. Between modalities that share causes only, it is E[ũ_k | x] of every cause.

        Raises:
            ValueError: the modalities share a vector source, so that as many numbers as coordinates are needed.
        """
        return self._statistic(self.first, self.second, self.rows_a), self._statistic(
            self.second, self.first, self.rows_b
        )

    def densities(self, partner: NDArray[np.intp] | None = None) -> np.ndarray:
        """ln p(a, b) / p(a) p(b) of every pair, (n,), in nats; with a partner, of the first blocks with the second
        blocks of other pairs."""
        rows_b = self.rows_b if partner is None else self.rows_b[partner]
        side = {self.first: self.rows_a, self.second: rows_b}
        z = {name: self.latents.z[name][rows] for name, rows in side.items() if name != TARGET}
        y = self.latents.y[side[TARGET]] if TARGET in side else np.zeros(len(rows_b))
        paired = Latents(z, y, self.latents.standardize)
        return self.model.pointwise_mutual_information(paired, self.first, self.second)

    def _statistic(self, block: str, other: str, rows: NDArray[np.intp]) -> np.ndarray:
        if block == TARGET:
            return self.latents.y[rows, None]
        latents = Latents({block: self.latents.z[block][rows]}, self.latents.y[rows], self.latents.standardize)
        if other == TARGET:
            return self.model.decode(latents, block)[:, None]
        columns = [each.decode(latents, block) for each in self.model.of_shared_causes(block, other)]
        return np.stack(columns, axis=1)


def _kind(values: object) -> str:
    if isinstance(values, np.ndarray):
        return f"{values.dtype} of shape {values.shape}"
    return type(values).__name__
