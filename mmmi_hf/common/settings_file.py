"""Settings in a YAML file: reading the fields of a dataclass, and the kinds of their values.

Owns the refusal of what is no such file and no such value. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from mmmi_hf.common.numbers import is_finite
from mmmi_hf.common.places import place
from mmmi_hf.common.yaml_files import parse_file

if TYPE_CHECKING:
    import os


def read_fields(path: str | os.PathLike[str], kind: type, what: str) -> dict[str, Any]:
    """The fields of `kind`, a dataclass, that a YAML file gives; lists become tuples.

    Raises:
        ValueError: the file cannot be read, holds something else than a mapping, or a field that `kind` does not have.
    """
    try:
        given = parse_file(place(path, what)).data
    except OSError as error:
        raise ValueError(str(error)) from error
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ValueError(f"{path} must hold fields of {what}, got {type(given).__name__}")
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(map(str, set(given) - known)):
        raise ValueError(f"{path}: unknown fields {unknown}; {what} has {sorted(known)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def check_kind(name: str, value: object, example: object) -> None:
    """Refuse a value of another kind than `example`, the field's default; integers count as floats, bools do not.

    A default that tells no kind (None, a missing one) allows everything.

    Raises:
        ValueError: another kind, or a number that is not finite.
    """
    kinds = {bool: "true or false", int: "an integer", float: "a finite number", tuple: "a list"}
    if type(example) not in kinds:
        return
    if isinstance(example, tuple):
        right = isinstance(value, tuple) and all(_is(one, type(example[0])) for one in value)
        wanted = f"a list, each {kinds[type(example[0])]}"
    else:
        right, wanted = _is(value, type(example)), kinds[type(example)]
    if not right:
        shown = repr(value)
        raise ValueError(f"{name} must be {wanted}, got {shown if len(shown) <= 60 else shown[:60] + '…'}")


def _is(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and is_finite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
