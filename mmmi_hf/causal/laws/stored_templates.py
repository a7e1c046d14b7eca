"""Templates in JSON. Imports this room only.

A template that was asked for by name keeps its name, and has no data where every machine computes the same values.
"""

from __future__ import annotations

from typing import Any

from mmmi_hf.causal.errors import InvalidModelError
from mmmi_hf.causal.laws.arrays import check_fields, read_array, read_shape, write_array
from mmmi_hf.causal.template_bank import Template
from mmmi_hf.causal.templates import named

_EXACT_NAMES = frozenset({"ones", "component", "checkerboard"})


def write_template(template: Template) -> dict[str, Any]:
    """{name, shape}, or {shape, data} with a name if it has one."""
    if template.name in _EXACT_NAMES:
        return {"name": template.name, "shape": list(template.shape)}
    values = write_array(template.values.reshape(template.shape))
    return {**({"name": template.name} if template.name else {}), **values}


def read_template(where: str, entry: Any) -> Template:
    """What `write_template` wrote. Raises InvalidModelError, naming `where`, for anything else."""
    if not isinstance(entry, dict):
        raise InvalidModelError(f"{where} is {entry!r:.60}, expected an object with shape and data, or name and shape")
    name = entry.get("name")
    if not (name is None or isinstance(name, str)):
        raise InvalidModelError(f"{where}: name is {name!r}, expected the name of a template")
    if "data" in entry:
        check_fields(where, {"name": name, **entry}, ("name", "shape", "data"))
        values = read_array(where, {"shape": entry.get("shape"), "data": entry["data"]})
    else:
        check_fields(where, entry, ("name", "shape"))
        shape = read_shape(where, entry["shape"])
        try:
            values = named(str(name), shape)
        except InvalidModelError as error:
            raise InvalidModelError(f"{where}: {error}") from None
    return Template.of(values, name)
