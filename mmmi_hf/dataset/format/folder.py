"""The dataset folder: what lies where, which configurations it holds, and the order in which one is put in place.

Owns the layout on disk, which is also the layout on the Hub:

    data/CONFIG/{train,validation,test}-*.parquet
    causal_models/CONFIG.json
    manifests/CONFIG.json                a configuration is there when its manifest is
    certificates/CONFIG.json             what was measured on these very bytes; names the manifest's SHA-256
    ground_truth/CONFIG.parquet          derived: the configuration `ground_truth`, one row per quantity
    README.md                            derived: the card
    figures/CONFIG/*.png                 pictures of the card
    .shards/CONFIG                       only while a configuration is being made

They are written in this order, each once. A kill in between leaves a folder in which everything that is there is true:
what is derived says at most less than the records.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.files import read_regular, sha256_of, sync, unique
from mmmi_hf.common.locks import locked_folder
from mmmi_hf.common.places import PlaceError, folder_to_read, folder_to_write
from mmmi_hf.common.records import RecordError
from mmmi_hf.dataset.format.manifest import FileEntry, Manifest
from mmmi_hf.dataset.format.reading import DataFile
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.local import LocalStore
from mmmi_hf.dataset.stores.store import Store

WORK = ".shards"
GROUND_TRUTH = "ground_truth"
GROUND_TRUTH_FILES = [{"split": "train", "path": f"{GROUND_TRUTH}/*.parquet"}]
"""The `data_files` of the configuration `ground_truth` in the card."""


class DatasetFolder:
    """One dataset folder.

    With `reading` it must hold configurations and need not be writable.

    Attributes:
        path: where its small files are.
        where: what errors call it: the path, or the address whose copy it is (see `remote.py`).

    Raises:
        ConfigurationError: it is no such folder, cannot be written to, or holds something else.
    """

    keeps_data = True
    """Whether the data are in the folder itself."""

    def __init__(self, path: str | os.PathLike[str], *, reading: bool = False, where: str | None = None) -> None:
        try:
            self.path = folder_to_read(path) if reading else folder_to_write(path)
        except PlaceError as error:
            raise ConfigurationError(str(error)) from error
        self.where: Path | str = where or self.path
        if reading:
            if not self.configurations():
                raise ConfigurationError(
                    f"{self.where} holds no dataset of ours (no manifests/*.json); give its folder"
                )
            return
        unsafe = sorted(set('*?[]"$') & set(str(self.path.absolute())))
        if unsafe:
            raise ConfigurationError(
                f"{self.path}: `load_dataset` cannot read from a path with {' '.join(unsafe)}; give another folder"
            )
        if self._holds_others():
            raise ConfigurationError(
                f"{self.where} holds something else (no manifests/ of a dataset of ours); give an empty or new folder"
            )

    def _holds_others(self) -> bool:
        """Whether there are files, and none of them is ours."""
        # In this order: another process may begin here at any moment, and what it makes first is ours.
        held = self.path.is_dir() and any(self.path.iterdir())
        return held and not ((self.path / WORK).is_dir() or any((self.path / "manifests").glob("*.json")))

    @property
    def card(self) -> Path:
        return self.path / "README.md"

    def work(self, config: str) -> Path:
        return self.path / WORK / config

    def data(self, config: str) -> Path:
        return self.path / "data" / config

    def ground_truth(self, config: str) -> Path:
        return self.path / GROUND_TRUTH / f"{config}.parquet"

    def causal_model(self, config: str) -> Path:
        return self.path / "causal_models" / f"{config}.json"

    def figures(self, config: str) -> Path:
        return self.path / "figures" / config

    def manifest_path(self, config: str) -> Path:
        return self.path / "manifests" / f"{config}.json"

    def certificate_path(self, config: str) -> Path:
        return self.path / "certificates" / f"{config}.json"

    def store(self, config: str) -> Store:
        """Where the data files of a configuration are, and what making it leaves."""
        return LocalStore(self.path, self.work(config) / "scratch")

    def kept(self, config: str) -> Path:
        """A folder of this machine for rows of unfinished files, from which a killed run goes on."""
        return self.work(config) / "scratch"

    def names_begun(self, config: str) -> list[str]:
        """The names of all that making a configuration has left so far."""
        return [*self.store(config).list(f"{WORK}/{config}")]

    def data_files(self, manifest: Manifest, split: str | None = None) -> list[DataFile]:
        """The data files of a configuration, or of one of its splits, in order, to be read."""
        rows = {entry.path: entry.rows and entry.rows[1] - entry.rows[0] for entry in manifest.data}
        names = [name for each in manifest.splits if split in (None, each) for name in manifest.splits[each].files]
        return [DataFile(name, self._place(name), rows.get(name)) for name in names]

    def _place(self, name: str) -> Path | Store:
        """The path of a data file, or the store where it is."""
        return self.path / name

    def listed(self, config: str) -> set[str]:
        """The names of all files among the data of a configuration."""
        return {path.relative_to(self.path).as_posix() for path in self.data(config).rglob("*") if not path.is_dir()}

    def begun(self) -> list[str]:
        """The configurations that are being made, by name."""
        return sorted(path.parent.name for path in self.path.glob(f"{WORK}/[!.]*/plan.json"))

    def refreshed(self) -> DatasetFolder:
        """Itself, with what others have put there meanwhile."""
        return self

    def send(self) -> None:
        """Called when small files were written or removed; they are where they belong."""

    @property
    def writable(self) -> bool:
        """Whether files can be put in place here."""
        return os.access(self.path, os.W_OK | os.X_OK)

    def configurations(self) -> list[str]:
        """The complete configurations, by name."""
        return sorted(path.stem for path in (self.path / "manifests").glob("[!.]*.json"))

    def manifest(self, config: str) -> Manifest | None:
        """The manifest of a configuration, or None. Raises ConfigurationError for one that cannot be read."""
        try:
            return Manifest.read(self.manifest_path(config))
        except FileNotFoundError:
            return None
        except (RecordError, OSError) as error:
            raise ConfigurationError(f"{error}; if it is damaged, remove it and generate again") from error

    def known_manifest(self, config: str) -> Manifest:
        """The manifest of a configuration that must be there. Raises ConfigurationError where it is not."""
        manifest = self.manifest(config)
        if manifest is None:
            known = ", ".join(self.configurations()) or "none"
            raise ConfigurationError(f"{self.where} holds no configuration {config!r}; it holds {known}")
        return manifest

    def model(self, config: str) -> CausalModel:
        """The causal model of a configuration. Raises OSError or ValueError where there is none."""
        return CausalModel.from_json(read_regular(self.causal_model(config)).decode())

    def check_others(self, config: str) -> None:
        """Refuse to add to a folder whose other configurations the card could not state."""
        for other in self.configurations():
            self.manifest(other)
            path = self.causal_model(other)
            if other != config and not path.is_file():
                raise ConfigurationError(f"{path} is missing; generate {other!r} again, or give another folder")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while files are put in place; another run waits its turn."""
        with locked_folder(self.path):
            yield

    def damaged_files(
        self, manifest: Manifest, among: Container[str] | None = None, *, whole: bool = True
    ) -> list[str]:
        """The files of a manifest that are missing or whose SHA-256 differs.

        Args:
            manifest: of a configuration.
            among: the files to look at; None for all.
            whole: read all of them; otherwise the size of data files that are elsewhere is enough.
        """
        del whole  # they are here
        return [
            entry.path
            for entry in manifest.files
            if (among is None or entry.path in among)
            and not ((self.path / entry.path).is_file() and same_file(self.path, entry))
        ]

    def remove(self, config: str) -> None:
        """Take a configuration away: what is derived first, then certificate and manifest, then data and figures."""
        for path in (self.ground_truth(config), self.certificate_path(config), self.manifest_path(config)):
            if path.exists():
                path.unlink(missing_ok=True)
                sync(path.parent)
        self.send()
        for stale in (self.data(config), self.figures(config)):
            shutil.rmtree(stale, ignore_errors=True)

    def remove_work(self, config: str) -> None:
        """Remove what making a configuration left, once it is complete."""
        gone = unique(self.work(config).parent, f".{config}.", "")  # at once: others see all of it or nothing
        with suppress(FileNotFoundError):
            self.work(config).replace(gone)
        for left in self.path.glob(f"{WORK}/.{config}.*"):
            shutil.rmtree(left, ignore_errors=True)
        with suppress(OSError):  # another configuration is being made
            (self.path / WORK).rmdir()

    def write_manifest(self, config: str, manifest: Manifest) -> None:
        """Write the manifest, which makes the configuration one of the folder."""
        manifest.write(self.manifest_path(config))


def shard_names(config: str, split: str, count: int) -> list[str]:
    """The files of a split, in order, relative to the folder."""
    return [f"data/{config}/{split}-{i:05d}-of-{count:05d}.parquet" for i in range(count)]


def data_files(config: str, splits: Iterable[str]) -> list[dict[str, str]]:
    """The `data_files` of a configuration in the card, by which plain `load_dataset` finds its rows."""
    return [{"split": split, "path": f"data/{config}/{split}-*"} for split in splits]


def file_entry(root: Path, relative: str) -> FileEntry:
    """How a manifest names a file: path, size in bytes, SHA-256."""
    path = root / relative
    return FileEntry(path=relative, bytes=path.stat().st_size, sha256=sha256_of(path))


def same_file(root: Path, entry: FileEntry) -> bool:
    """Whether a file that is there has the size and the SHA-256 that a manifest names."""
    path = root / entry.path
    return path.stat().st_size == entry.bytes and sha256_of(path) == entry.sha256
