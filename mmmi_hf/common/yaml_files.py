"""YAML: that of others, read once, with the line of every field, within bounds; and the one way in which we write it.

Owns what is refused before anything is built: too many bytes, values or levels – an alias counts as all that it
repeats – and a field given twice. What is written quotes texts that YAML 1.1 (PyYAML, `datasets`) or YAML 1.2 (the Hub)
reads as something else than a text: names such as `1e3`, `0o7` and `yes`. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmmi_hf.common.files import UnusableFileError, read_regular
from mmmi_hf.common.terminal import printable

FieldPath = tuple[str | int, ...]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MOST_BYTES = 8 << 20
MOST_VALUES = 200_000
"""Texts, numbers, lists and mappings together; a larger template is an image."""
MOST_LEVELS = 64
NO_TEXT = re.compile(
    r"~|null|true|false|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-f]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)(e[-+]?[0-9]+)?"
    r"|[-+]?\.inf|\.nan",
    re.IGNORECASE,
)
"""What the core schema of YAML 1.2 takes for null, a truth value or a number."""


class YamlError(ValueError):
    """YAML that is not read; `line` is where, counted from 1, if that is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True)
class Parsed:
    """What YAML says, and where.

    Attributes:
        data: plain Python values.
        lines: 1-based line of every field by its path.
    """

    data: Any
    lines: Mapping[FieldPath, int]


def parse_file(path: Path) -> Parsed:
    """The content of a regular file of YAML.

    Raises:
        YamlError: names the file, and the line where it can.
        FileNotFoundError: there is none.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no file {path}") from None
    except UnusableFileError as error:
        raise YamlError(str(error)) from None
    except OSError as error:
        raise YamlError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlError(f"{path} cannot be read: it is no UTF-8 text ({error.reason})") from error
    try:
        return parse(text)
    except YamlError as error:
        where = path if error.line is None else f"{path}, line {error.line}"
        raise YamlError(f"{where}: {error}", error.line) from error


def parse(text: str) -> Parsed:
    """The content of a text of YAML. Raises YamlError, without a file's name."""
    if len(text) > MOST_BYTES:
        raise YamlError(f"more than {MOST_BYTES:,} characters, at most that many are read")
    lines: dict[FieldPath, int] = {}
    try:
        _check_bounds(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _collect(node, (), lines)
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise YamlError(f"not valid YAML: {_one_line(error.problem)}", line) from error
    except yaml.YAMLError as error:
        raise YamlError(f"not valid YAML: {_one_line(error)}") from error
    except (RecursionError, ValueError, TypeError, OverflowError, LookupError, AttributeError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"not valid YAML: a value is not what its tag or its form says ({_one_line(error)})") from error
    return Parsed(data, lines)


def _check_bounds(text: str) -> None:
    """Refuse what would be large or deep, before any of it is built."""
    values = 0
    begun: list[tuple[str | None, int]] = []  # anchor, and the values before, of what is not ended
    levels: list[int] = [0]  # below each of these, and below all
    named: dict[str, tuple[int, int]] = {}  # anchor → the values and levels that an alias repeats
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in begun):
                raise YamlError(f"the alias *{event.anchor} stands in what it repeats; write it out", line)
            more, deep = named.get(str(event.anchor), (1, 0))
        elif isinstance(event, yaml.NodeEvent):
            more, deep = 1, int(isinstance(event, yaml.CollectionStartEvent))
        else:
            more = deep = 0
        values += more
        levels[-1] = max(levels[-1], deep)
        if values > MOST_VALUES:
            raise YamlError(
                f"more than {MOST_VALUES:,} values, at most that many are read; store arrays as images", line
            )
        if len(begun) + deep > MOST_LEVELS:
            raise YamlError(f"it nests deeper than {MOST_LEVELS} levels, at most that many are read", line)
        if isinstance(event, yaml.CollectionStartEvent):
            begun.append((event.anchor, values - 1))
            levels.append(0)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = begun.pop()
            below = 1 + levels.pop()
            levels[-1] = max(levels[-1], below)
            if anchor is not None:
                named[anchor] = values - before, below


def _collect(node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("the name of a field is a list or mapping, expected a text", line)
            child = (*path, str(key.value))
            if child in lines:
                raise YamlError(f"{dotted(child)} is given twice (first on line {lines[child]})", line)
            lines[child] = line
            _collect(value, child, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*path, index), lines)


def dotted(path: FieldPath) -> str:
    """("modalities", 1, "class_label") as modalities[1].class_label."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _one_line(error: object) -> str:
    text = printable(re.sub(r"\s+", " ", str(error)).strip())
    return text if len(text) <= 200 else f"{text[:200]}…"


class _Dumper(yaml.SafeDumper):
    """PyYAML's own, which quotes what YAML 1.1 would not read as a text, and what YAML 1.2 would not."""

    def represent_scalar(self, tag: str, value: Any, style: str | None = None) -> yaml.ScalarNode:
        """As in PyYAML, with quotes around what YAML 1.2 takes for something else than a text."""
        if tag == "tag:yaml.org,2002:str" and style is None and NO_TEXT.fullmatch(value):
            style = "'"
        return super().represent_scalar(tag, value, style=style)


class _ShortLists(_Dumper):
    """Lists without mappings in them in one line."""

    def represent_sequence(
        self, tag: str, sequence: Iterable[Any], flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        flat = not any(isinstance(value, Mapping) for value in sequence)
        return super().represent_sequence(tag, sequence, flow_style=flat)


def dump(data: Any, *, short_lists: bool = False) -> str:
    """Plain values as YAML, fields in the order given.

    Args:
        data: a mapping or a list.
        short_lists: write lists without mappings in them in one line: templates, mixing.
    """
    dumper = _ShortLists if short_lists else _Dumper
    text: str = yaml.dump(data, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def front_matter(fields: Mapping[str, Any]) -> str:
    """Fields as the head of a card: between lines of dashes, and an empty line below."""
    return f"---\n{dump(dict(fields))}---\n\n"
