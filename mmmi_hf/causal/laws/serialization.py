"""Causal models as JSON text and as a digest.

Owns the file format (version 1) and what counts as the same model. Imports NumPy and this room only.

Fields: format, version, kind. Kind "structured" has shapes, eta, weights, mixing, templates (each distinct once) and
template_index (per modality and cause, its place in templates or null). Kind "matrix" has shapes and matrix. An array
is {shape, data}, data being base64 of little-endian float64. A template that was asked for by name keeps its name, and
has no data where every machine computes the same values.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmmi_hf.causal.canonical import Array
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.dense.dense_law import DenseLaw
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.template_bank import Template
from mmmi_hf.causal.templates import named

Law = StructuredLaw | DenseLaw

FORMAT = "mmmi_hf.causal_model"
VERSION = 1
_EXACT_NAMES = frozenset({"ones", "component", "checkerboard"})
_FIELDS = {
    "structured": ("shapes", "eta", "weights", "mixing", "templates", "template_index"),
    "matrix": ("shapes", "matrix"),
}


def to_json(law: Law) -> str:
    """The text of a model, the same for the same model."""
    shapes = [list(shape) for shape in law.shapes.values()]
    if isinstance(law, DenseLaw):
        fields: dict[str, Any] = {"kind": "matrix", "shapes": shapes, "matrix": _array_out(law.matrix)}
    else:
        places = {id(template): place for place, template in enumerate(law.bank.distinct)}
        index = [
            [places.get(id(law.bank.template(i, k))) for k in range(len(law.eta))] for i in range(len(law.weights))
        ]
        fields = {
            "kind": "structured",
            "shapes": shapes,
            "eta": law.eta.tolist(),
            "weights": law.weights.tolist(),
            "mixing": law.mixing.tolist(),
            "templates": [_template_out(template) for template in law.bank.distinct],
            "template_index": index,
        }
    return json.dumps({"format": FORMAT, "version": VERSION, **fields})


def from_json(text: str) -> Law:
    """The model of a text.

    Raises:
        InvalidModelError: the text is not JSON of this format and version, has unknown or missing fields, or describes
            no model.
    """
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidModelError(f"text is not JSON: {error}; give what to_json() wrote") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise InvalidModelError(f"text is not a causal model: its field format must be {FORMAT!r}")
    if fields.get("version") != VERSION:
        raise InvalidModelError(
            f"version is {fields.get('version')!r}, expected {VERSION}; use the release that wrote it"
        )
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise InvalidModelError(f"kind is {kind!r}, expected one of {', '.join(_FIELDS)}")
    _check_fields("the causal model", fields, ("format", "version", "kind", *_FIELDS[kind]))
    shapes = fields["shapes"]
    if not isinstance(shapes, list):
        raise InvalidModelError(f"shapes is {shapes!r}, expected a list of one shape per modality")
    if kind == "matrix":
        return DenseLaw(_array_in("matrix", fields["matrix"]), shapes)
    stored = fields["templates"]
    if not isinstance(stored, list):
        raise InvalidModelError(f"templates is {type(stored).__name__}, expected a list")
    templates = [_template_in(f"templates[{place}]", entry) for place, entry in enumerate(stored)]
    index = fields["template_index"]
    if not isinstance(index, list) or not all(isinstance(row, list) for row in index):
        raise InvalidModelError("template_index must be a list of rows, one per modality")
    nested = [[_chosen(templates, place) for place in row] for row in index]
    return StructuredLaw(fields["eta"], fields["weights"], fields["mixing"], shapes, nested)


def digest(law: Law) -> str:
    """sha256 of what the model is: kind, shapes, coefficients, and the values of templates whose weight is not 0."""
    total = hashlib.sha256(f"{FORMAT} {VERSION} {list(law.shapes.values())!r}\n".encode())
    arrays: tuple[Array, ...] = (law.matrix,) if isinstance(law, DenseLaw) else (law.eta, law.weights, law.mixing)
    for array in arrays:
        total.update(f"{array.shape!r}\n".encode() + _bytes(array))
    if isinstance(law, StructuredLaw):
        for i, k in np.argwhere(law.weights != 0.0):
            template = law.bank.template(int(i), int(k))
            if template is not None:
                total.update(template.content)
    return total.hexdigest()


def _bytes(array: NDArray[np.float64]) -> bytes:
    return np.ascontiguousarray(array, dtype="<f8").tobytes()


def _array_out(array: Array) -> dict[str, Any]:
    return {"shape": list(array.shape), "data": base64.b64encode(_bytes(array)).decode("ascii")}


def _template_out(template: Template) -> dict[str, Any]:
    values = template.values.reshape(template.shape)
    if template.name in _EXACT_NAMES:
        return {"name": template.name, "shape": list(template.shape)}
    return {**({"name": template.name} if template.name else {}), **_array_out(values)}


def _template_in(where: str, entry: Any) -> Template:
    if not isinstance(entry, dict):
        raise InvalidModelError(
            f"{where} is {type(entry).__name__}, expected an object with shape and data, or name and shape"
        )
    name = entry.get("name")
    if not (name is None or isinstance(name, str)):
        raise InvalidModelError(f"{where}: name is {name!r}, expected the name of a template")
    if "data" in entry:
        _check_fields(where, {"name": name, **entry}, ("name", "shape", "data"))
        values = _array_in(where, {"shape": entry.get("shape"), "data": entry["data"]})
    else:
        _check_fields(where, entry, ("name", "shape"))
        shape = _shape_in(where, entry["shape"])
        try:
            values = named(str(name), shape)
        except (ValueError, MemoryError) as error:
            raise InvalidModelError(f"{where}: {error}") from None
    return Template.of(values, name)


def _chosen(templates: list[Template], place: Any) -> Template | None:
    if place is None:
        return None
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(templates):
        raise InvalidModelError(f"template_index contains {place!r}, expected null or 0 … {len(templates) - 1}")
    return templates[place]


def _array_in(where: str, entry: Any) -> Array:
    if not isinstance(entry, dict):
        raise InvalidModelError(f"{where} is {type(entry).__name__}, expected an object with shape and data")
    _check_fields(where, entry, ("shape", "data"))
    shape = _shape_in(where, entry["shape"])
    try:
        raw = base64.b64decode(entry["data"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidModelError(f"{where}: data is not base64") from None
    if len(raw) != 8 * math.prod(shape):
        raise InvalidModelError(
            f"{where}: data has {len(raw)} bytes, expected {8 * math.prod(shape)} for shape {shape}"
        )
    return np.frombuffer(raw, dtype="<f8").astype(np.float64).reshape(shape)


def _shape_in(where: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or not all(type(n) is int and n > 0 for n in value):
        raise InvalidModelError(f"{where}: shape is {value!r}, expected a list of positive integers")
    return tuple(value)


def _check_fields(where: str, fields: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise InvalidModelError(f"{where} has unknown fields {', '.join(unknown)}; known are {', '.join(known)}")
    missing = [name for name in known if name not in fields]
    if missing:
        raise InvalidModelError(f"{where} lacks {', '.join(missing)}")
