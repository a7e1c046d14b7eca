"""Models as JSON text and as a digest: a law, and the target that is made of it where there is one.

Owns the text. Imports this room only. A law with a target is the fields of the law and one more, `target`; a law
without one has the text and the digest that it always had.
"""

from __future__ import annotations

import hashlib
import json

from mmmi_hf.causal import targets
from mmmi_hf.causal.laws import serialization
from mmmi_hf.causal.laws.law import Law
from mmmi_hf.causal.targets.target_law import TargetLaw

_FIELD = "target"


def to_json(law: Law) -> str:
    """The text of a law, the same for the same law."""
    if isinstance(law, TargetLaw):
        return json.dumps({**serialization.write(law.base), _FIELD: targets.write(law.target)})
    return json.dumps(serialization.write(law))


def from_json(text: str) -> Law:
    """The law of a text.

    Raises:
        InvalidModelError: the text is not JSON of this format and version, has unknown or missing fields, or describes
            no law or no target.
    """
    fields = serialization.parse(text)
    if _FIELD not in fields:
        return serialization.read(fields)
    target = targets.read(fields.pop(_FIELD))
    return TargetLaw(serialization.read(fields), target)


def digest(law: Law) -> str:
    """sha256 of what the law and its target are."""
    total = hashlib.sha256()
    base = law.base if isinstance(law, TargetLaw) else law
    for part in serialization.content(base):
        total.update(part)
    if isinstance(law, TargetLaw):
        total.update(f"\ntarget {json.dumps(targets.write(law.target), sort_keys=True)}".encode())
    return total.hexdigest()
