"""Laws as JSON text and as a digest.

Owns the file format (version 1), the list of all kinds of laws, and what counts as the same law. Imports this room
only.

Fields: format, version, kind, shapes, and those of the kind. Kind "structured" has eta, weights, mixing, templates
(each distinct once) and template_index (per modality and cause, its place in templates or null). Kind "matrix" has
matrix.
"""

from __future__ import annotations

import hashlib
import json

from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.arrays import check_fields
from mmmi_hf.causal.laws.dense.dense_law import DenseLaw
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.laws.structured.structured_law import StructuredLaw

FORMAT = "mmmi_hf.causal_model"
VERSION = 1
LAWS: dict[str, type[Law]] = {law.kind: law for law in (StructuredLaw, DenseLaw)}
"""Every kind of law: a new one is a folder beside these, and a word here."""


def to_json(law: Law) -> str:
    """The text of a law, the same for the same law."""
    shapes = [list(shape) for shape in law.shapes.values()]
    head = {"format": FORMAT, "version": VERSION, "kind": law.kind, "shapes": shapes}
    return json.dumps({**head, **law.write()})


def from_json(text: str) -> Law:
    """The law of a text.

    Raises:
        InvalidModelError: the text is not JSON of this format and version, has unknown or missing fields, or describes
            no law.
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
    if not isinstance(kind, str) or kind not in LAWS:
        raise InvalidModelError(f"kind is {kind!r}, expected one of {', '.join(LAWS)}")
    check_fields("the causal model", fields, ("format", "version", "kind", "shapes", *LAWS[kind].fields))
    shapes = fields["shapes"]
    if not isinstance(shapes, list):
        raise InvalidModelError(f"shapes is {shapes!r}, expected a list of one shape per modality")
    return LAWS[kind].read(shapes, fields)


def digest(law: Law) -> str:
    """sha256 of what the law is: its shapes and its content."""
    total = hashlib.sha256(f"{FORMAT} {VERSION} {list(law.shapes.values())!r}\n".encode())
    for part in law.content():
        total.update(part)
    return total.hexdigest()
