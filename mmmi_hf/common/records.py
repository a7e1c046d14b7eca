"""Records: typed content of small JSON files, with errors that name file, line and field in one line.

Owns the base type of every record, the kinds of value that many have, and the translation of what pydantic finds into
such an error. Knows nothing of what the fields mean; imports pydantic, no room.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmmi_hf.common.failures import in_words
from mmmi_hf.common.files import UnusableFileError, read_regular, write_text
from mmmi_hf.common.yaml_files import FieldPath, dotted, parse

SHOWN = 60
"""Characters of a wrong value that an error repeats."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**53)]
Amount = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]

STRICT: Final = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""No unknown fields, and no value for one of another kind: texts and booleans are no numbers. Numbers are finite."""


class RecordError(ValueError):
    """Text that is no such record: says where, which field, what was given and what would be right."""


class Record(BaseModel):
    """A record that cannot change, checked as `STRICT` says. Fields that are None stand in no file."""

    model_config = STRICT | ConfigDict(frozen=True)

    def to_json(self) -> str:
        """The text of its file, indented, fields in their order."""
        content = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Put its file in place, whole or not at all."""
        write_text(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises:
            FileNotFoundError: there is none.
            RecordError: the file is something else.
        """
        try:
            return cls.parse(read_regular(path), str(path))
        except UnusableFileError as error:
            raise RecordError(str(error)) from error

    @classmethod
    def parse(cls, text: bytes, where: str) -> Self:
        """`read`, of the content of a file that errors call `where`; what reads older forms overrides this."""
        return cls.from_json(text, where)

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
            raise RecordError(told(error, where, {} if translated else lines_of(text))) from error
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise RecordError(f"{where}: {in_words(error)[: 2 * SHOWN]}") from error


def told(error: ValidationError, where: str = "", lines: Mapping[FieldPath, int] | None = None) -> str:
    """The first thing that pydantic found, in one line: file, line, field, what is wrong.

    Args:
        error: of the validation.
        where: the file; empty where there is none.
        lines: of its fields, by their paths.
    """
    first = error.errors(include_url=False)[0]
    lines, wrong = lines or {}, wrong_of(first)
    path = first["loc"] if not lines else _without_kinds(first["loc"], lines, missing=first["type"] == "missing")
    line = line_of(lines, path) if path else None
    if first["type"] == "value_error":  # a check of several fields names first the one that it is about
        line = lines.get((*path, wrong.partition(" ")[0]), line)
    place = where if line is None else f"{where}, line {line}"
    return ": ".join(part for part in (place, dotted(path), wrong) if part)


def wrong_of(found: Mapping[str, Any]) -> str:
    """What is wrong with one field, of `ValidationError.errors`, in one line."""
    if found["type"] == "missing":
        return "is missing"
    if found["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return "unknown field"
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    message = f"{found['msg'][:1].lower()}{found['msg'][1:]}"
    if found["type"] == "json_invalid":
        return message
    shown = repr(found["input"])
    return f"{message}, got {shown if len(shown) <= SHOWN else shown[:SHOWN] + '…'}"


def _without_kinds(path: Sequence[str | int], lines: Mapping[FieldPath, int], *, missing: bool) -> FieldPath:
    """A path without the names by which pydantic tells apart what a field may be; the last may be `missing`."""
    kept: FieldPath = ()
    for part in path:
        kept = (*kept, part) if (*kept, part) in lines else kept
    return (*kept, path[-1]) if missing else kept


def lines_of(text: str | bytes) -> Mapping[FieldPath, int]:
    """The line of every field; nothing of a text that YAML cannot take apart."""
    try:
        return parse(text if isinstance(text, str) else text.decode()).lines
    except ValueError:
        return {}


def line_of(lines: Mapping[FieldPath, int], path: Sequence[str | int]) -> int | None:
    """The line of a field, or of the nearest one around it."""
    nearest = tuple(path)
    while nearest and nearest not in lines:
        nearest = nearest[:-1]
    return lines.get(nearest)
