"""What a Space of Gradio releases: its program, exact requirements, front matter, and a wheel where it brings one.

Owns which files belong to it, and what they must be. Reads files only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.client.remote import State
from mmmi_hf.hub.client.versions import Version
from mmmi_hf.hub.merging import split_card
from mmmi_hf.hub.publishing.release import CARD, LocalFile

APP, REQUIREMENTS = "app.py", "requirements.txt"
_FILES = (APP, REQUIREMENTS, "*.whl")
_NEEDED = ("title", "sdk", "sdk_version", "app_file", "license")
_EXACT = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?(==[A-Za-z0-9.!]+| @ https?://\S+\.whl)")


class SpaceContent:
    """A Space's folder, as a release.

    Args:
        folder: with app.py, requirements.txt and README.md.
        repo: owner/name.

    Raises:
        HubRequestError: no such folder, or a file of it that a Space cannot use.
    """

    def __init__(self, folder: Path, repo: str) -> None:
        self.names = (repo.split("/")[1],)
        self._card = _checked_card(folder)
        _check_app(folder)
        _check_requirements(folder)
        paths = sorted(path for path in folder.iterdir() if path.is_file() and _belongs(path.name))
        self.files = [LocalFile.of(path.name, path) for path in paths]

    def prepare(self, state: State) -> Sequence[str]:
        """Wheels of an earlier version; other people's files stay."""
        kept = {file.path for file in self.files}
        return [path for path in state.files if _belongs(path) and path not in kept]

    def derived(self, state: State, version: Version) -> Sequence[LocalFile]:
        """README.md as it lies in the folder."""
        del state, version
        return [LocalFile.of(CARD, self._card)]


def is_space(folder: Path) -> bool:
    """Whether a folder is that of a Space."""
    return (folder / APP).is_file() and (folder / REQUIREMENTS).is_file()


def _checked_card(folder: Path) -> bytes:
    path = folder / CARD
    if not path.is_file():
        raise HubRequestError(f"{folder} has no {CARD}; write the Space with `mmmi-hf explore --publish`")
    fields, _ = split_card(path.read_text())
    missing = [name for name in _NEEDED if not fields.get(name)]
    if missing or fields["sdk"] != "gradio" or fields["app_file"] != APP:
        wrong = f"lacks {', '.join(missing)}" if missing else f"must have sdk: gradio and app_file: {APP}"
        raise HubRequestError(f"the front matter of {path} {wrong}; write the Space with `mmmi-hf explore --publish`")
    return path.read_bytes()


def _check_app(folder: Path) -> None:
    try:
        ast.parse((folder / APP).read_text())
    except (SyntaxError, ValueError) as error:
        raise HubRequestError(f"{folder / APP} is no Python: {error}") from error


def _check_requirements(folder: Path) -> None:
    for line in (folder / REQUIREMENTS).read_text().splitlines():
        if not _EXACT.fullmatch(line):
            raise HubRequestError(f"{folder / REQUIREMENTS} must state exact versions, name==version; got {line!r}")


def _belongs(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _FILES)
