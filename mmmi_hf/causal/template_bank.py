"""The templates of one model, each distinct one stored once, and orthonormal frames of what they span.

Owns how the `templates` argument of a model is read, compared by content and turned into coordinates. Imports NumPy
and this room's errors and named templates only; knows nothing of coefficients other than which weights are zero.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.causal.arguments import Array, Shape, read_numbers
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.templates import named

_DEPENDENT = 1e-13


@dataclass(frozen=True, eq=False)
class Template:
    """One distinct template: values (d,) read-only, its shape, the name it was first asked for by, a content digest."""

    values: Array
    shape: Shape
    name: str | None
    content: bytes

    @classmethod
    def of(cls, values: Array, name: str | None = None) -> Template:
        """A template of these values, copied; -0.0 becomes 0.0, so that equal values are equal bytes."""
        flat = np.array(values, dtype=np.float64).reshape(-1) + 0.0
        flat.flags.writeable = False
        return cls(flat, values.shape, name, hashlib.sha256(np.asarray(flat, dtype="<f8").tobytes()).digest())


@dataclass(frozen=True, eq=False)
class Frame:
    """An orthonormal frame of a span of templates.

    basis: (r, d) orthonormal rows, or None for the unit vectors of R^d (then r = d).
    coordinates: (n, r), template t = coordinates[t] @ basis.
    """

    basis: Array | None
    coordinates: Array

    @classmethod
    def of(cls, templates: Array) -> Frame:
        """The frame of the rows of an (n, d) matrix, by Householder QR; r = min(n, d)."""
        count, size = templates.shape
        if count >= size:
            return cls(None, templates)
        if count == 0:
            return cls(np.zeros((0, size)), np.zeros((0, 0)))
        basis, upper = np.linalg.qr(templates.T)
        return cls(np.ascontiguousarray(basis.T), np.ascontiguousarray(upper.T))

    @classmethod
    def reproducible(cls, templates: Sequence[Array], size: int) -> Frame:
        """The frame of a few templates, with bits that do not depend on threads, by Gram-Schmidt done twice."""
        basis: list[Array] = []
        coordinates = np.zeros((len(templates), len(templates)))
        for place, template in enumerate(templates):
            length = math.sqrt(float(np.add.reduce(template * template)))
            rest = template / length
            for _ in range(2):
                for r, vector in enumerate(basis):
                    part = float(np.add.reduce(rest * vector))
                    coordinates[place, r] += part * length
                    rest = rest - part * vector
            remainder = math.sqrt(float(np.add.reduce(rest * rest)))
            if remainder > _DEPENDENT:
                coordinates[place, len(basis)] = remainder * length
                basis.append(rest / remainder)
        return cls(np.stack(basis) if basis else np.zeros((0, size)), coordinates[:, : len(basis)])


class TemplateBank:
    """All templates of a model, and which of them modality i uses for cause k.

    Args:
        templates: a name, an array of the modality's shape, or an M × K nesting of these (None where the weight is 0).
        weights: (M, K).
        shapes: the shape of each modality.

    Raises:
        InvalidModelError: wrong shape or nesting, unknown name, non-finite values, all zero or None where the weight
            is not zero.
    """

    def __init__(self, templates: Any, weights: Array, shapes: Sequence[Shape]) -> None:
        self.shapes = tuple(shapes)
        self.index: NDArray[np.intp] = np.full(weights.shape, -1, dtype=np.intp)
        self._stored: dict[Shape, list[Template]] = {shape: [] for shape in shapes}
        self._known: dict[Any, int] = {}
        self._alive: list[Any] = []
        self._frames: dict[Any, Frame] = {}
        rows = _nesting(templates, weights.shape, self.shapes)
        if rows is None:
            used = np.abs(weights).max(axis=1) > 0
            for i, shape in enumerate(self.shapes):
                self.index[i] = self._store(templates, shape, bool(used[i]), "templates")
        else:
            self._read(rows, weights)
        self._alive.clear()
        self._known.clear()

    def _read(self, rows: Sequence[Sequence[Any]], weights: Array) -> None:
        for i, row in enumerate(rows):
            for k, entry in enumerate(row):
                used_here = weights[i, k] != 0
                where = f"templates[{i}][{k}]"
                if entry is not None:
                    self.index[i, k] = self._store(entry, self.shapes[i], used_here, where)
                elif used_here:
                    raise InvalidModelError(
                        f"{where} is None but weights[{i}][{k}] is {float(weights[i, k])}; give a template"
                    )

    def _store(self, entry: Any, shape: Shape, used: bool, where: str) -> int:
        self._alive.append(entry)  # an id means something only while its object lives
        alias = (entry if isinstance(entry, str) else id(entry), shape, used)
        if alias not in self._known:
            template = _template(entry, shape, where)
            _check(template, shape, used, where)
            stored = self._stored[shape]
            content = (template.content, shape)
            if content not in self._known:
                self._known[content] = len(stored)
                stored.append(template)
            self._known[alias] = self._known[content]
        return self._known[alias]

    def template(self, i: int, k: int) -> Template | None:
        """The template of modality i and cause k, counted from 0; None where none was given."""
        index = int(self.index[i, k])
        return None if index < 0 else self._stored[self.shapes[i]][index]

    def norm(self, i: int, k: int) -> float:
        """‖T_ik‖, 0 where none was given."""
        template = self.template(i, k)
        return 0.0 if template is None else math.sqrt(float(np.add.reduce(template.values**2)))

    @cached_property
    def distinct(self) -> tuple[Template, ...]:
        """Every distinct template, in the order in which they were given."""
        return tuple(template for stored in self._stored.values() for template in stored)

    def frame(self, shape: Shape) -> Frame:
        """The frame of all templates of a shape; `coordinates` is addressed by `index`."""
        if shape not in self._frames:
            stored = [template.values for template in self._stored[shape]]
            size = math.prod(shape)
            self._frames[shape] = Frame.of(np.stack(stored) if stored else np.zeros((0, size)))
        return self._frames[shape]

    def own_frame(self, i: int, used: NDArray[np.bool_]) -> tuple[Frame, NDArray[np.intp]]:
        """The frame of the templates that modality i uses (a mask over causes), and their positions in it, (K,)."""
        ids, inverse = np.unique(self.index[i][used], return_inverse=True)
        key = (self.shapes[i], *map(int, ids))
        if key not in self._frames:
            stored = self._stored[self.shapes[i]]
            self._frames[key] = Frame.reproducible([stored[t].values for t in ids], math.prod(self.shapes[i]))
        return self._frames[key], inverse


def _template(entry: Any, shape: Shape, where: str) -> Template:
    if isinstance(entry, Template):
        return entry
    if isinstance(entry, str):
        return Template.of(named(entry, shape), entry)
    if not isinstance(entry, (list, tuple, np.ndarray)):
        raise InvalidModelError(f"{where} is {type(entry).__name__}, expected a template's name or an array of numbers")
    return Template.of(read_numbers(where, entry, "a template's name or an array of numbers"))


def _check(template: Template, shape: Shape, used: bool, where: str) -> None:
    if template.shape != shape:
        raise InvalidModelError(
            f"{where} has shape {template.shape}, expected {shape}, the modality's; reshape it or name a template"
        )
    if not np.all(np.isfinite(template.values)):
        raise InvalidModelError(f"{where} contains a value that is not finite; every entry must be a finite number")
    largest = float(np.abs(template.values).max())
    if used and largest < 1e-150:
        raise InvalidModelError(f"{where} is all zero although its weight is not; set the weight to 0 instead")
    if largest > 1e150:
        raise InvalidModelError(f"{where} has entries of size {largest}, expected at most 1e150; scale it down")


def _nesting(templates: Any, counts: tuple[int, ...], shapes: Sequence[Shape]) -> Sequence[Sequence[Any]] | None:
    """The M × K nesting, or None when `templates` is one template for all."""
    if isinstance(templates, str):
        return None
    if isinstance(templates, np.ndarray) and templates.dtype != object:
        if templates.shape in shapes or templates.ndim < 3:
            return None
        nested: Any = templates
    else:
        if not isinstance(templates, (list, tuple, np.ndarray)):
            raise InvalidModelError(
                f"templates is {type(templates).__name__}, expected a name, an array of the modality's shape, "
                "or an M × K nesting of these"
            )
        if _shape_if_numeric(templates) in shapes:
            return None
        nested = templates
    if len(nested) != counts[0]:
        raise InvalidModelError(
            f"templates has {len(nested)} rows, expected one array of the modality's shape, or {counts[0]} rows: "
            "one per modality"
        )
    for i, row in enumerate(nested):
        if isinstance(row, str) or not hasattr(row, "__len__") or len(row) != counts[1]:
            raise InvalidModelError(f"templates[{i}] must have one entry per common cause: {counts[1]} names or arrays")
    rows: Sequence[Sequence[Any]] = nested
    return rows


def _shape_if_numeric(value: Any) -> Shape | None:
    try:
        return np.asarray(value, dtype=np.float64).shape
    except (TypeError, ValueError):
        return None
