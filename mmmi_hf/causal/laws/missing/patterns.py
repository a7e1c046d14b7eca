"""Patterns of which modalities a row has: their probabilities, and sums over them, exact and row by row.

Owns the rule of all such sums: absence is independent of everything and of other absences, and flagged, so that flags
tell nothing by themselves and any information is the mean over patterns of what the modalities that are there tell. In
latents a modality that a row lacks is NaN, all of it. Imports NumPy and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.causal.arguments import Array
from mmmi_hf.causal.errors import InvalidQueryError

_MOST = 12
"""Modalities of a query that rows may lack: 4,096 patterns."""

Names = tuple[str, ...]
Rows = NDArray[np.intp]


def patterns(names: Sequence[str], missing: Mapping[str, float]) -> list[tuple[float, Names]]:
    """(probability, modalities that are there) of every pattern that occurs, the most complete first.

    Args:
        names: the modalities in question. missing: modality → the probability that a row lacks it.

    Raises:
        InvalidQueryError: rows may lack more than 12 of the names.
    """
    unsure = [name for name in names if missing.get(name, 0.0) > 0.0]
    if len(unsure) > _MOST:
        raise InvalidQueryError(
            f"rows may lack {len(unsure)} of the modalities in question, and the sum over patterns reaches {_MOST}: "
            "ask about fewer"
        )
    found = []
    for here in product((True, False), repeat=len(unsure)):
        chance = math.prod(
            1.0 - missing[name] if there else missing[name] for name, there in zip(unsure, here, strict=True)
        )
        gone = {name for name, there in zip(unsure, here, strict=True) if not there}
        if chance > 0.0:
            found.append((chance, tuple(name for name in names if name not in gone)))
    return found


def lacking(latent: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which rows, (n,) of bool, lack a modality with these latents (n, …): those that are NaN throughout."""
    return np.asarray(np.isnan(latent).all(axis=tuple(range(1, latent.ndim))))


def parts_of_rows(values: Mapping[str, Array], names: Sequence[str]) -> Iterator[tuple[Rows, Names]]:
    """(numbers of rows, modalities that these have) for each pattern among rows with these latents, (n, d_i) each."""
    if not names or not len(values[names[0]]):
        return
    there = np.stack([~lacking(values[name]) for name in names], axis=1)
    kinds, places = np.unique(there, axis=0, return_inverse=True)
    for place, kind in enumerate(kinds):
        rows = np.flatnonzero(places.ravel() == place)
        yield rows, tuple(name for name, here in zip(names, kind, strict=True) if here)


def by_rows(
    values: Mapping[str, Array],
    names: Sequence[str],
    found: Callable[[Names, Mapping[str, Array], Rows], Array],
    out: Array,
) -> Array:
    """`out`, (n, …), filled by found(modalities that rows have, their latents, their numbers), a pattern at a time."""
    for rows, here in parts_of_rows(values, names):
        out[rows] = found(here, {name: values[name][rows] for name in here}, rows)
    return out
