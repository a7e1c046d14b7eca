"""Stores: where finished files go, each once.

Owns the three things that generation asks of a place: read, put if absent, list. There are no locks: whoever puts a
name first wins, and whoever comes later learns that it is there. Knows nothing of rows.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from io import BufferedReader
from pathlib import Path


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

        Raises FileNotFoundError where the store itself is gone, of an address StoreUnavailableError.
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
