"""Arguments of targets as JSON and YAML have them. Imports this room's errors only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmmi_hf.causal.errors import InvalidModelError


def arguments_of(
    kind: str, fields: Mapping[str, Any], known: tuple[str, ...], needed: tuple[str, ...] = (), example: str = ""
) -> Any:
    """The fields as keyword arguments. Raises InvalidModelError where some are unknown or missing."""
    such = f", such as {example}" if example else ""
    unknown = sorted(str(name) for name in fields if name not in known)
    if unknown:
        raise InvalidModelError(
            f"target {kind} has unknown fields {', '.join(unknown)}; known are {', '.join(known) or 'none'}{such}"
        )
    missing = [name for name in needed if name not in fields]
    if missing:
        raise InvalidModelError(f"target {kind} lacks {', '.join(missing)}{such}")
    return dict(fields)
