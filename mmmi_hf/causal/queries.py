"""Queries: which blocks are asked about.

Owns the reading of block names and the protocol that every kind of covariance answers to. Imports this room's errors
and the canonical kernel only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.errors import InvalidQueryError

TARGET = "y"
Blocks = str | Sequence[str]


@dataclass(frozen=True)
class Query:
    """I(first; second | given): three disjoint tuples of block names; `given` may be empty."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    given: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All blocks of the query."""
        return self.first + self.second + self.given

    @property
    def modalities(self) -> tuple[str, ...]:
        """All blocks other than the target."""
        return tuple(name for name in self.names if name != TARGET)


class CanonicalForm(Protocol):
    """A query brought to canonical form: independent pairs of correlated unit normals."""

    def information(self) -> float:
        """Mutual information in nats."""

    def correlations(self) -> Array:
        """Canonical correlations in descending order, each as often as it occurs."""

    def squared_correlations(self) -> float:
        """Σ ρ² over all canonical pairs: the variance of the pointwise mutual information."""

    def pointwise(self, values: Mapping[str, Array], target: Array) -> Array:
        """Pointwise mutual information of every row in nats; values are (n, d_i) latents as the model defines them."""


class Standardizer(Protocol):
    """The linear map of one modality's latent to its standardised form, and back, on (n, d_i) arrays."""

    def apply(self, latent: Array) -> Array:
        """z to z'."""

    def undo(self, latent: Array) -> Array:
        """z' to z."""


class Covariance(Protocol):
    """What a causal model needs of the joint law of its blocks."""

    def canonical_form(self, query: Query) -> CanonicalForm:
        """The query in canonical form. Raises InfiniteInformationError where it has none."""

    def standardizer(self, name: str, kind: str) -> Standardizer:
        """The standardiser of one modality; kind is none, rms or whiten."""

    def posterior(self, blocks: tuple[str, ...]) -> Posterior:
        """The law of the target given modalities."""

    def sampler(self, kind: str) -> Sampler:
        """The map from one row's normal numbers to its standardised latents."""

    @property
    def target_variance(self) -> float:
        """Var(y)."""


class Posterior(Protocol):
    """The normal law of the target given some modalities."""

    @property
    def variance(self) -> float:
        """Var(y | z)."""

    def mean(self, values: Mapping[str, Array]) -> Array:
        """E[y | z] of every row, (n,); values as in CanonicalForm.pointwise."""


class Sampler(Protocol):
    """Turns the sources of rows into latents, every row by itself."""

    rows_at_once: int

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill `out` ((n, d_i) per modality) and `target` (n,) for n rows."""


class Normals(Protocol):
    """Standard normals addressed by stream and row."""

    def fill(self, stream: int, rows: Sequence[int], out: Array) -> None:
        """out[r] = the first numbers of that stream of row rows[r]."""


def read_blocks(argument: str, blocks: Blocks, known: Mapping[str, object]) -> tuple[str, ...]:
    """A name or names as a tuple.

    Raises:
        InvalidQueryError: nothing, something unknown or a repetition was asked for.
    """
    if isinstance(blocks, str):
        names: tuple[str, ...] = (blocks,)
    elif isinstance(blocks, Iterable):
        names = tuple(blocks)
    else:
        names = ()
    if not names:
        raise InvalidQueryError(f"{argument} is {blocks!r}, expected a block's name or several: {_listed(known)}")
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise InvalidQueryError(f"{argument} names {name!r}, expected blocks of this model: {_listed(known)}")
    if len(set(names)) != len(names):
        raise InvalidQueryError(f"{argument} is {list(names)}, expected every block at most once")
    return names


def read_query(first: Blocks, second: Blocks, given: Blocks, known: Mapping[str, object]) -> Query:
    """The query I(first; second | given).

    Raises:
        InvalidQueryError: an unknown or empty block, or a block named twice.
    """
    a = read_blocks("a", first, known)
    b = read_blocks("b", second, known)
    c = (
        ()
        if not isinstance(given, str) and isinstance(given, Sized) and not len(given)
        else read_blocks("given", given, known)
    )
    if len(set(a + b + c)) != len(a) + len(b) + len(c):
        shared = sorted((set(a) & set(b)) | (set(a) & set(c)) | (set(b) & set(c)))
        raise InvalidQueryError(
            f"a, b and given overlap in {', '.join(shared)}; information is between disjoint blocks: name each once"
        )
    return Query(a, b, c)


def _listed(known: Mapping[str, object]) -> str:
    names = list(known)
    return ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:3])}, …, {', '.join(names[-2:])}"


def flat(values: object) -> Array:
    """(n, *shape) of any dtype as contiguous float64 (n, d)."""
    array = np.asarray(values, dtype=np.float64)
    return np.ascontiguousarray(array.reshape(len(array), math.prod(array.shape[1:])))
