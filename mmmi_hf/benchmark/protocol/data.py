"""Reading dataset folders and Hub repositories.

Owns what the benchmark needs of a dataset: rows as arrays, the exact values, and which configurations there are. Reads
through `mmmi_hf.load`, so that every file was compared with its digest.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.files import read_regular
from mmmi_hf.common.terminal import did_you_mean
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.hub.loading.batches import numpy_batches
from mmmi_hf.hub.loading.load import Loaded, load, locate

SPLITS = ("train", "validation", "test")
POOL = "all"
TARGET = "y"


@dataclass(frozen=True)
class Source:
    """A dataset folder, or a dataset repository at one commit.

    place: what `load` takes. revision: the commit, None for a folder. folder: where the small files are.
    """

    place: str
    revision: str | None
    folder: Path

    @classmethod
    def open(cls, place: str, revision: str | None = None) -> Source:
        """A folder, or a Hub id with a revision (by default its newest release).

        Raises:
            ValueError: neither a dataset folder of ours nor a repository that holds one.
        """
        found = locate(place, revision)
        try:
            DatasetFolder(found.folder, reading=True)
        except ValueError:
            if not found.commit:
                raise
            raise ValueError(
                f"{place} at {revision or found.revision} holds no dataset of ours; give a repository that `mmmi-hf "
                "publish` wrote"
            ) from None
        return cls(place, found.commit or None, found.folder)

    @cached_property
    def configurations(self) -> list[str]:
        """The configurations of ours, by name."""
        return DatasetFolder(self.folder, reading=True).configurations()

    def choose(self, patterns: Sequence[str]) -> list[str]:
        """Configurations by name or pattern ("common-cause-*"), in the order of the patterns.

        Raises:
            ValueError: a pattern that names none.
        """
        chosen: dict[str, None] = {}
        for pattern in patterns:
            matching = [name for name in self.configurations if fnmatch.fnmatchcase(name, pattern)]
            if not matching:
                held = did_you_mean(pattern, self.configurations, f"it holds {', '.join(self.configurations)}")
                raise ValueError(f"no configuration {pattern!r} in {self.place}: {held}")
            chosen |= dict.fromkeys(matching)
        return list(chosen)

    def manifest(self, config: str) -> Manifest:
        """The manifest of a configuration."""
        return DatasetFolder(self.folder, reading=True).known_manifest(config)

    def digest(self, config: str) -> str:
        """SHA-256 of the manifest, which names the digest of every data file."""
        return hashlib.sha256(read_regular(DatasetFolder(self.folder, reading=True).manifest_path(config))).hexdigest()

    def model(self, config: str) -> CausalModel:
        """The causal model of a configuration."""
        return self._load(config, "test").model

    def truth(self, config: str, first: str, second: str) -> float:
        """I(first; second) of the configuration's ground truth, in nats.

        Raises:
            ValueError: the table does not have it.
        """
        known = self._load(config, "test").ground_truth
        for name in (f"I({first};{second})", f"I({second};{first})"):
            if name in known:
                return known[name].value
        raise ValueError(
            f"the ground truth of {config!r} has no I({first};{second}); it has "
            f"{', '.join(name for name in known if name.startswith('I(') and '|' not in name)}"
        )

    def rows(self, config: str, split: str, columns: Sequence[str], rows: range) -> dict[str, np.ndarray]:
        """Columns of some rows of a split, numbered from the split's start: name → (n, *shape) in their own dtype.

        8-bit images become float32, (n, channels, height, width), of 0 to 255. The arrays may lie in the file's memory,
        which can only be read.

        Args:
            split: or `POOL`: all splits one after the other, numbered from the first one's start.
        """
        if split == POOL:
            return self._pooled(config, columns, rows)
        dataset = self._load(config, split).dataset
        if rows.stop > len(dataset):
            raise ValueError(f"{split} of {config!r} ends at row {len(dataset)}, asked for {rows}")
        chosen = dataset.select(rows)
        pictures = [name for name in columns if isinstance(dataset.features[name], datasets.Image)]
        numbers = [name for name in columns if name not in pictures]
        batch = dict(next(numpy_batches(chosen, numbers, len(rows)))) if numbers else {}
        for name in pictures:
            batch[name] = np.stack([_channels_first(picture) for picture in chosen[name]])
        return {name: batch[name] for name in columns}

    def _pooled(self, config: str, columns: Sequence[str], rows: range) -> dict[str, np.ndarray]:
        """Rows of all splits together."""
        found, start = [], 0
        splits = self.manifest(config).splits
        for split in SPLITS:
            count = splits[split].rows if split in splits else 0
            part = range(max(rows.start - start, 0), min(rows.stop - start, count))
            if part:
                found.append(self.rows(config, split, columns, part))
            start += count
        if rows.stop > start:
            raise ValueError(f"{config!r} ends at row {start}, asked for {rows}")
        return {name: np.concatenate([batch[name] for batch in found]) for name in columns}

    def _load(self, config: str, split: str) -> Loaded:
        return _split(self.place, config, split, self.revision)


def _channels_first(picture: Any) -> np.ndarray:
    values = np.asarray(picture, dtype=np.float32)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


@lru_cache(maxsize=16)
def _split(place: str, config: str, split: str, revision: str | None) -> Loaded:
    """One split; it lies in memory maps, so that keeping it costs nothing."""
    return load(place, config, split=split, revision=revision, progress=False)
