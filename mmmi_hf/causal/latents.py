"""Latents of rows: standard normals addressed by (seed, row), and what they become.

Owns the `Latents` record and the addressing of random numbers. Imports NumPy and this room only.

Row r of seed s owns the Philox-4x64 streams with key (s, 0) and counters (·, ·, r, j): stream 0 holds the K scalar
causes in order, stream 1 + j holds the vector source û_j. NumPy's ziggurat turns a stream into standard normals. A
stream is 2^128 blocks long, so that neither rows nor sources overlap, and nothing depends on which other rows, sources,
modalities, chunks or processes exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.errors import InvalidQueryError
from mmmi_hf.causal.queries import Sampler

STANDARDIZATIONS = ("whiten", "rms", "none")


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents and target of some rows.

    z: modality name → (n, *shape), standardised as `standardize` says.
    y: (n,), never rescaled.
    start: the first row, seed: of the streams; both None where the latents were not drawn (recovered from images).
    """

    z: Mapping[str, Array]
    y: Array
    standardize: str = "whiten"
    start: int | None = None
    seed: int | None = None

    def __len__(self) -> int:
        return len(self.y)


class PhiloxRows:
    """Standard normals for rows `rows` of a seed."""

    def __init__(self, seed: int, rows: Sequence[int]) -> None:
        self._rows = rows
        self._bits = np.random.Philox(key=np.array([seed, 0], dtype=np.uint64))
        self._normals = np.random.Generator(self._bits)
        self._state = dict(self._bits.state)

    def fill(self, stream: int, out: Array) -> None:
        """out[r] = the first numbers of that stream of the r-th row."""
        state = self._state
        counter = state["state"]["counter"]
        counter[3] = stream
        normals, bits = self._normals, self._bits
        for row, values in zip(self._rows, out, strict=True):
            counter[2] = row
            bits.state = state
            normals.standard_normal(out=values)


def check_kind(kind: str) -> str:
    """Raises InvalidQueryError for an unknown standardisation."""
    if kind not in STANDARDIZATIONS:
        raise InvalidQueryError(f"standardize is {kind!r}, expected one of {', '.join(STANDARDIZATIONS)}")
    return kind


def check_natural(name: str, value: object, below: int = 2**63) -> int:
    """An integer 0 ≤ value < below. Raises InvalidQueryError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= int(value) < below:
        raise InvalidQueryError(f"{name} is {value!r}, expected an integer 0 ≤ {name} < {below}")
    return int(value)


def draw(
    sampler: Sampler, shapes: Mapping[str, tuple[int, ...]], rows: Sequence[int], *, seed: int, kind: str, start: int | None
) -> Latents:
    """The latents of some rows, in chunks that stay in cache."""
    count = len(rows)
    z = {name: np.empty((count, *shape)) for name, shape in shapes.items()}
    y = np.empty(count)
    flat = {name: values.reshape(count, -1) for name, values in z.items()}
    for begin in range(0, count, sampler.rows_at_once):
        end = min(begin + sampler.rows_at_once, count)
        part = {name: values[begin:end] for name, values in flat.items()}
        sampler.draw(PhiloxRows(seed, rows[begin:end]), end - begin, part, y[begin:end])
    return Latents(z, y, kind, start, seed)
