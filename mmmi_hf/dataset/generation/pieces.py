"""Pieces: the rows of unfinished shards, a micro-batch each, so that a killed run continues where it was.

Owns scratch files. Each has one writer, which appends; every process reads them all, so that what another process has
made, or a killed one, need not be made again. A piece is a header, the rows as an Arrow stream, and a CRC-32 over both:
what was torn or damaged does not count. Nothing is synced: a kill loses nothing that was written, and what a machine
loses with its power is made again. Knows nothing of causal models or shards.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

logger = logging.getLogger(__name__)

SUFFIX = ".rows"
_MAGIC = b"rows"
_HEAD = struct.Struct("<4sQQI")


class DamagedPieceError(RuntimeError):
    """A piece is gone, or is not what was written."""


class _Place(NamedTuple):
    file: str
    offset: int
    size: int
    checksum: int


class Pieces:
    """The pieces of one configuration, by number: piece n holds the rows of micro-batch n.

    Args:
        folder: holds pieces of equal making only; it must be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[int, _Place] = {}
        self._files: dict[str, list[int]] = {}
        self._read: dict[str, int] = {}
        self._own = -1
        self._own_file = ""
        self._lock = threading.RLock()
        self.refresh()

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def among(self, sizes: Mapping[str, int]) -> list[int]:
        """The pieces that were there when the files had the given sizes, name → bytes."""
        return [number for number, place in self._places.items() if place.offset < sizes.get(place.file, 0)]

    def refresh(self) -> None:
        """Find what other processes have written since."""
        with self._lock:
            for entry in os.scandir(self.folder):
                if entry.name.endswith(SUFFIX) and entry.name != self._own_file:
                    try:
                        self._index(entry.name)
                    except FileNotFoundError:  # its rows are in a shard meanwhile
                        continue

    def _index(self, name: str) -> None:
        offset = self._read.get(name, 0)
        with (self.folder / name).open("rb") as stream:
            end = os.fstat(stream.fileno()).st_size
            while offset + _HEAD.size <= end:
                stream.seek(offset)
                magic, number, size, checksum = _HEAD.unpack(stream.read(_HEAD.size))
                if magic != _MAGIC or offset + _HEAD.size + size > end:
                    break
                self._enter(number, _Place(name, offset, size, checksum))
                offset += _HEAD.size + size
        self._read[name] = offset

    def _enter(self, number: int, place: _Place) -> None:
        self._places[number] = place
        self._files.setdefault(place.file, []).append(number)

    def write(self, number: int, table: pa.Table) -> None:
        """Keep a piece. May be called from several threads."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        checksum = zlib.crc32(content, number)
        with self._lock:
            try:
                self._append(number, content, checksum)
            except OSError as error:
                if error.errno != errno.ESTALE:  # another machine removed the file: its pieces are in shards
                    raise
                self.close()
                self._append(number, content, checksum)

    def _append(self, number: int, content: pa.Buffer, checksum: int) -> None:
        if self._own < 0:
            self._own_file = f"{uuid.uuid4().hex}{SUFFIX}"
            self._own = os.open(self.folder / self._own_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        offset = os.lseek(self._own, 0, os.SEEK_END)
        parts = [_HEAD.pack(_MAGIC, number, len(content), checksum), content]
        written = os.writev(self._own, parts)
        rest = memoryview(b"".join(parts))[written:] if written < _HEAD.size + len(content) else b""
        try:
            while rest:
                rest = rest[os.write(self._own, rest) :]
        except OSError:
            os.ftruncate(self._own, offset)
            raise
        self._enter(number, _Place(self._own_file, offset, len(content), checksum))

    def read(self, number: int) -> pa.Table:
        """A piece. Raises DamagedPieceError, and forgets it, where it is not what was written."""
        place = self._places.get(number)
        try:
            if place is None:
                raise FileNotFoundError
            with (self.folder / place.file).open("rb") as stream:
                stream.seek(place.offset + _HEAD.size)
                content = stream.read(place.size)
            if zlib.crc32(content, number) != place.checksum:
                raise ValueError
        except (FileNotFoundError, ValueError) as error:
            self._places.pop(number, None)
            gone = isinstance(error, FileNotFoundError)
            message = f"the rows of micro-batch {number} in {self.folder} are {'gone' if gone else 'damaged'}"
            if not gone:
                logger.warning("%s; they are made again", message)
            raise DamagedPieceError(message) from None
        return pa.ipc.open_stream(pa.BufferReader(content)).read_all()

    def drop(self, is_done: Callable[[int], bool]) -> None:
        """Remove the files all of whose pieces are in finished shards."""
        with self._lock:
            for name in [name for name, numbers in self._files.items() if all(map(is_done, numbers))]:
                if name == self._own_file:
                    self.close()
                (self.folder / name).unlink(missing_ok=True)
                del self._files[name]
            self._places = {number: place for number, place in self._places.items() if place.file in self._files}

    def close(self) -> None:
        """Begin another file with the next piece."""
        with self._lock:
            if self._own >= 0:
                self._read[self._own_file] = os.lseek(self._own, 0, os.SEEK_END)
                os.close(self._own)
            self._own, self._own_file = -1, ""
