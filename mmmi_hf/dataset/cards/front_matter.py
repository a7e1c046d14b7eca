"""The YAML at the top of a dataset card, as any reader of YAML takes it.

Owns how its fields are written: texts that YAML 1.1 (PyYAML, `datasets`) or YAML 1.2 (the Hub) reads as something else
than a text – names such as `1e3`, `0o7` and `yes` – are quoted. Knows nothing of what the fields mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def front_matter(fields: Mapping[str, Any]) -> str:
    """Fields in the order given, without the lines of dashes around them."""
    text: str = yaml.dump(dict(fields), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
