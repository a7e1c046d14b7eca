"""The chunk store: rows written once, in fixed-size pieces, with a journal of their digests.

Owns `DIR/.chunks/CONFIG`: its lock, its journal and its chunk files. A chunk is written to a temporary name, synced,
renamed, and only then entered in the journal (append-only JSON lines, synced); whatever a killed run leaves behind is
either in the journal and intact, or made again. Knows nothing of causal models or pipelines.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

JOURNAL = "journal.jsonl"
LOCK = "lock"


class FolderInUseError(RuntimeError):
    """Another run is writing to the folder."""


class ChunkStore:
    """The chunks of one configuration.

    Args:
        folder: `DIR/.chunks/CONFIG`; made when the lock is taken.
        key: everything that determines the bytes of a chunk (digests, seed, batch size, versions), with `chunk_rows`,
            the rows of a full chunk. Chunks that were made under another key are discarded.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self.folder = folder
        self.key = dict(key)
        self.chunk_rows = int(key["chunk_rows"])
        self._entries: dict[int, dict[str, Any]] = {}

    @classmethod
    def open(cls, folder: Path) -> ChunkStore:
        """The store that a journal describes, for reading."""
        header, entries = _journal(folder / JOURNAL)
        if header is None:
            raise FileNotFoundError(f"{folder} holds no chunks; make them with mmmi_hf.generate")
        store = cls(folder, header)
        store._entries = entries
        return store

    @contextmanager
    def locked(self) -> Iterator[ChunkStore]:
        """Hold the store for one run. Raises FolderInUseError if another run holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                root = self.folder.parent.parent
                raise FolderInUseError(
                    f"another run is writing {self.folder.name!r} in {root}; wait for it or stop it first"
                ) from None
            self._open_journal()
            yield self

    def ranges(self, rows: int) -> dict[int, range]:
        """Chunk index → its rows, for a configuration of `rows` rows."""
        size = self.chunk_rows
        return {index: range(start, min(start + size, rows)) for index, start in enumerate(range(0, rows, size))}

    def missing(self, rows: int) -> list[int]:
        """Indices of the chunks that must still be made: absent, shorter than wanted, or damaged."""
        return [index for index, wanted in self.ranges(rows).items() if not self._intact(index, len(wanted))]

    def rows_there(self, rows: int) -> int:
        """How many of a configuration's `rows` rows lie in intact chunks."""
        ranges = self.ranges(rows)
        return rows - sum(len(ranges[index]) for index in self.missing(rows))

    def write(self, index: int, table: pa.Table) -> None:
        """Store one chunk durably and enter it in the journal."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        write_durably(self._path(index), content)
        entry = {"chunk": index, "rows": table.num_rows, "sha256": hashlib.sha256(content).hexdigest()}
        self._append(entry)
        self._entries[index] = entry

    def read(self, index: int) -> pa.Table:
        """One chunk, after its digest was checked. Raises OSError naming the chunk if it is damaged."""
        content = self._path(index).read_bytes()
        if hashlib.sha256(content).hexdigest() != self._entries[index]["sha256"]:
            raise OSError(f"chunk {index} ({self._path(index)}) is damaged: its SHA-256 differs from the journal's")
        return pa.ipc.open_file(pa.BufferReader(content)).read_all()

    def _path(self, index: int) -> Path:
        return self.folder / f"chunk-{index:06d}.arrow"

    def _intact(self, index: int, rows: int) -> bool:
        entry = self._entries.get(index)
        if entry is None or entry["rows"] < rows:
            return False
        try:
            content = self._path(index).read_bytes()
        except FileNotFoundError:
            return False
        return bool(hashlib.sha256(content).hexdigest() == entry["sha256"])

    def _open_journal(self) -> None:
        path = self.folder / JOURNAL
        header, self._entries = _journal(path)
        if header == self.key:
            if path.read_bytes()[-1:] != b"\n":
                self._append({"note": "a killed run left a torn line above"}, prefix="\n")
            return
        for stale in self.folder.glob("chunk-*"):
            stale.unlink()
        self._entries = {}
        write_durably(path, (json.dumps({"key": self.key}, sort_keys=True) + "\n").encode())

    def _append(self, entry: Mapping[str, Any], *, prefix: str = "") -> None:
        with (self.folder / JOURNAL).open("a") as stream:
            stream.write(prefix + json.dumps(entry) + "\n")
            stream.flush()
            os.fsync(stream.fileno())


def _journal(path: Path) -> tuple[dict[str, Any] | None, dict[int, dict[str, Any]]]:
    """The key and the chunk entries of a journal; lines torn by a kill are passed over."""
    header, entries = None, {}
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if "key" in entry:
            header = entry["key"]
        elif "chunk" in entry:
            entries[entry["chunk"]] = entry
    return header, entries


def write_durably(path: Path, content: bytes | pa.Buffer) -> None:
    """Write a file so that it is there whole or not at all: temporary name, sync, rename, sync of the folder."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    sync_file(path.parent)


def sync_file(path: Path) -> None:
    """Make a file's content durable, or the renames in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
