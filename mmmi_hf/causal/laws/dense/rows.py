"""The rows of A with (y, z) = A u: checked, scaled, and addressed by block.

Owns the reading of a matrix and its shapes. Imports NumPy and this room only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import SMALLEST, Array, Shape, check_shape, read_coefficients, shown
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.queries import TARGET

MOST_ROWS, MOST_COLUMNS = 4096, 1 << 16


class DenseRows:
    """(y, z_1, …, z_M) = A u.

    Args:
        matrix: A, (1 + Σ d_i, N); row 0 is y, then each modality's entries in C order.
        shapes: the shape of each modality.

    Raises:
        InvalidModelError: more than 4,096 rows, a wrong number of rows, a row without a source, non-finite entries, or
            a modality of more entries than sources.
    """

    def __init__(self, matrix: Any, shapes: Any) -> None:
        self.matrix = read_coefficients("A", matrix, 2, "(1 + Σ d_i, N), the row of y first", MOST_COLUMNS)
        if (
            not isinstance(shapes, (list, tuple))
            or not shapes
            or not all(isinstance(each, (list, tuple)) for each in shapes)
        ):
            raise InvalidModelError(
                f"shapes is {shown(shapes)}, expected one shape per modality such as [(1, 8, 8), (5,)]"
            )
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

    def stacked(self, names: tuple[str, ...], values: Mapping[str, Array], target: Array) -> Array:
        """(n, rows): data of blocks in the units of `factor`."""
        parts = [target[:, None] if name == TARGET else values[name] for name in names]
        joined = np.concatenate([np.zeros((len(target), 0)), *parts], axis=1)
        return np.asarray(joined / self.scales[self.rows(names)])
