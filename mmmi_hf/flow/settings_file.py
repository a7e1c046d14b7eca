"""Settings in a YAML file: reading the fields of a dataclass.

Owns the refusal of what is no such file. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os


def read_fields(path: str | os.PathLike[str], kind: type, what: str) -> dict[str, Any]:
    """The fields of `kind`, a dataclass, that a YAML file gives; lists become tuples.

    Raises:
        ValueError: the file cannot be read, holds something else than a mapping, or a field that `kind` does not have.
    """
    import yaml

    try:
        given = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{path} must hold fields of {what}, got {type(given).__name__}")
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(map(str, set(given) - known)):
        raise ValueError(f"{path}: unknown fields {unknown}; {what} has {sorted(known)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
