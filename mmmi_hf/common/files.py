"""Files that are there whole or not at all, and their digests.

Owns the one way in which this package writes a file – under a temporary name, synced, renamed, the folder synced – and
the bounded reading of files that others made. Imports the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_PARTIALS: ContextVar[Path | None] = ContextVar("partials", default=None)


@contextmanager
def partial_files_in(folder: Path) -> Iterator[None]:
    """Within it, this thread writes every file under a name of its own in a folder of the same file system first.

    Several processes may then write the same file at the same time, and what a kill leaves goes away with the folder.
    """
    token = _PARTIALS.set(folder)
    try:
        yield
    finally:
        _PARTIALS.reset(token)


MOST_BYTES = 64 << 20
"""Of a file that is read as a whole: manifests, certificates, causal models, cards, stories."""


class UnusableFileError(ValueError):
    """Something at a path that is not read: no regular file, or one larger than anything that belongs there."""


def check_regular(path: Path, most: int | None = None) -> None:
    """Refuse what never ends, hangs, or is too large, before it is opened. Links are followed.

    Args:
        path: what is to be read.
        most: bytes; None for any number.

    Raises:
        UnusableFileError: a folder, pipe, device or socket, or more bytes than that.
        OSError: nothing is there, or it cannot be looked at.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        raise UnusableFileError(
            f"{path} is {kinds.get(stat.S_IFMT(found.st_mode), 'a device')}, expected a regular file"
        )
    if most is not None and found.st_size > most:
        raise UnusableFileError(f"{path} has {found.st_size:,} bytes, expected at most {most:,}")


def leaves(root: Path, path: Path) -> bool:
    """Whether what a path names, all links followed, lies outside a folder."""
    return not path.resolve().is_relative_to(root.resolve())


def read_regular(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most `most` bytes; see `check_regular` for what is raised.

    It is not waited for a writer of a pipe, and no more than `most` bytes are read, whatever becomes of the file
    between the check and the reading.
    """
    check_regular(path, most)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise UnusableFileError(f"{path} has more than {most:,} bytes, expected at most that many")
    return content


def unique(folder: Path, prefix: str = "", suffix: str = ".partial") -> Path:
    """A path in a folder for what nobody else writes: other processes, threads and calls get others."""
    return folder / f"{prefix}{uuid.uuid4().hex}{suffix}"


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """What a regular file of JSON holds.

    Raises:
        ValueError: names the file, which holds something else, or see `check_regular`.
        OSError: it cannot be read.
    """
    try:
        return json.loads(read_regular(path, most))
    except UnusableFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON ({error})") from error


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on leaving it is synced and takes the place of `path`.

    Whoever may read follows from the umask, also where a library writes files for their owner alone (safetensors).
    The folder of `path` is made where it is missing. If the block raises, `path` stays as it was and the temporary file
    goes away. What a kill leaves behind is overwritten by the next call.

    Args:
        path: what to write.
        shared: several processes or threads may write `path` at the same time. Each then has a temporary name of its
            own, which a kill leaves behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = _PARTIALS.get()
    if elsewhere is not None:
        partial = unique(elsewhere)
    else:
        partial = unique(path.parent, f".{path.name}.") if shared else path.with_name(f".{path.name}.partial")
    partial.touch()
    mode = partial.stat().st_mode
    try:
        yield partial
        partial.chmod(mode)
        sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


def write_bytes(path: Path, content: Any) -> None:
    """Write bytes, or a buffer of them, so that they are there whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that it is there whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: object) -> None:
    """Write indented JSON so that it is there whole or not at all; ValueError for numbers that are not finite."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Make a file's content durable, or the renames in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a regular file, hexadecimal; see `check_regular` for what is raised."""
    check_regular(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def nearest_existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def slug(text: str) -> str:
    """Text as a part of a file name."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in text.lower())
    return "-".join(part for part in kept.split("-") if part)
