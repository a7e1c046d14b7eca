"""Latents of rows: standard normals addressed by (seed, row), and what they become.

Owns the `Latents` record and the addressing of random numbers. Imports NumPy and this room only.

Row r of seed s owns the Philox-4x64 streams with key (s, 0) and counters (·, ·, r, j): stream 0 holds the K scalar
causes in order, stream 1 + j holds the vector source û_j, stream 2^63 the noise of a target and 2^63 + 1 which
modalities a row lacks. NumPy's ziggurat turns a stream into standard normals. A stream is 2^128 blocks long, so that
neither rows nor sources overlap, and nothing depends on which other rows, sources, modalities, files or processes
exist.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from mmmi_hf.causal.arguments import Array, Shape
from mmmi_hf.causal.errors import InvalidQueryError

STANDARDIZATIONS = ("whiten", "rms", "none")


class Normals(Protocol):
    """Standard normals addressed by stream and row."""

    def fill(self, stream: int, rows: Sequence[int], out: Array) -> None:
        """out[r] = the first numbers of that stream of row rows[r]."""


class Sampler(Protocol):
    """Turns the sources of rows into latents, every row by itself."""

    rows_at_once: int

    def draw(self, normals: Normals, rows: Sequence[int], out: Mapping[str, Array], target: Array) -> None:
        """Fill `out` ((n, d_i) per modality) and `target` (n,) for n rows."""


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents and target of some rows.

    Attributes:
        z: modality name → (n, *shape), standardised as `standardize` says; NaN in rows that lack the modality.
        y: (n,), or (n, m) of several targets, never rescaled.
        start, seed: the first row and the seed of the streams; None where latents were recovered from images.
    """

    z: Mapping[str, Array]
    y: Array
    standardize: str = "whiten"
    start: int | None = None
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.y)


class PhiloxNormals:
    """Standard normals of one seed, addressed by stream and row."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
        self._normals = np.random.Generator(self._bits)
        self._state: Any = self._bits.state

    def fill(self, stream: int, rows: Sequence[int], out: Array) -> None:
        """out[r] = the first numbers of that stream of row rows[r]."""
        state, counter = self._state, self._state["state"]["counter"]
        bits, draw_into = self._bits, self._normals.standard_normal
        counter[3] = stream
        for row, values in zip(rows, out, strict=True):
            counter[2] = row
            bits.state = state
            draw_into(out=values)


class WithCauses:
    """The normals of rows, of which some scalar causes come from other seeds; every other number stays.

    Args:
        normals: of the rows.
        causes: k, from 0 → the normals that have cause k.
    """

    def __init__(self, normals: Normals, causes: Mapping[int, Normals]) -> None:
        self._normals, self._causes = normals, causes

    def fill(self, stream: int, rows: Sequence[int], out: Array) -> None:
        """out[r] = the first numbers of that stream of row rows[r]."""
        self._normals.fill(stream, rows, out)
        if stream == 0:
            other = np.empty_like(out)
            for k, normals in self._causes.items():
                normals.fill(0, rows, other)
                out[:, k] = other[:, k]


def check_kind(kind: str) -> str:
    """Raises InvalidQueryError for an unknown standardisation."""
    if kind not in STANDARDIZATIONS:
        raise InvalidQueryError(f"standardize is {kind!r}, expected one of {', '.join(STANDARDIZATIONS)}")
    return kind


def check_latents(latents: Latents, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The number of rows. Raises InvalidQueryError where a modality is missing, of another shape or of other length."""
    counts = {}
    for name, shape in shapes.items():
        if name not in latents.z:
            raise InvalidQueryError(f"latents lack {name}, expected z to hold {', '.join(shapes)}")
        found = np.shape(latents.z[name])
        if found[1:] != shape or not found:
            raise InvalidQueryError(
                f"latents of {name} have shape {found}, expected {('n', *shape)}".replace("'n'", "n")
            )
        counts[name] = found[0]
    if len(set(counts.values())) != 1:
        raise InvalidQueryError(f"latents have different numbers of rows: {counts}; give the same rows of each")
    return int(next(iter(counts.values())))


def check_target(latents: Latents, shape: Shape = ()) -> Array:
    """y as float64, (n, *shape). Raises InvalidQueryError where it is something else."""
    target = np.asarray(latents.y, dtype=np.float64)
    counts = {len(values) for values in latents.z.values()}
    if target.ndim != 1 + len(shape) or target.shape[1:] != shape or counts - {len(target)}:
        expected = f"{shape[0]} numbers" if shape else "one number"
        raise InvalidQueryError(f"latents.y has shape {target.shape}, expected {expected} for each of {counts} rows")
    return target


def draw(
    sampler: Sampler,
    shapes: Mapping[str, tuple[int, ...]],
    rows: Sequence[int],
    *,
    seed: int,
    kind: str,
    start: int | None,
    target: tuple[Shape, DTypeLike] = ((), np.float64),
    causes: Mapping[int, int] | None = None,
) -> Latents:
    """The latents of some rows, in chunks that stay in cache; `target` is the shape and the type of y of one row.

    `causes` are those that other seeds give: k, from 0 → its seed.
    """
    count = len(rows)
    z = {name: np.empty((count, *shape)) for name, shape in shapes.items()}
    y = np.empty((count, *target[0]), dtype=target[1])
    flat = {name: values.reshape(count, math.prod(shapes[name])) for name, values in z.items()}
    normals: Normals = PhiloxNormals(seed)
    if causes:
        normals = WithCauses(normals, {k: PhiloxNormals(other) for k, other in causes.items()})
    for begin in range(0, count, sampler.rows_at_once):
        end = min(begin + sampler.rows_at_once, count)
        part = {name: values[begin:end] for name, values in flat.items()}
        sampler.draw(normals, rows[begin:end], part, y[begin:end])
    return Latents(z, y, kind, start, seed)
