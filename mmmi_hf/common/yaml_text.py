"""YAML that we write: configurations, drafts, and the front matter of cards.

Owns the one dumper. Texts that YAML 1.1 (PyYAML, `datasets`) or YAML 1.2 (the Hub) reads as something else than a text
– names such as `1e3`, `0o7` and `yes` – are quoted. Knows nothing of what the fields mean; imports no room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

NO_TEXT = re.compile(
    r"~|null|true|false|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-f]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)(e[-+]?[0-9]+)?"
    r"|[-+]?\.inf|\.nan",
    re.IGNORECASE,
)
"""What the core schema of YAML 1.2 takes for null, a truth value or a number."""


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
