"""Reading dataset folders and Hub repositories.

Owns what the benchmark needs of a dataset: rows as arrays, the `ground_truth` configuration, and the small files beside
them. Reads as any user does, with plain `datasets`; the one place to change when it reads otherwise.
"""

from __future__ import annotations

import difflib
import fnmatch
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from mmmi_hf.causal import CausalModel

SPLITS = ("train", "validation", "test")
TARGET = "y"
_SMALL_FILES = ("README.md", "manifests/*", "causal_models/*", "ground_truth/*")


@dataclass(frozen=True)
class Source:
    """A dataset folder, or a dataset repository at one commit.

    place: what `load_dataset` takes. revision: the commit, None for a folder. folder: where the small files are.
    """

    place: str
    revision: str | None
    folder: Path

    @classmethod
    def open(cls, place: str, revision: str | None = None) -> Source:
        """A folder, or a Hub id with a revision.

        Raises:
            ValueError: neither a dataset folder of ours nor a repository that holds one.
        """
        path = Path(place)
        if path.exists():
            if revision is not None:
                raise ValueError(f"revision {revision!r} was given for the folder {place}; folders have none")
            source = cls(str(path), None, path)
        else:
            source = cls._on_the_hub(place, revision)
        if not source.configurations:
            raise ValueError(f"{place} holds no configurations of ours (no manifests/*.json); give a dataset folder")
        return source

    @classmethod
    def _on_the_hub(cls, place: str, revision: str | None) -> Source:
        import huggingface_hub
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        try:
            folder = huggingface_hub.snapshot_download(
                place, repo_type="dataset", revision=revision, allow_patterns=list(_SMALL_FILES)
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
            raise ValueError(
                f"{place!r} is neither a folder nor a dataset repository that can be had: {error}"
            ) from None
        return cls(place, Path(folder).name, Path(folder))

    @cached_property
    def configurations(self) -> list[str]:
        """The configurations of ours, by name."""
        return sorted(path.stem for path in (self.folder / "manifests").glob("*.json"))

    def choose(self, patterns: Sequence[str]) -> list[str]:
        """Configurations by name or pattern ("common-cause-*"), in the order of the patterns.

        Raises:
            ValueError: a pattern that names none.
        """
        chosen: dict[str, None] = {}
        for pattern in patterns:
            matching = [name for name in self.configurations if fnmatch.fnmatchcase(name, pattern)]
            if not matching:
                near = difflib.get_close_matches(pattern, self.configurations, n=3, cutoff=0.4)
                raise ValueError(
                    f"no configuration {pattern!r} in {self.place}: "
                    + (f"did you mean {', '.join(near)}?" if near else f"it holds {', '.join(self.configurations)}")
                )
            chosen |= dict.fromkeys(matching)
        return list(chosen)

    def manifest(self, config: str) -> dict[str, Any]:
        """The manifest of a configuration."""
        manifest: dict[str, Any] = json.loads((self.folder / "manifests" / f"{config}.json").read_text())
        return manifest

    def digest(self, config: str) -> str:
        """SHA-256 of the manifest, which names the digest of every data file."""
        return hashlib.sha256((self.folder / "manifests" / f"{config}.json").read_bytes()).hexdigest()

    def model(self, config: str) -> CausalModel:
        """The causal model of a configuration."""
        return CausalModel.from_json((self.folder / "causal_models" / f"{config}.json").read_text())

    @cached_property
    def _truth(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for row in self._load("ground_truth", "train"):
            found.setdefault(row["config"], {})[row["quantity"]] = row["value"]
        return found

    def truth(self, config: str, first: str, second: str) -> float:
        """I(first; second) of the `ground_truth` configuration, in nats.

        Raises:
            ValueError: the table does not have it.
        """
        known = self._truth.get(config, {})
        for name in (f"I({first};{second})", f"I({second};{first})"):
            if name in known:
                return known[name]
        raise ValueError(
            f"the ground truth of {config!r} has no I({first};{second}); it has "
            f"{', '.join(name for name in known if name.startswith('I(') and '|' not in name)}"
        )

    def rows(self, config: str, split: str, columns: Sequence[str], rows: range) -> dict[str, np.ndarray]:
        """Columns of some rows of a split, numbered from the split's start: name → (n, *shape) in their own dtype."""
        table = self._load(config, split).select_columns(list(columns)).with_format("arrow")[rows.start : rows.stop]
        if table.num_rows != len(rows):
            raise ValueError(f"{split} of {config!r} ends at row {rows.start + table.num_rows}, asked for {rows}")
        return {name: _array(table[name]) for name in columns}

    def _load(self, config: str, split: str) -> datasets.Dataset:
        return _split(self.place, config, split, self.revision)


@lru_cache(maxsize=16)
def _split(place: str, config: str, split: str, revision: str | None) -> datasets.Dataset:
    """One split; it lies in memory maps, so that keeping it costs nothing."""
    return datasets.load_dataset(place, config, split=split, revision=revision)


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """A column of numbers or of arrays of one shape."""
    kind = column.type
    shape = tuple(kind.shape) if isinstance(kind, pa.ExtensionType) else None
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks)
    count = len(values)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if shape is None and pa.types.is_fixed_size_list(values.type):
        shape = (values.type.list_size,)
    while pa.types.is_nested(values.type):
        values = values.flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(count, *(shape or ()))
