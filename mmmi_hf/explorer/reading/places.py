"""Which dataset a visitor means.

Owns the reading of what was written, and that a public page opens none of it but what it offers.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmmi_hf.common.places import is_address, is_repository, place
from mmmi_hf.explorer.surroundings import MOST_TEXT, Surroundings


@dataclass(frozen=True)
class Place:
    """A dataset: a folder, or owner/name of the Hub with a revision, None for the newest release."""

    name: str
    revision: str | None = None


def read_place(given: object, revision: object, where: Surroundings) -> Place:
    """The dataset that was written.

    Raises:
        ValueError: nothing that can be opened here.
    """
    text, tag = _text("folder or repository", given), _text("revision", revision)
    if where.public:
        if text not in where.datasets:
            raise ValueError("this page opens the datasets of its list alone; run `mmmi-hf explore` to open your own")
        name, _, pinned = text.partition("@")
        return Place(name, pinned or None)
    if not text:
        raise ValueError("folder or repository is empty; give a dataset folder, or owner/name of the Hub")
    if is_address(text):
        raise ValueError("addresses are not opened here; give a dataset folder, or owner/name of the Hub")
    if not place(text, "folder").is_dir():
        if not is_repository(text):
            raise ValueError(f"there is no folder {text!r}, and it is not owner/name of a repository")
    elif tag:
        raise ValueError("a folder has no revisions; leave revision empty, or give owner/name of the Hub")
    return Place(text, tag or None)


def _text(what: str, given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if len(text) > MOST_TEXT:
        raise ValueError(f"{what} has {len(text)} characters; give at most {MOST_TEXT}")
    return text
