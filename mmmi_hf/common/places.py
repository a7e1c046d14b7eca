"""Places on this machine, where every path that a user gives enters, and names of repositories on the Hub.

Owns the one reading of such a path: `~` is expanded, and what is no place here – an address, an empty text, a name too
long – is refused in one line, before anything is written. Imports files of this room.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from mmmi_hf.common.files import nearest_existing
from mmmi_hf.common.terminal import printable

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:/[^\\]|.*::", re.DOTALL)
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")
_SHOWN = 100


class PlaceError(ValueError):
    """A path that cannot be used: says which, why, and what would be right."""


def place(given: str | os.PathLike[str], what: str = "path") -> Path:
    """The path that a user means, `~` expanded; nothing need be there.

    Args:
        given: a path.
        what: what errors call it, the option's name for example.

    Raises:
        PlaceError: it is no path of this machine.
    """
    if not isinstance(given, str | os.PathLike):
        raise PlaceError(f"{what} must be a path, got {type(given).__name__}")
    text = os.fspath(given)
    if not isinstance(text, str):
        raise PlaceError(f"{what} must be a path of text, got {type(text).__name__}")
    if not text.strip():
        raise PlaceError(f"{what} is empty; give a path")
    if is_address(text):
        raise PlaceError(
            f"{what} must be a path of this machine, got the address {_shown(text)}; addresses are not taken"
        )
    if text.startswith("$"):
        raise PlaceError(f"{what} is {_shown(text)}: variables are not expanded; write what it stands for")
    try:
        path = Path(text).expanduser() if text.startswith("~") else Path(text)
    except RuntimeError as error:
        raise PlaceError(f"{what} is {_shown(text)}, and there is no such home folder") from error
    if str(path).startswith("~"):  # of ./~x, which is no home and must not be taken for one when it is read again
        path = path.absolute()
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # nothing is there, or nobody can tell: for the caller to say
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PlaceError(f"{what} cannot be used ({reason[:1].lower()}{reason[1:]}): {_shown(text)}") from error
    return path


def is_address(given: object) -> bool:
    """Whether something is an address, such as s3://bucket/name, and no path of this machine."""
    return isinstance(given, str) and _ADDRESS.match(given) is not None


def folder_to_read(given: str | os.PathLike[str], what: str = "folder") -> Path:
    """A folder that is there.

    Raises:
        PlaceError: there is none, or something else.
    """
    path = place(given, what)
    if not path.is_dir():
        raise PlaceError(
            f"{what} must be a folder, and {_shown(path)} is a file"
            if path.exists()
            else f"there is no folder {_shown(path)}"
        )
    return path


def folder_to_write(given: str | os.PathLike[str], what: str = "out") -> Path:
    """A folder that files can be put into; it need not be there yet, and is not made.

    Raises:
        PlaceError: a file stands in its place, or it cannot be written to, because it is not ours or no disk.
    """
    path = place(given, what)
    there = nearest_existing(path)
    if not there.is_dir():
        raise PlaceError(f"{what} must be a folder, and {_shown(there)} is a file; name another place")
    if not os.access(there, os.W_OK | os.X_OK) or not _takes_files(there):
        raise PlaceError(f"{what}: {_shown(there)} cannot be written to; name another folder")
    return path


def _takes_files(folder: Path) -> bool:
    """Whether files can be made in a folder that the user may write to: not where the kernel lists its own, /proc."""
    if shutil.disk_usage(folder).total:
        return True
    try:  # memory without a bound has no size either
        with tempfile.TemporaryDirectory(dir=folder):
            return True
    except OSError:
        return False


def own_temporary_folder() -> Path:
    """A folder of this user's own among the temporary files of this machine; it stays when the process has ended.

    Raises:
        PlaceError: something else has its name.
    """
    path = Path(tempfile.gettempdir()) / f"mmmi-hf-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PlaceError(f"{path} is not a folder that is this user's alone; remove it, or set TMPDIR to another place")
    return path


def is_repository(name: str) -> bool:
    """Whether a name is owner/name of a repository."""
    return _REPOSITORY.fullmatch(name) is not None


def _shown(text: object) -> str:
    shown = printable(repr(str(text)))
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
