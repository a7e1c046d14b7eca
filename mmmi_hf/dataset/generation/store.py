"""Stores: where finished files go, each once.

Owns the three things that generation asks of a place – read, put if absent, list – and the local folder as one. There
are no locks: whoever puts a name first wins, and whoever comes later learns that it is there. Knows nothing of rows.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from io import BufferedReader
from pathlib import Path

from mmmi_hf.common.files import sync, unique


class Store(ABC):
    """Files by name; names are relative paths with "/".

    A file is there whole or not at all, and never changes while it is there.
    """

    @abstractmethod
    def open(self, name: str) -> BufferedReader:
        """A file for reading. Raises FileNotFoundError."""

    @abstractmethod
    def put_if_absent(self, name: str, content: bytes | Path) -> bool:
        """Put bytes, or the content of a local file, which goes away; whether it was put: False if the name is taken.

        Raises FileNotFoundError where the store itself is gone.
        """

    @abstractmethod
    def list(self, prefix: str) -> dict[str, int]:
        """The names that begin with a folder's name and "/", at any depth, with their sizes in bytes."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None where it is absent."""
        try:
            with self.open(name) as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def sha256(self, name: str) -> str | None:
        """Hexadecimal SHA-256 of a file, or None where it is absent."""
        try:
            with self.open(name) as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            return None


class LocalStore(Store):
    """A local folder, or a folder that several machines share.

    Args:
        folder: where the names are; it must be there.
        partial: a folder on the same file system for what is being written; a kill may leave files in it.
    """

    def __init__(self, folder: Path, partial: Path) -> None:
        self.folder = folder
        self.partial = partial

    def open(self, name: str) -> BufferedReader:
        return (self.folder / name).open("rb")

    def put_if_absent(self, name: str, content: bytes | Path) -> bool:
        if isinstance(content, bytes):
            partial = unique(self.partial)
            partial.write_bytes(content)
        else:
            partial = content
        target = self.folder / name
        try:
            sync(partial)
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(partial, target)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        sync(target.parent)
        return True

    def list(self, prefix: str) -> dict[str, int]:
        found = {}
        for folder, _, names in os.walk(self.folder / prefix):
            for name in names:
                path = Path(folder, name)
                try:
                    found[path.relative_to(self.folder).as_posix()] = path.stat().st_size
                except FileNotFoundError:  # removed meanwhile
                    continue
        return found

    def remove(self, name: str) -> None:
        path = self.folder / name
        if path.exists():
            path.unlink(missing_ok=True)
            sync(path.parent)


def _link(source: Path, target: Path) -> None:
    """A second name for a file, unless it is taken: FileExistsError."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links; what two put there at once is equal
        if target.exists():
            raise FileExistsError(target) from None
        source.replace(target)
