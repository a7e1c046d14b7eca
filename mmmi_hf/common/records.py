"""Records: typed content of small JSON files, with errors that name file, line and field in one line.

Owns the base type of every record and the translation of what pydantic finds into such an error. Knows nothing of what
the fields mean; imports pydantic, no room.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mmmi_hf.common.yaml_files import dotted, parse

SHOWN = 60
"""Characters of a wrong value that an error repeats."""


class RecordError(ValueError):
    """Text that is no such record: says where, which field, what was given and what would be right."""


class Record(BaseModel):
    """A record that cannot change, has no unknown fields, and takes no value for one of another kind.

    Numbers are finite. Fields that are None stand in no file: `to_json` leaves them out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to_json(self) -> str:
        """The text of its file, indented, fields in their order."""
        content = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(
        cls, text: str | bytes, where: str, *, translated: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    ) -> Self:
        """Read what `to_json` wrote.

        Args:
            text: JSON.
            where: what errors call it, the file's path for example.
            translated: from the fields of an older form to those of today; of which field it fails cannot be said.

        Raises:
            RecordError: it is another thing; names the line and the field.
        """
        try:
            if translated is None:
                return cls.model_validate_json(text)
            return cls.model_validate_json(json.dumps(translated(json.loads(text))))
        except ValidationError as error:
            raise RecordError(told(error, where, None if translated else text)) from error
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise RecordError(f"{where}: {type(error).__name__}: {' '.join(str(error).split())[:SHOWN]}") from error


def told(error: ValidationError, where: str, text: str | bytes | None = None) -> str:
    """The first thing that pydantic found, in one line: file, line, field, what is wrong.

    Args:
        error: of the validation.
        where: the file.
        text: its YAML or JSON, in which the line of the field is looked up; None where there are no lines.
    """
    first = error.errors(include_url=False)[0]
    path = tuple(first["loc"])
    line = None if text is None or not path else line_of(text, path)
    place = where if line is None else f"{where}, line {line}"
    return f"{place}: {dotted(path)}: {_wrong(first)}" if path else f"{place}: {_wrong(first)}"


def _wrong(found: Mapping[str, Any]) -> str:
    if found["type"] == "missing":
        return "is missing"
    if found["type"] == "extra_forbidden":
        return "unknown field"
    message = f"{found['msg'][:1].lower()}{found['msg'][1:]}"
    if found["type"] == "json_invalid":
        return message
    shown = repr(found["input"])
    return f"{message}, got {shown if len(shown) <= SHOWN else shown[:SHOWN] + '…'}"


def line_of(text: str | bytes, path: Sequence[str | int]) -> int | None:
    """The 1-based line of a field, or of the nearest one around it; None in text that YAML cannot take apart."""
    try:
        lines = parse(text if isinstance(text, str) else text.decode()).lines
    except ValueError:
        return None
    nearest = tuple(path)
    while nearest and nearest not in lines:
        nearest = nearest[:-1]
    return lines.get(nearest)
