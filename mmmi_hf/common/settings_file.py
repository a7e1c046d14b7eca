"""Settings: what a run depends on, as a frozen dataclass whose fields may stand in a YAML file.

Owns the check of their values and the reading of such a file; both refuse in one line that names the field. Knows
nothing of what the fields mean.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mmmi_hf.common.places import place
from mmmi_hf.common.records import STRICT, RecordError, told
from mmmi_hf.common.yaml_files import parse_file

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def settings(kind: type[T]) -> type[T]:
    """A class decorator: a frozen dataclass whose values must be what its annotations say.

    Values of another kind, or outside the bounds of an `Annotated` field, raise RecordError, in one line.
    """
    made: Any = dataclass(kind, frozen=True, config=STRICT)
    checked = made.__init__

    @functools.wraps(checked)
    def initialise(self: T, *given: Any, **named: Any) -> None:
        try:
            checked(self, *given, **named)
        except ValidationError as error:
            raise RecordError(told(error)) from error

    made.__init__ = initialise
    return made  # type: ignore[no-any-return]


def read_settings(
    kind: type[T],
    path: str | os.PathLike[str],
    what: str,
    *,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> T:
    """The settings that a YAML file gives.

    Args:
        kind: made by `settings`.
        path: of the file.
        what: such settings are, in an error: "a training recipe".
        overrides: values that take the place of the file's.
        defaults: values of fields that the file does not give.

    Raises:
        RecordError: no such file, something else, unknown or missing fields, or impossible values; names file, line and
            field.
    """
    overrides = overrides or {}
    try:
        parsed = parse_file(place(path, what))
    except (OSError, ValueError) as error:
        raise RecordError(str(error)) from error
    given = {} if parsed.data is None else parsed.data
    if not isinstance(given, dict):
        raise RecordError(f"{path} must hold fields of {what}, got {type(given).__name__}")
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            line = parsed.lines.get((str(name),), 1)
            raise RecordError(f"{path}, line {line}: {name}: unknown field; {what} has {', '.join(sorted(known))}")
    try:
        return TypeAdapter(kind).validate_json(json.dumps({**(defaults or {}), **given, **overrides}, default=str))
    except ValidationError as error:
        if error.errors()[0]["loc"][:1] in {(name,) for name in overrides}:
            raise RecordError(told(error)) from error
        raise RecordError(told(error, str(path), parsed.lines)) from error
