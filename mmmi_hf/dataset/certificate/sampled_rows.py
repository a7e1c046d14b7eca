"""Checks of every stored row, without a network, and the choice of the rows to invert.

Owns what is compared on all rows – y, pointwise information, row numbers and stored latents with those replayed from
(seed, row); the view with the float column – and the sample. Runs no bijection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from datasets import Features

from mmmi_hf.causal import CausalModel, Latents
from mmmi_hf.causal.laws.missing.patterns import lacking
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import POSTERIOR, Manifest
from mmmi_hf.dataset.format.reading import StoredDataError, as_array, batches
from mmmi_hf.dataset.format.schema import features, latent_column, missing_column, pmi_pairs, view_column
from mmmi_hf.dataset.format.target_columns import stored_target
from mmmi_hf.dataset.releases.configuration import MMMIConfig

# Replayed float64 values may differ in their last digits between processors and versions of NumPy.
RELATIVE = 1e-9
LATENTS_RELATIVE = 1e-6
SMALLEST_FOR_DUPLICATES = 8
SIZE_IN_MEMORY = 0.05, 16
"""How far the stated bytes of a split may be from those of its rows as they are read: a share of them, and bytes for
each column of each part of a table. Arrow may or may not keep a bit for each value that says that it is there, and
offsets begin anew in every part."""


@dataclass
class StoredRows:
    """What was read of a configuration.

    Attributes:
        problems: what is wrong with the rows, each with the first row where it is.
        rows: numbers of the sampled rows, ascending.
        y: (n,) of the sampled rows, (n, m) of several numbers.
        pmi: column → (n,) of the sampled rows.
        values: modality → float32 (n, *shape) of the sampled rows.
        views: modality that has a view → its levels (n, *shape) of the sampled rows.
        latents: modality → float32 (n, *shape) of the sampled rows, where latents are stored.
        missing: modality → (n,) which of the sampled rows lack it.
    """

    rows: list[int]
    problems: list[str] = field(default_factory=list)
    y: np.ndarray = field(default_factory=lambda: np.zeros(0))
    pmi: dict[str, np.ndarray] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    views: dict[str, np.ndarray] = field(default_factory=dict)
    latents: dict[str, np.ndarray] = field(default_factory=dict)
    missing: dict[str, np.ndarray] = field(default_factory=dict)

    def clipped(self, name: str, half_range: float) -> float:
        """The share of the values of a modality that lie beyond ±half_range, where a view cuts them; 0 without rows."""
        there = self.values[name][~self.missing[name]]
        return float(np.mean(np.abs(there) > half_range)) if there.size else 0.0


def sample_seed(manifest: Manifest, chosen: int | None) -> int:
    """The seed of the sample: SHA-256 of the configuration's name and the digests of its data files.

    Whoever makes the folder learns it only once the data are finished, so that rows cannot be made good for being
    looked at (the idea of Fiat and Shamir). A maker who tries many folders can still look for a lucky one: a reader who
    wants to exclude that mixes in a number of the reader's own.
    """
    text = ["mmmi_hf certificate 1", manifest.config, str(chosen)]
    text += [f"{entry.path} {entry.sha256}" for entry in manifest.data]
    return int.from_bytes(hashlib.sha256("\n".join(text).encode()).digest()[:16], "big")


def sampled_rows(splits: Mapping[str, range], count: int, seed: int) -> list[int]:
    """Row numbers, ascending: a random sample in which every split has its share, and at least one row if possible."""
    generator = np.random.default_rng(seed)
    total = sum(map(len, splits.values()))
    count = min(count, total)
    shares = {
        split: min(len(rows), max(int(count >= len(splits)), count * len(rows) // total))
        for split, rows in splits.items()
    }
    largest = max(splits, key=lambda split: len(splits[split]))
    shares[largest] = 0
    shares[largest] = count - sum(shares.values())
    chosen = [
        rows.start + generator.choice(len(rows), size=min(shares[split], len(rows)), replace=False)
        for split, rows in splits.items()
    ]
    return sorted(int(row) for row in np.concatenate(chosen))


def read_rows(
    folder: DatasetFolder,
    config: MMMIConfig,
    manifest: Manifest,
    sample: Sequence[int],
    *,
    replay: bool,
    whole: bool = True,
    tick: Callable[[float], object] = lambda rows: None,
) -> StoredRows:
    """Read rows, check them, and keep the sampled ones.

    Args:
        folder, config, manifest: a configuration whose files are in order.
        sample: row numbers, ascending.
        replay: compare with rows replayed from the seed.
        whole: read all rows; otherwise the row groups that hold a sampled one.
        tick: told the number of rows each time some are done.
    """
    reader = _Reader(config, manifest, sample, replay=replay)
    for split, rows in config.split_rows.items():
        position = rows.start
        files = folder.data_files(manifest, split)
        needed = None if whole else np.isin(np.arange(rows.start, rows.stop), np.asarray(sample))
        try:
            size = columns = 0
            for first, batch in batches(files, wanted=needed):
                position = rows.start + first
                if position + len(batch) > rows.stop:
                    raise StoredDataError(f"has more than {len(rows)} rows")
                reader.take(batch, position)
                position += len(batch)
                size += batch.nbytes
                columns += batch.num_columns
                tick(len(batch))
            if whole and position != rows.stop:
                raise StoredDataError(f"has {position - rows.start} rows, expected {len(rows)}")
            share, each = SIZE_IN_MEMORY
            if whole and abs(manifest.splits[split].bytes - size) > share * size + each * columns:
                raise StoredDataError(
                    f"has {size:,} bytes in memory, the manifest states {manifest.splits[split].bytes:,}"
                )
        except StoredDataError as error:
            reader.found.problems.append(f"split {split}: {error}")
            return reader.found
    return reader.finish()


class _Reader:
    def __init__(self, config: MMMIConfig, manifest: Manifest, sample: Sequence[int], *, replay: bool) -> None:
        self.config, self.model, self.replay = config, config.model, replay
        self.features = features(config.model, manifest.views, **config.stored)
        self.schema = self.features.arrow_schema
        self.views = manifest.views
        self.sample = np.asarray(sample)
        self.found = StoredRows(list(sample))
        self.kept: dict[str, list[np.ndarray]] = {}
        self.seen: dict[str, dict[bytes, int]] = {}
        self.said: set[str] = set()

    def take(self, batch: pa.RecordBatch, start: int) -> None:
        if batch.schema.names != self.schema.names:
            raise StoredDataError(f"has the columns {batch.schema.names}, expected {self.schema.names}")
        if Features.from_arrow_schema(batch.schema) != self.features:
            raise StoredDataError("has columns of other kinds than the configuration's (types or `datasets` features)")
        count, shapes = len(batch), self.model.shapes
        rows = range(start, start + count)
        columns = {"y": stored_target(self.model, batch.column), "row": as_array(batch["row"], "row", (), np.int64)}
        if self.config.store_posterior:
            columns[POSTERIOR] = as_array(batch[POSTERIOR], POSTERIOR, (self.model.classes or 0,), np.float64)
        columns |= {name: as_array(batch[name], name, (), np.float64) for name in pmi_pairs(self.model)}
        columns |= {name: as_array(batch[name], name, shape, np.float32) for name, shape in shapes.items()}
        columns |= {
            name: as_array(batch[name], name, (), np.bool_) for name in map(missing_column, self.model.law.missing)
        }
        if self.config.store_latents:
            named = [(latent_column(name), shape) for name, shape in shapes.items()]
            columns |= {name: as_array(batch[name], name, shape, np.float32) for name, shape in named}
        self._say("row", "row numbers are not consecutive", columns["row"] != np.arange(start, start + count), rows)
        for name, shape in shapes.items():
            finite = np.isfinite(columns[name]).reshape(count, -1).all(axis=1)
            self._say(name, f"{name} holds values that are not finite", ~finite, rows)
            if name in self.views:
                view, column = self.views[name], view_column(name, self.views[name])
                columns[column] = view.stored.read(batch[column], column, shape, view)
                again = view.stored.levels(np.where(np.isfinite(columns[name]), columns[name], 0.0), view)
                differs = (columns[column] != again).reshape(count, -1).any(axis=1)
                self._say(column, f"{column} is not the view of {name}", differs, rows)
            absent = columns.get(missing_column(name), np.zeros(count, dtype=np.bool_))
            filled = absent & columns[name].reshape(count, -1).any(axis=1)
            self._say(f"{name} missing", f"{name} is missing and not zero", filled, rows)
            self._look_for_duplicates(name, columns[name], rows, absent)
        for name in ("y", *pmi_pairs(self.model)):
            finite = np.isfinite(columns[name]).reshape(count, -1).all(axis=1)
            self._say(f"{name} finite", f"{name} is not finite", ~finite, rows)
        if self.replay:
            self._compare(columns, rows)
        inside = np.isin(np.arange(start, start + count), self.sample)
        for name, values in columns.items():
            self.kept.setdefault(name, []).append(values[inside])

    def _compare(self, columns: Mapping[str, np.ndarray], rows: range) -> None:
        """All that the latents of (seed, row) determine without a network."""
        config, model = self.config, self.model
        latents = model.sample(len(rows), seed=config.seed, start=rows.start, standardize=config.standardize)
        same = _close(columns["y"], latents.y, _scale(model, latents.y))
        wrong = np.logical_not(same.reshape(len(rows), -1)).any(axis=1)
        self._say("y replayed", "y is not the one of (seed, row)", wrong, rows)
        if config.store_posterior:
            same = _close(columns[POSTERIOR], model.class_posterior(latents, model.modalities), 1.0)
            self._say(POSTERIOR, f"{POSTERIOR} is not the one of (seed, row)", np.logical_not(same).any(axis=1), rows)
        for name in model.law.missing:
            differs = columns[missing_column(name)] != lacking(latents.z[name])
            self._say(missing_column(name), f"{missing_column(name)} is not the one of (seed, row)", differs, rows)
        for column, (a, b) in pmi_pairs(model).items():
            wanted = model.pointwise_mutual_information(latents, a, b)
            size = 1.0 + model.mutual_information(a, b)
            self._say(column, f"{column} is not the one of (seed, row)", ~_close(columns[column], wanted, size), rows)
        if config.store_latents:
            for name in model.modalities:
                stored, true = columns[latent_column(name)], np.nan_to_num(latents.z[name])
                error = np.abs(stored - true).reshape(len(rows), -1).max(axis=1)
                size = np.abs(true).reshape(len(rows), -1).max(axis=1)
                message = f"{latent_column(name)} is not the latent of (seed, row)"
                self._say(latent_column(name), message, ~(error <= LATENTS_RELATIVE * size), rows)

    def _look_for_duplicates(self, name: str, values: np.ndarray, rows: range, absent: np.ndarray) -> None:
        if values[0].size < SMALLEST_FOR_DUPLICATES:
            return
        seen = self.seen.setdefault(name, {})
        for row, content, gone in zip(rows, values, absent, strict=True):
            if gone:
                continue
            digest = hashlib.blake2b(content.tobytes(), digest_size=16).digest()
            if digest in seen:
                self._say(
                    f"{name} twice", f"{name} repeats that of row {seen[digest]}", np.array([True]), range(row, row + 1)
                )
            seen.setdefault(digest, row)

    def _say(self, key: str, message: str, wrong: np.ndarray, rows: range) -> None:
        """Note a problem once, with the first row that has it."""
        if wrong.any() and key not in self.said:
            self.said.add(key)
            self.found.problems.append(f"row {rows[int(np.argmax(wrong))]}: {message}")

    def finish(self) -> StoredRows:
        joined = {name: np.concatenate(parts) for name, parts in self.kept.items()}
        self.found.y = joined["y"]
        self.found.pmi = {name: joined[name] for name in pmi_pairs(self.model)}
        self.found.values = {name: joined[name] for name in self.model.modalities}
        self.found.views = {name: joined[view_column(name, view)] for name, view in self.views.items()}
        none = np.zeros(len(self.sample), dtype=np.bool_)
        self.found.missing = {name: joined.get(missing_column(name), none) for name in self.model.modalities}
        self.found.latents = {
            name: joined[latent_column(name)] for name in self.model.modalities if latent_column(name) in joined
        }
        return self.found


def _scale(model: CausalModel, target: np.ndarray) -> float:
    """The size that rounding of y goes by; that of classes must not differ at all."""
    if model.classes is not None:
        return 0.0
    return float(np.sqrt(model.variance_y if model.target is None else np.mean(np.square(target))))


def _close(found: np.ndarray, wanted: np.ndarray, size: float) -> np.ndarray:
    return np.asarray(np.abs(found - wanted) <= RELATIVE * (np.abs(wanted) + size))


def true_latents(config: MMMIConfig, rows: Sequence[int]) -> Latents:
    """The latents of some rows of a configuration, as its bijections received them, in float64."""
    return config.model.sample_rows(rows, seed=config.seed, standardize=config.standardize)
