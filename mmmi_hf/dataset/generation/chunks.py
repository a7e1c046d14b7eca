"""The chunk store: rows written once, in fixed-size pieces, with journals of their digests.

Owns `DIR/.chunks/CONFIG`: its locks, its journals and its chunk files. Knows nothing of causal models or pipelines.

A chunk is written to a temporary name, synced, renamed, and only then entered in the journal of its process
(append-only JSON lines, synced); whatever a killed process leaves behind is either in a journal and intact, or made
again. The processes of one run share the store through files alone: `lock` is held by all of them and by no other run,
byte i of `claims` is locked by the process that makes chunk i. A process that dies lets go of both.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmmi_hf.common.files import write_bytes
from mmmi_hf.common.locks import FolderInUseError

JOURNAL = "journal.jsonl"
JOURNALS = "journal*.jsonl"
LOCK = "lock"
GATE = "gate"
CLAIMS = "claims"
_ENTRY = frozenset({"chunk", "rows", "sha256", "rank", "run"})

logger = logging.getLogger(__name__)


class DamagedChunkError(RuntimeError):
    """A chunk's content is not what its journal says."""


class ChunkStore:
    """The chunks of one configuration.

    Args:
        folder: `DIR/.chunks/CONFIG`; made when the lock is taken.
        key: everything that determines the bytes of a chunk (digests, seed, batch size, versions), with `chunk_rows`,
            the rows of a full chunk. Chunks that were made under another key are discarded.
        rank: number of this process in its run; each has a journal of its own.

    Attributes:
        run: the run that holds the store.
        first: whether this process began it, rather than joining other processes.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any], *, rank: int = 0) -> None:
        self.folder = folder
        self.key = dict(key)
        self.chunk_rows = int(key["chunk_rows"])
        self.run = ""
        self.first = False
        self._rank = rank
        self._entries: dict[int, list[dict[str, Any]]] = {}
        self._read: dict[Path, int] = {}
        self._held: set[int] = set()
        self._lock_file = -1
        self._claims = -1
        self._journals = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> ChunkStore:
        """The store that the journals describe, for reading."""
        key = _journal_key(folder)
        if key is None:
            raise FileNotFoundError(f"{folder} holds no chunks; make them with mmmi_hf.generate")
        store = cls(folder, key)
        store.refresh()
        return store

    @contextmanager
    def locked(self, run: str | None = None) -> Iterator[ChunkStore]:
        """Hold the store for one run, which may have many processes.

        Args:
            run: what the processes of one run, and no other run, have in common; None for a run of this process alone.

        Raises:
            FolderInUseError: another run holds the store, or this run holds it with another key.
        """
        self.run = run or uuid.uuid4().hex
        with _gate(self.folder):
            self._join()
        try:
            yield self
        finally:
            for descriptor in (self._claims, self._lock_file):
                os.close(descriptor)
            self._claims = self._lock_file = -1
            self._held.clear()

    def ranges(self, rows: int) -> dict[int, range]:
        """Chunk index → its rows, for a configuration of `rows` rows."""
        size = self.chunk_rows
        return {index: range(start, min(start + size, rows)) for index, start in enumerate(range(0, rows, size))}

    def missing(self, rows: int) -> list[int]:
        """Indices of the chunks that must still be made: absent, shorter than wanted, or damaged."""
        self.refresh()
        return [index for index, wanted in self.ranges(rows).items() if not self.intact(index, len(wanted))]

    def rows_there(self, rows: int) -> int:
        """How many of a configuration's `rows` rows lie in chunks, by the journals alone."""
        return sum(len(wanted) for index, wanted in self.ranges(rows).items() if self.entry(index, len(wanted)))

    def entry(self, index: int, rows: int) -> dict[str, Any] | None:
        """The journals' last entry of a chunk that has at least `rows` rows."""
        fitting = [entry for entry in self._entries.get(index, []) if entry["rows"] >= rows]
        return fitting[-1] if fitting else None

    def intact(self, index: int, rows: int) -> bool:
        """Whether a chunk is there with at least `rows` rows and the content that a journal says; logs damage."""
        entry = self.entry(index, rows)
        if entry is None:
            return False
        try:
            self._content(index, rows)
        except DamagedChunkError as error:
            logger.warning("%s; it is made again", error)
            return False
        return True

    def rows_by_run(self, rows: int, *, others: bool = False) -> int:
        """Rows that this run has entered in the journals; with `others`, only those of its other processes."""
        return sum(
            min(len(wanted), entry["rows"])
            for index, wanted in self.ranges(rows).items()
            if (entry := self.entry(index, 1)) is not None
            and entry["run"] == self.run
            and not (others and entry["rank"] == self._rank)
        )

    def refresh(self) -> None:
        """Read what has been entered in the journals since. May be called from several threads."""
        with self._journals:
            for path in sorted(self.folder.glob(JOURNALS)):
                start = self._read.get(path, 0)
                with suppress(FileNotFoundError), path.open("rb") as stream:  # the store may be removed meanwhile
                    stream.seek(start)
                    content = stream.read()
                    whole = content[: content.rfind(b"\n") + 1]
                    self._read[path] = start + len(whole)
                    for entry in _entries(whole):
                        if (
                            entry.keys() >= _ENTRY
                            and isinstance(entry["chunk"], int)
                            and isinstance(entry["rows"], int)
                        ):
                            self._entries.setdefault(entry["chunk"], []).append(entry)

    @property
    def alive(self) -> bool:
        """Whether the store that this process holds is still the one in its place."""
        return _is_at(self._lock_file, self.folder / LOCK)

    def claim(self, index: int) -> bool:
        """Take a chunk, unless another process of the run is making it; it is given back by `release`, or by dying."""
        if index in self._held:
            return False
        try:
            fcntl.lockf(self._claims, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, index)
        except OSError as error:
            if isinstance(error, BlockingIOError | PermissionError):
                return False
            raise
        self._held.add(index)
        return True

    def release(self, index: int) -> None:
        """Give a claimed chunk back."""
        fcntl.lockf(self._claims, fcntl.LOCK_UN, 1, index)
        self._held.discard(index)

    def write(self, index: int, table: pa.Table) -> None:
        """Store one chunk durably and enter it in this process's journal. May be called from several threads."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        write_bytes(self._path(index), content)
        digest = hashlib.sha256(content).hexdigest()
        with self._journals:
            self._append(
                {"chunk": index, "rows": table.num_rows, "sha256": digest, "rank": self._rank, "run": self.run}
            )
            self.refresh()

    def read(self, index: int, rows: int = 1) -> pa.Table:
        """One chunk of at least `rows` rows, its digest checked. Raises DamagedChunkError naming a damaged one."""
        return pa.ipc.open_file(pa.BufferReader(self._content(index, rows))).read_all()

    def _path(self, index: int) -> Path:
        return self.folder / f"chunk-{index:06d}.arrow"

    def _content(self, index: int, rows: int) -> bytes:
        """The bytes of a chunk, which are those of one of its entries with at least `rows` rows."""
        path = self._path(index)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise DamagedChunkError(f"chunk {index} ({path}) is gone though a journal has it") from None
        digest = hashlib.sha256(content).hexdigest()
        if all(entry["sha256"] != digest for entry in self._entries.get(index, []) if entry["rows"] >= rows):
            raise DamagedChunkError(f"chunk {index} ({path}) is damaged: it is not what a journal says of it")
        return content

    def _join(self) -> None:
        """Take the lock: alone and first, or with the other processes of this run."""
        descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._check_holder(json.loads(os.pread(descriptor, 4096, 0) or b"{}"))
                self.first = False
            else:
                self.first = True
                self._start_journal()
                holder = {"run": self.run, "process": os.getpid(), "host": socket.gethostname()}
                os.truncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(holder).encode(), 0)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            self._claims = os.open(self.folder / CLAIMS, os.O_RDWR | os.O_CREAT)
            self._entries, self._read = {}, {}
            self.refresh()
        except BaseException:
            os.close(descriptor)
            raise
        self._lock_file = descriptor

    def _check_holder(self, holder: Mapping[str, Any]) -> None:
        root = self.folder.parent.parent
        if holder.get("run") != self.run:
            raise FolderInUseError(
                f"another run is writing {self.folder.name!r} in {root} (process {holder.get('process')} on "
                f"{holder.get('host')}); wait for it or stop it first"
            )
        key = _journal_key(self.folder) or {}
        if key != self.key:
            different = sorted(name for name in {*key, *self.key} if key.get(name) != self.key.get(name))
            raise FolderInUseError(
                f"process {self._rank} of this run would make other bytes than process {holder.get('process')} on "
                f"{holder.get('host')}: {', '.join(different)} differ; use the same hardware, software and arguments"
            )

    def _start_journal(self) -> None:
        """A run begins: keep the chunks of an earlier one with the same key, discard others."""
        if _journal_key(self.folder) == self.key:
            return
        for stale in (*self.folder.glob("chunk-*"), *self.folder.glob(JOURNALS)):
            stale.unlink()
        write_bytes(self.folder / JOURNAL, (json.dumps({"key": self.key}, sort_keys=True) + "\n").encode())

    def _append(self, entry: Mapping[str, Any]) -> None:
        path = self.folder / (JOURNAL if self._rank == 0 else JOURNAL.replace(".", f"-{self._rank}."))
        with path.open("ab+") as stream:
            torn = stream.tell() > 0 and os.pread(stream.fileno(), 1, stream.tell() - 1) != b"\n"
            stream.write(b"\n" * torn + json.dumps(entry).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def remove_chunks(folder: Path) -> None:
    """Remove a chunk store; processes of its run that are late notice that it is gone."""
    gone = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        with _gate(folder):
            folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _gate(folder: Path) -> Iterator[None]:
    """Joining and removing happen one process at a time."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(folder / GATE, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # the store was removed in between
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, folder / GATE):
                yield
                return
        finally:
            os.close(descriptor)


def _journal_key(folder: Path) -> dict[str, Any] | None:
    """The key under which the chunks were made."""
    path = folder / JOURNAL
    for entry in _entries(path.read_bytes()) if path.exists() else ():
        if isinstance(entry.get("key"), dict):
            key: dict[str, Any] = entry["key"]
            return key
    return None


def _entries(content: bytes) -> Iterator[dict[str, Any]]:
    """The JSON lines of a journal; lines torn by a kill are passed over."""
    for line in content.decode(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that a path names now."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
