"""What functions of this room are given: numbers, shapes and coefficients, read once and refused by name.

Owns the limits of sizes and the checks that several files share. Imports NumPy, this room's errors and
common/ only. A number is a number: texts and booleans are none, whatever Python would make of them; NumPy's numbers
are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.causal.errors import InvalidModelError, InvalidQueryError
from mmmi_hf.common.numbers import is_whole

Array = NDArray[np.float64]
Shape = tuple[int, ...]

LARGEST, SMALLEST = 1e150, 1e-150
"""Sizes of coefficients whose squares float64 still holds."""
MOST_ENTRIES = 1 << 24
"""Of one modality: 128 MiB of float64, a picture of 4096 × 4096."""
MOST_COEFFICIENTS = 1024
"""Modalities, causes and vector sources of a model."""
_SHOWN = 60


def shown(value: object) -> str:
    """A value in one short line of a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def read_whole(
    name: str, value: object, least: int, most: int | None = None, error: type[ValueError] = InvalidModelError
) -> int:
    """An integer, least ≤ value ≤ most.

    Raises:
        error: it is something else, e.g. a boolean.
    """
    if not is_whole(value, least):
        raise error(f"{name} is {shown(value)}, expected an integer of at least {least}")
    if most is not None and int(value) > most:
        raise error(f"{name} is {shown(value)}, expected an integer of at most {most}")
    return int(value)


def read_natural(name: str, value: object, below: int = 2**63) -> int:
    """An integer 0 ≤ value < below. Raises InvalidQueryError otherwise."""
    try:
        return read_whole(name, value, 0, below - 1, InvalidQueryError)
    except InvalidQueryError:
        raise InvalidQueryError(f"{name} is {shown(value)}, expected an integer 0 ≤ {name} < {below}") from None


def read_number(name: str, value: object, expected: str = "a number") -> float:
    """A number that is not NaN.

    Raises:
        InvalidModelError: it is something else, e.g. a text or a boolean.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    found = float(value) if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)) else math.nan
    if math.isnan(found):
        raise InvalidModelError(f"{name} is {shown(value)}, expected {expected}")
    return found


def read_finite(name: str, value: object) -> float:
    """A finite number. Raises InvalidModelError for anything else."""
    found = read_number(name, value, "a finite number")
    if not math.isfinite(found):
        raise InvalidModelError(f"{name} is {shown(value)}, expected a finite number")
    return found


def read_positive(name: str, value: object) -> float:
    """A finite number above 0. Raises InvalidModelError for anything else."""
    found = read_finite(name, value)
    if found <= 0.0:
        raise InvalidModelError(f"{name} is {shown(value)}, expected a number above 0")
    return found


def read_numbers(name: str, values: Any, expected: str = "numbers in rows of equal length") -> Array:
    """Numbers as a new float64 array of any shape, NaN and infinity included.

    Raises:
        InvalidModelError: among them is something else, e.g. a text or a boolean, or rows differ in length.
    """
    for entry in _entries(values):
        if entry is None or isinstance(entry, (bool, np.bool_, str, bytes)):
            raise InvalidModelError(f"{name} is {shown(values)}, expected {expected}: {shown(entry)} is no number")
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidModelError(f"{name} is {shown(values)}, expected {expected}") from None


def _entries(values: Any) -> Iterator[Any]:
    """The entries of nested lists; of arrays of one kind of numbers none, of others one or all."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.dtype.kind not in "iuf" and values.size:
            yield values.flat[0].item()
    elif isinstance(values, (list, tuple, np.ndarray)):
        for entry in values:
            if isinstance(entry, (list, tuple, np.ndarray)):
                yield from _entries(entry)
            else:
                yield entry
    else:
        yield values


def read_coefficients(name: str, values: Any, axes: int, meaning: str, most: int = MOST_COEFFICIENTS) -> Array:
    """Finite numbers with that many axes, read-only.

    Raises:
        InvalidModelError: other values, other axes, more than `most` along one of them.
    """
    array = read_numbers(name, values, f"numbers of shape {meaning}")
    if array.ndim != axes or array.size == 0:
        raise InvalidModelError(f"{name} has shape {array.shape}, expected {meaning}, none of them zero")
    if max(array.shape) > most:
        raise InvalidModelError(f"{name} has shape {array.shape}, expected {meaning}, each at most {most}")
    if not np.all(np.isfinite(array)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InvalidModelError(f"{name}{list(where)} is {float(array[where])}, expected a finite number")
    if np.abs(array).max() > LARGEST:
        raise InvalidModelError(f"{name} has entries above {LARGEST} in size; rescale the model")
    array += 0.0
    array.flags.writeable = False
    return array


def check_shape(shape: Sequence[int], pattern: str | None = None) -> Shape:
    """The shape as a tuple of positive integers; with `pattern`, of one to three axes.

    Raises:
        InvalidModelError: it is something else, or has more than `MOST_ENTRIES` entries.
    """
    listed = isinstance(shape, (list, tuple)) and all(map(is_whole, shape))
    checked = tuple(map(int, shape)) if listed else ()
    if not checked or min(checked) < 1:
        raise InvalidModelError(f"shape is {shown(shape)}, expected a tuple of positive integers such as (1, 32, 32)")
    if math.prod(checked) > MOST_ENTRIES:
        raise InvalidModelError(
            f"shape is {shown(shape)} with more than {MOST_ENTRIES} entries in one modality; make it smaller"
        )
    if pattern is not None and len(checked) > 3:
        raise InvalidModelError(
            f"shape is {checked}: {pattern} is defined for (T,), (H, W) and (C, H, W); give an array"
        )
    return checked


def read_shapes(shape: Any, modalities: int) -> list[Shape]:
    """One shape per modality. Raises InvalidModelError for anything that is not one shape or one per modality."""
    several = (
        isinstance(shape, (list, tuple)) and len(shape) > 0 and all(isinstance(each, (list, tuple)) for each in shape)
    )
    if not several:
        return [check_shape(shape)] * modalities
    if len(shape) != modalities:
        raise InvalidModelError(f"shape gives {len(shape)} shapes for {modalities} modalities; give one, or one each")
    return [check_shape(each) for each in shape]
