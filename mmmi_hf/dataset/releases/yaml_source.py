"""YAML files with the line of every field, so that an error can point at it.

Owns reading and writing YAML for configurations. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FieldPath = tuple[str | int, ...]


class ConfigurationError(ValueError):
    """A configuration that cannot be used: says which field, what was given and what would be right."""


class FieldError(ConfigurationError):
    """A ConfigurationError that knows its field, e.g. ("modalities", 1, "class_label")."""

    def __init__(self, path: FieldPath, message: str) -> None:
        self.path = path
        self.message = message
        super().__init__(f"{dotted(path)}: {message}" if path else message)


def dotted(path: FieldPath) -> str:
    """("modalities", 1, "class_label") as modalities[1].class_label."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


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
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    lines: dict[FieldPath, int] = {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
        if node is not None:
            _collect(path, node, (), lines)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise ConfigurationError(f"{path} nests too deeply, or contains itself") from None
    return YamlSource(path, data, lines)


def _collect(file: Path, node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*path, str(key.value))
            if child in lines:
                line = key.start_mark.line + 1
                raise ConfigurationError(
                    f"{file}, line {line}: {dotted(child)} is given twice (first on line {lines[child]})"
                )
            lines[child] = key.start_mark.line + 1
            _collect(file, value, child, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(file, value, (*path, index), lines)


def check_fields(data: Mapping[str, Any], known: tuple[str, ...], path: FieldPath) -> None:
    """Refuse fields that nothing would read."""
    for name in data:
        if name not in known:
            raise FieldError((*path, str(name)), f"unknown field; known here: {', '.join(known)}")


class _Dumper(yaml.SafeDumper):
    """Block style for mappings, flow style for lists of numbers."""

    def represent_sequence(
        self, tag: str, sequence: Iterable[Any], flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        flat = not any(isinstance(value, Mapping) for value in sequence)
        return super().represent_sequence(tag, sequence, flow_style=flat)


def dump_yaml(data: Mapping[str, Any]) -> str:
    """A mapping of plain values as YAML, fields in the order given."""
    text: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text
