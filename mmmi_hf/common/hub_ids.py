"""Names of repositories on the Hub. Imports the standard library only."""

from __future__ import annotations

import re

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")


def is_repository(name: str) -> bool:
    """Whether a name is owner/name."""
    return _REPOSITORY.fullmatch(name) is not None
