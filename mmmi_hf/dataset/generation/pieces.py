"""Pieces: the rows of unfinished shards, a few micro-batches in a file, so that a killed run continues where it was.

Owns the folder of these files. Every process sees those of all, so that what another process has made, or a killed one,
need not be made again. A file is an Arrow stream and a CRC-32, and is there whole or not at all. Nothing is synced: a
kill loses nothing that was written, and what a machine loses with its power is made again. Knows nothing of shards.
"""

from __future__ import annotations

import logging
import os
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from mmmi_hf.common.files import unique

logger = logging.getLogger(__name__)

SUFFIX = ".rows"


class DamagedPieceError(RuntimeError):
    """A piece is gone, or is not what was written."""


class Pieces:
    """The pieces of one configuration: piece n holds the rows of micro-batch n, or of equally many each.

    Args:
        folder: holds pieces of equal making only; it must be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers: set[int] = set()
        self._lock = threading.Lock()
        self.refresh()

    def refresh(self) -> None:
        """See which pieces are there by now. Raises FileNotFoundError where the folder is gone."""
        with self._lock:
            there = os.listdir(self.folder)
            self.numbers = {int(name.removesuffix(SUFFIX)) for name in there if name.endswith(SUFFIX)}

    def write(self, number: int, table: pa.Table) -> None:
        """Keep a piece. May be called from several threads."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        partial = unique(self.folder)
        try:
            with partial.open("wb") as stream:
                stream.write(zlib.crc32(content, number).to_bytes(4, "little"))
                stream.write(content)
            partial.replace(self._path(number))
        finally:
            partial.unlink(missing_ok=True)
        with self._lock:
            self.numbers.add(number)

    def read(self, number: int) -> pa.Table:
        """A piece. Raises DamagedPieceError, and removes it, where it is not what was written."""
        try:
            content = self._path(number).read_bytes()
            # An empty file, which is what a power cut leaves, has the right checksum as piece 0.
            if len(content) > 4 and zlib.crc32(memoryview(content)[4:], number) == int.from_bytes(
                content[:4], "little"
            ):
                return pa.ipc.open_stream(pa.py_buffer(content).slice(4)).read_all()
            logger.warning("%s is damaged; its rows are made again", self._path(number))
        except FileNotFoundError:
            pass  # somebody has finished the shard
        self.drop([number])
        raise DamagedPieceError(f"the rows of piece {number} are gone or damaged")

    def drop(self, numbers: Iterable[int]) -> None:
        """Remove pieces that are no longer needed."""
        with self._lock:
            for number in self.numbers.intersection(numbers):
                self._path(number).unlink(missing_ok=True)
                self.numbers.discard(number)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}{SUFFIX}"
