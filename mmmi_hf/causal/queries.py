"""Queries: which blocks are asked about.

Owns the reading of block names. Imports NumPy and this room's errors only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.arguments import Array, shown
from mmmi_hf.causal.errors import InvalidQueryError

TARGET = "y"
Blocks = str | Sequence[str]


@dataclass(frozen=True)
class Query:
    """I(first; second | given): three disjoint tuples of block names; `given` may be empty."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    given: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As quantities are named, such as I(x1;y|x2)."""
        first, second, given = (",".join(names) for names in (self.first, self.second, self.given))
        return f"I({first};{second}|{given})" if given else f"I({first};{second})"

    @property
    def names(self) -> tuple[str, ...]:
        """All blocks of the query."""
        return self.first + self.second + self.given

    @property
    def modalities(self) -> tuple[str, ...]:
        """All blocks other than the target."""
        return tuple(name for name in self.names if name != TARGET)


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
        raise InvalidQueryError(f"{argument} is {shown(blocks)}, expected a block's name or several: {_listed(known)}")
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
