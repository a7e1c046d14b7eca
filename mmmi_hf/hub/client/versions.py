"""Versions of a repository: tags vX.Y.Z.

Owns reading, writing and counting on. A release commit claims its version in its title, so that a version is given away
in the same atomic step as the data; the tag follows, and whoever finds it missing may complete it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mmmi_hf.hub.client.errors import HubRequestError

_PART = "(0|[1-9][0-9]{0,8})"
_NUMBER = rf"{_PART}\.{_PART}\.{_PART}"
_TAG = re.compile(f"v{_NUMBER}")
_TITLE = re.compile(f"Release v{_NUMBER}(?![0-9.])")


class Version(NamedTuple):
    """X.Y.Z; `tag` is its tag."""

    major: int
    minor: int
    patch: int

    @property
    def tag(self) -> str:
        return f"v{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def next_minor(self) -> Version:
        return Version(self.major, self.minor + 1, 0)


FIRST = Version(1, 0, 0)


def version_of_tag(name: str) -> Version | None:
    """v1.2.0 as a Version; None for any other tag."""
    return _version(_TAG.fullmatch(name))


def version_of_title(title: str) -> Version | None:
    """The version that a commit's title claims ("Release v1.2.0: …"), or None."""
    return _version(_TITLE.match(title))


def parse_version(text: str) -> Version:
    """1.2.0 or v1.2.0. Raises HubRequestError for anything else."""
    version = version_of_tag(text if text.startswith("v") else f"v{text}")
    if version is None:
        raise HubRequestError(f"version must be X.Y.Z, such as 1.2.0, or 'auto', got {text[:40]!r}")
    return version


def _version(match: re.Match[str] | None) -> Version | None:
    return None if match is None else Version(*map(int, match.groups()))
