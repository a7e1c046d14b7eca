"""Arrays and shapes of laws in JSON. Imports NumPy and this room's errors only.

An array is {shape, data}, data being base64 of little-endian float64, every float exactly.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmmi_hf.causal.arguments import Array, Shape, check_shape
from mmmi_hf.causal.errors import InvalidModelError


def data_of(array: Array) -> bytes:
    """The entries as little-endian float64."""
    return np.ascontiguousarray(array, dtype="<f8").tobytes()


def bytes_of(array: Array) -> bytes:
    """What a digest is taken of: the shape and the entries."""
    return f"{array.shape!r}\n".encode() + data_of(array)


def write_array(array: Array) -> dict[str, Any]:
    """{shape, data}."""
    return {"shape": list(array.shape), "data": base64.b64encode(data_of(array)).decode("ascii")}


def read_array(where: str, entry: Any) -> Array:
    """What `write_array` wrote. Raises InvalidModelError, naming `where`, for anything else."""
    if not isinstance(entry, dict):
        raise InvalidModelError(f"{where} is {entry!r:.60}, expected an object with shape and data")
    check_fields(where, entry, ("shape", "data"))
    shape = read_shape(where, entry["shape"])
    try:
        raw = base64.b64decode(entry["data"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidModelError(f"{where}: data is not base64") from None
    if len(raw) != 8 * math.prod(shape):
        raise InvalidModelError(
            f"{where}: data has {len(raw)} bytes, expected {8 * math.prod(shape)} for shape {shape}"
        )
    return np.frombuffer(raw, dtype="<f8").astype(np.float64).reshape(shape)


def read_shape(where: str, value: Any) -> Shape:
    """A shape. Raises InvalidModelError, naming `where`, for anything else."""
    try:
        return check_shape(value)
    except InvalidModelError as error:
        raise InvalidModelError(f"{where}: {error}") from None


def check_fields(where: str, fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raises InvalidModelError where fields are unknown or missing."""
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InvalidModelError(f"{where} has unknown fields {', '.join(unknown)}; known are {', '.join(known)}")
    missing = [name for name in known if name not in fields]
    if missing:
        raise InvalidModelError(f"{where} lacks {', '.join(missing)}")
