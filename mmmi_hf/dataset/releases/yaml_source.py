"""Configurations as YAML, with the line of every field, so that an error can point at it.

Owns the errors of configurations. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmmi_hf.common.places import place
from mmmi_hf.common.yaml_files import FieldPath, dotted, parse_file


class ConfigurationError(ValueError):
    """A configuration that cannot be used: says which field, what was given and what would be right."""


class FieldError(ConfigurationError):
    """A ConfigurationError that knows its field, e.g. ("modalities", 1, "class_label")."""

    def __init__(self, path: FieldPath, message: str) -> None:
        self.path = path
        self.message = message
        super().__init__(f"{dotted(path)}: {message}" if path else message)


@dataclass(frozen=True)
class YamlSource:
    """What a YAML file says, and where.

    Attributes:
        path: the file.
        data: its content in plain Python values.
        lines: 1-based line of every field by its path.
    """

    path: Path
    data: Any
    lines: Mapping[FieldPath, int]

    def located(self, error: FieldError) -> ConfigurationError:
        """The same error, naming the file and the line of the field (or of the nearest enclosing one)."""
        path = error.path
        while path and path not in self.lines:
            path = path[:-1]
        return ConfigurationError(f"{self.path}, line {self.lines.get(path, 1)}: {error}")


def read_yaml(path: str | os.PathLike[str]) -> YamlSource:
    """Read a YAML file. Raises ConfigurationError if it is missing, unreadable, malformed or repeats a field."""
    try:
        file = place(path, "the configuration")
        parsed = parse_file(file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    return YamlSource(file, parsed.data, parsed.lines)


def check_fields(data: Mapping[str, Any], known: tuple[str, ...], path: FieldPath) -> None:
    """Refuse fields that nothing would read."""
    for name in data:
        if name not in known:
            raise FieldError((*path, str(name)), f"unknown field; known here: {', '.join(known)}")
