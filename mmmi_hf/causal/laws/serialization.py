"""Laws as the fields of a JSON text and as the content of a digest.

Owns the file format (version 1), the list of all kinds of laws, and what counts as the same law. Imports this room
only.

Fields: format, version, kind, shapes, and those of the kind. Kind "structured" has eta, weights, mixing, templates
(each distinct once) and template_index (per modality and cause, its place in templates or null). Kind "matrix" has
matrix. Kind "categorical" has probabilities, means, templates (one per modality).
Kind "student" has those of "structured", dof and dimensions (null for all).
Kind "shifted" has those of "structured", cause and scale. Any of them may have one more, missing: modality → the
probability that a row lacks it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mmmi_hf.causal.arguments import shown
from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.arrays import check_fields
from mmmi_hf.causal.laws.categorical.categorical_law import CategoricalLaw
from mmmi_hf.causal.laws.dense.dense_law import DenseLaw
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.laws.missing.missing_law import MissingLaw
from mmmi_hf.causal.laws.shifted.shifted_law import ShiftedLaw
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw
from mmmi_hf.causal.laws.student.student_law import StudentLaw

FORMAT = "mmmi_hf.causal_model"
VERSION = 1
_MISSING = "missing"
LAWS: dict[str, type[Law]] = {
    law.kind: law for law in (StructuredLaw, DenseLaw, CategoricalLaw, StudentLaw, ShiftedLaw)
}
"""Every kind of law: a new one is a folder beside these, and a word here."""


def write(law: Law) -> dict[str, Any]:
    """The fields of a law, the same for the same law."""
    shapes = [list(shape) for shape in law.shapes.values()]
    absences = {_MISSING: dict(law.missing)} if law.missing else {}
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": law.whole.kind,
        "shapes": shapes,
        **law.whole.write(),
        **absences,
    }


def parse(text: str) -> dict[str, Any]:
    """The fields of a text. Raises InvalidModelError where it is not JSON of this format and version."""
    try:
        fields = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidModelError(f"text is not JSON: {error}; give what to_json() wrote") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise InvalidModelError(f"text is not a causal model: its field format must be {FORMAT!r}")
    if fields.get("version") != VERSION:
        raise InvalidModelError(
            f"version is {shown(fields.get('version'))}, expected {VERSION}; use the release that wrote it"
        )
    return fields


def read(fields: Mapping[str, Any]) -> Law:
    """The law of fields that `write` wrote. Raises InvalidModelError where they are unknown, missing or of no law."""
    kind = fields.get("kind")
    if not isinstance(kind, str) or kind not in LAWS:
        raise InvalidModelError(f"kind is {kind!r}, expected one of {', '.join(LAWS)}")
    plain = {name: value for name, value in fields.items() if name != _MISSING}
    check_fields("the causal model", plain, ("format", "version", "kind", "shapes", *LAWS[kind].fields))
    shapes = fields["shapes"]
    if not isinstance(shapes, list):
        raise InvalidModelError(f"shapes is {shown(shapes)}, expected a list of one shape per modality")
    law = LAWS[kind].read(shapes, plain)
    return MissingLaw(law, fields[_MISSING]) if _MISSING in fields else law


def content(law: Law) -> Iterator[bytes]:
    """What a digest is taken of: the shapes and the content."""
    yield f"{FORMAT} {VERSION} {list(law.shapes.values())!r}\n".encode()
    yield from law.content()
