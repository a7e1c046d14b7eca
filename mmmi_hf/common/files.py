"""Files that are there whole or not at all, and their digests.

Owns the one way in which this package writes a file: under a temporary name, synced, renamed, the folder synced.
Imports the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
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


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on leaving it is synced and takes the place of `path`.

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
        partial = elsewhere / f"{uuid.uuid4().hex}.partial"
    else:
        partial = path.with_name(f".{path.name}.{f'{uuid.uuid4().hex}.' if shared else ''}partial")
    try:
        yield partial
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
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def nearest_existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def slug(text: str) -> str:
    """Text as a part of a file name."""
    kept = "".join(letter if letter.isalnum() else "-" for letter in text.lower())
    return "-".join(part for part in kept.split("-") if part)
