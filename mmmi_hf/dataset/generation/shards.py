"""Shards: the files of a configuration, which rows each holds, and which of them are finished.

Owns the plan of a configuration's files and what lies in the work folder beside them:

    .shards/CONFIG/causal_model.json the causal model, there before the plan is
    .shards/CONFIG/plan.json         what is being made: everything that determines the bytes, and the manifest's draft
    .shards/CONFIG/records/*.json    one for each finished shard: digest, size, and on what it was made
    .shards/CONFIG/scratch/*         what is being written, and the rows of unfinished shards (see `pieces.py`)

A shard is finished when its record is there and the file has the record's size and digest. It is written as the final
Parquet, read back, put into the store, and only then recorded. Whoever makes it a second time makes the same bytes.
Runs no bijection.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.common.failures import Failure, FolderInUseError
from mmmi_hf.common.files import sha256_of, unique
from mmmi_hf.dataset.format.folder import WORK, shard_names
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.parquet import group_rows, regrouped, write_shard
from mmmi_hf.dataset.format.schema import row_bytes
from mmmi_hf.dataset.generation.rows import MICRO_BATCH
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.store import Store

logger = logging.getLogger(__name__)
Item = TypeVar("Item")

FILES = 32
SMALLEST_BYTES, LARGEST_BYTES = 16_000_000, 500_000_000
"""A configuration has about 32 files, so that processes can share them, of 16 to 500 MB before compression."""
PIECES = 512
PIECE_BYTES = 1 << 18
"""Of a configuration of more pieces than that, a piece holds as many micro-batches as have this many bytes."""
MODEL = "causal_model.json"
_CIRCUMSTANCES = ("hardware", "machine", "device", "versions")


class DamagedShardError(Failure):
    """What was written is not what was read back."""


@dataclass(frozen=True)
class Shard:
    """One file.

    Attributes:
        name: relative to the dataset folder.
        split: its split.
        rows: which rows it holds, numbered through all splits.
    """

    name: str
    split: str
    rows: range


def plan(config: MMMIConfig, wanted: datasets.Features) -> list[Shard]:
    """The files of a configuration, by its number of rows and their size alone.

    The first file of a split is one row group, so that the first row of a stream costs little (stock readers fetch more
    than they need of a large file); the others begin with a micro-batch where they can.
    """
    size = row_bytes(wanted)
    most = min(LARGEST_BYTES, max(SMALLEST_BYTES, config.rows * size // FILES))
    shards = []
    for split, rows in config.split_rows.items():
        edges = [rows.start, _aligned(rows.start + group_rows(size), rows.start)]
        while edges[-1] < rows.stop:
            edges.append(_aligned(edges[-1] + max(1, most // size), edges[-1]))
        edges = [edge for edge in edges if edge < rows.stop] + [rows.stop]
        spans = [range(start, stop) for start, stop in pairwise(edges)]
        names = shard_names(config.name, split, len(spans))
        shards += [Shard(name, split, span) for name, span in zip(names, spans, strict=True)]
    return shards


@dataclass(frozen=True)
class Task:
    """One of several shares of a configuration that are made apart from each other, anywhere and in any order.

    Attributes:
        number, count: the `number`-th of `count`, counted from 1.
    """

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> Task:
        """What "2/7" means. Raises ConfigurationError."""
        number, slash, count = text.partition("/")
        digits = slash and all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (number, count))
        if not digits or not 1 <= int(number) <= int(count):
            raise ConfigurationError(f"shard is {text[:40]!r}, expected i/n with 1 ≤ i ≤ n, such as 2/7")
        return cls(int(number), int(count))

    def of(self, items: Sequence[Item]) -> list[Item]:
        """Its shards, or whatever is shared out: neighbours, and none where there are fewer than tasks."""
        edges = [len(items) * number // self.count for number in (self.number - 1, self.number)]
        return list(items[slice(*edges)])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def recorded(store: Store, config: str) -> set[str]:
    """The names of the shards of a configuration that have a record."""
    return {f"data/{config}/{Path(name).stem}.parquet" for name in store.list(f"{WORK}/{config}/records")}


def _aligned(row: int, start: int) -> int:
    """The row, or the beginning of its micro-batch if that lies behind `start`."""
    before = row // MICRO_BATCH * MICRO_BATCH
    return before if before > start else row


class Shards:
    """The shards of one configuration in a store.

    Args:
        store: where they are.
        config, wanted: what the rows are.
        key: everything that determines a row's bytes, see `row_key`.
    """

    def __init__(self, store: Store, config: MMMIConfig, wanted: datasets.Features, key: Mapping[str, Any]) -> None:
        self.store = store
        self.config = config
        self.all = plan(config, wanted)
        self.schema = wanted.arrow_schema
        size = row_bytes(wanted)
        self.group_rows = group_rows(size)
        self.piece_rows = MICRO_BATCH * max(
            1, min(PIECE_BYTES // (size * MICRO_BATCH), config.rows // (PIECES * MICRO_BATCH))
        )
        self.work = f"{WORK}/{config.name}"
        self.data = f"data/{config.name}"
        self.request: dict[str, Any] = {"rows": config.rows, "version": str(config.version), "key": dict(key)}
        made = {name: value for name, value in key.items() if name not in _CIRCUMSTANCES}
        self._digest = hashlib.sha256(json.dumps({**self.request, "key": made}, sort_keys=True).encode()).hexdigest()
        self._sound: set[str] = set()

    def pieces(self, shard: Shard) -> range:
        """The pieces that a shard's rows are in: piece n begins with row n × piece_rows."""
        return range(shard.rows.start // self.piece_rows, -(-shard.rows.stop // self.piece_rows))

    def differences(self) -> list[str]:
        """In what an unfinished configuration that is there differs from this one; empty where none is."""
        content = self.store.read(f"{self.work}/plan.json")
        return [] if content is None else _differences(content, self.request)

    def begin(self, draft: Manifest) -> None:
        """Enter causal model and plan, if nobody has; what is there of another plan goes away.

        Args:
            draft: of the configuration's manifest.

        Raises:
            FolderInUseError: somebody else has entered another plan just now.
        """
        if self.differences():
            self.discard()
        self._put(f"{self.work}/{MODEL}", f"{self.config.model.to_json()}\n".encode())
        content = json.dumps({**self.request, "manifest": draft.model_dump(mode="json")}, indent=1).encode()
        self.store.put_if_absent(f"{self.work}/plan.json", content)
        self.check()

    def check(self) -> None:
        """Raises FolderInUseError if another run has replaced the plan, FileNotFoundError if it is gone."""
        content = self.store.read(f"{self.work}/plan.json")
        if content is None:
            raise self._gone("plan.json")
        if differences := _differences(content, self.request):
            raise FolderInUseError(
                f"another run makes other bytes of {self.work.removeprefix(f'{WORK}/')!r} in the same folder "
                f"({'; '.join(differences)}); give all processes the same arguments, hardware and software"
            )

    def discard(self) -> None:
        """Remove all finished shards and their records, then causal model and plan."""
        last = (f"{self.work}/{MODEL}", f"{self.work}/plan.json")
        for name in [*self.store.list(f"{self.work}/records"), *self.store.list(self.data), *last]:
            self.store.remove(name)

    def recorded(self) -> set[str]:
        """The names of the shards that have a record."""
        return recorded(self.store, self.config.name)

    def record(self, shard: Shard) -> dict[str, Any] | None:
        """What is recorded of a shard of this plan, or None."""
        content = self.store.read(self._record_name(shard))
        try:
            record = json.loads(content or b"{}")
        except ValueError:
            return None
        return record if isinstance(record, dict) and record.get("plan") == self._digest else None

    def missing(
        self, among: Iterable[Shard], *, reading: bool, tick: Callable[[int], object] = lambda rows: None
    ) -> list[Shard]:
        """Those that are not finished; what is damaged of them is named and removed.

        Args:
            among: which to look at.
            reading: read all of each file and compare its digest, once; otherwise its size is enough.
            tick: called with the rows of each when it was looked at.
        """
        records = [(shard, self.record(shard)) for shard in among]
        sizes, found = self.store.list(self.data), []  # of what had a record before, all is there
        for shard, record in records:
            if record is None or not self._is_there(shard, record, sizes, reading=reading):
                found.append(shard)
            tick(len(shard.rows))
        return found

    def _is_there(self, shard: Shard, record: Mapping[str, Any], sizes: Mapping[str, int], *, reading: bool) -> bool:
        if self._is_as_recorded(shard, record, sizes, reading=reading):
            return True
        now = self.record(shard)  # another process may have removed or remade it since
        if now is not None and self._is_as_recorded(shard, now, self.store.list(self.data), reading=reading):
            return True
        if now == record:
            logger.warning("%s is missing or damaged: it is not what its record says; it is made again", shard.name)
            self.remove(shard)
        return False

    def _is_as_recorded(
        self, shard: Shard, record: Mapping[str, Any], sizes: Mapping[str, int], *, reading: bool
    ) -> bool:
        sound: bool = sizes.get(shard.name) == record["bytes"]
        if sound and reading and shard.name not in self._sound:
            sound = self.store.sha256(shard.name) == record["sha256"]
            if sound:
                self._sound.add(shard.name)
        return sound

    def remove(self, shard: Shard) -> None:
        """Remove a shard and its record, which goes first."""
        self._sound.discard(shard.name)
        self.store.remove(self._record_name(shard))
        self.store.remove(shard.name)

    def put(self, shard: Shard, rows: Iterable[pa.Table], again: Iterable[pa.Table], scratch: Path) -> None:
        """Write a shard, compare it with its rows, put it into the store and record it.

        Args:
            shard: which.
            rows, again: its rows in order, twice: once to write and once to compare.
            scratch: a local folder for the file on its way.

        Raises:
            DamagedShardError: what was read back is not what was written.
        """
        groups = [min(self.group_rows, shard.rows.stop - row) for row in shard.rows[:: self.group_rows]]
        path = unique(scratch, suffix=".parquet")
        try:
            size = write_shard(path, self.schema, regrouped(rows, groups))
            _compare(path, shard, regrouped(again, groups))
            sha256, length = sha256_of(path), path.stat().st_size
            there = self.store.sha256(shard.name)
            if there not in (None, sha256):
                logger.warning("%s was there with another content; it is replaced", shard.name)
                self.remove(shard)
            if not self.store.put_if_absent(shard.name, path) and self.store.sha256(shard.name) != sha256:
                raise DamagedShardError(
                    f"somebody else puts another content into {shard.name}; give all processes the same arguments, "
                    "hardware and software"
                )
        finally:
            path.unlink(missing_ok=True)
        self.enter(shard, sha256, length, size, self.request["key"])

    def enter(self, shard: Shard, sha256: str, length: int, memory: int, key: Mapping[str, Any]) -> None:
        """Record a shard whose file is there.

        Args:
            shard: which.
            sha256, length: of the file.
            memory: bytes of its rows before compression.
            key: with which it was made.
        """
        record = {
            "plan": self._digest,
            "sha256": sha256,
            "bytes": length,
            "bytes_in_memory": memory,
            "rows": len(shard.rows),
            "micro_batch": key["micro_batch"],
            **{name: key[name] for name in _CIRCUMSTANCES},
        }
        self._put(self._record_name(shard), json.dumps(record, indent=1).encode())
        self._sound.add(shard.name)

    def _put(self, name: str, content: bytes) -> None:
        """Put a small file in place of whatever is there."""
        if not self.store.put_if_absent(name, content) and self.store.read(name) != content:
            self.store.remove(name)
            self.store.put_if_absent(name, content)

    def merged(self) -> dict[Shard, dict[str, Any]]:
        """The records of all shards.

        Raises:
            Failure: shards were made by different hardware or software, with the list.
            FileNotFoundError: a record is gone, as all are when another run has completed the configuration.
        """
        records: dict[Shard, dict[str, Any]] = {}
        for shard in self.all:
            if (record := self.record(shard)) is None:
                raise self._gone(f"records/{Path(shard.name).stem}.json")
            records[shard] = record
        found = {name: {_short(record.get(name)) for record in records.values()} for name in _CIRCUMSTANCES}
        mixed = [name for name, values in found.items() if len(values) > 1]
        makers: dict[str, list[str]] = {}
        for shard, record in records.items():
            how = ", ".join(_short(record.get(name)) for name in mixed)
            makers.setdefault(how, []).append(Path(shard.name).stem)
        if mixed:
            listed = "; ".join(how + ": " + ", ".join(names) for how, names in makers.items())
            raise Failure(
                f"the files of {self.data} were made on different {' and '.join(mixed)}, so that rows would differ in "
                f"their last bits: {listed}; make all "
                "of them on one kind (--overwrite)"
            )
        return records

    def _record_name(self, shard: Shard) -> str:
        return f"{self.work}/records/{Path(shard.name).stem}.json"

    def _gone(self, name: str) -> FileNotFoundError:
        return FileNotFoundError(
            f"{self.work}/{name} was removed while {self.config.name!r} was made, by somebody or by another run; run "
            "the same again"
        )


def _differences(content: bytes, wanted: Mapping[str, Any]) -> list[str]:
    """In what a plan differs from a request, in words."""
    try:
        there = json.loads(content)
    except ValueError:
        there = None
    if not isinstance(there, dict) or not isinstance(there.get("key"), dict):
        return ["its plan.json is damaged"]
    pairs = {name: (there.get(name), wanted[name]) for name in ("rows", "version")}
    old, new = there["key"], wanted["key"]
    pairs |= {name: (old.get(name), new[name]) for name in ("seed", "channels_last", "compiled", *_CIRCUMSTANCES)}
    found = [f"{name} {_short(a)}, now {_short(b)}" for name, (a, b) in pairs.items() if a != b]
    if old.get("bijections") != new["bijections"]:
        found.append("another pipeline")
    if not found and old != new:
        found.append("another causal model, class, standardization or choice of columns")
    return found


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _compare(path: Path, shard: Shard, groups: Iterator[pa.Table]) -> None:
    """Compare a Parquet file with the rows that were to be written, value by value."""
    row = shard.rows.start
    with pq.ParquetFile(path.absolute()) as file:
        for index, expected in enumerate(groups):
            found = file.read_row_group(index)
            for column in expected.column_names:
                if not _storage(found[column]).equals(_storage(expected[column])):
                    raise DamagedShardError(
                        f"column {column!r} of {shard.name} reads otherwise than it was written in rows {row} … "
                        f"{row + len(expected) - 1}: storage or memory is at fault"
                    )
            row += expected.num_rows


def _storage(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    return array.storage if isinstance(array.type, pa.ExtensionType) else array
