"""Dataset folders at an address: small files by way of a copy on this machine, data where they are.

Owns `opened`, where every folder that a user names by path or address enters, and the order in which small files are
put at an address, which is that of `folder.py`: a reader there sees at most less than is true.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmmi_hf.common.failures import FolderInUseError
from mmmi_hf.common.files import replacing
from mmmi_hf.common.locks import locked_folder
from mmmi_hf.common.places import PlaceError, is_address, own_temporary_folder
from mmmi_hf.dataset.format.folder import GROUND_TRUTH, WORK, DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.addresses import AddressStore, local_path
from mmmi_hf.dataset.stores.store import Store

_SMALL = ("causal_models", "manifests", "certificates", GROUND_TRUTH, "README.md", "figures")
"""In the order in which they are put; they are taken away in the opposite order."""
SETTLED = 60.0
"""Seconds after which a copy has been locked by whoever made it."""


@contextmanager
def opened(given: str | os.PathLike[str] | DatasetFolder, *, reading: bool = False) -> Iterator[DatasetFolder]:
    """A dataset folder of this machine or at an address.

    Args:
        given: a path or an address; a folder that was opened is given back.
        reading: it must hold configurations and need not be writable.

    Raises:
        ConfigurationError: it is no such folder, cannot be written to, or holds something else.
        StoreUnavailableError: the address does not answer.
    """
    if isinstance(given, DatasetFolder):
        yield given
        return
    text = os.fspath(given)
    if not is_address(text):
        yield DatasetFolder(given, reading=reading)
        return
    try:
        here = local_path(text)
        store = AddressStore(text) if here is None else None
    except PlaceError as error:
        raise ConfigurationError(str(error)) from error
    if store is None:
        yield DatasetFolder(here or text, reading=reading)
        return
    with _copy() as copy:
        yield RemoteFolder(store, copy, reading=reading)


@contextmanager
def _copy() -> Iterator[Path]:
    """An own folder for small files and what is on its way; those that killed processes left go away."""
    folder = own_temporary_folder() / "copies"
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        with suppress(FileNotFoundError, FolderInUseError):
            if time.time() - left.stat().st_mtime > SETTLED:
                with locked_folder(left, refusal="in use"):
                    shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder) as copy, locked_folder(Path(copy)):
        yield Path(copy)


class RemoteFolder(DatasetFolder):
    """A dataset folder at an address.

    Args:
        remote: the address.
        copy: an own folder.
        reading: see DatasetFolder.
    """

    keeps_data = False

    def __init__(self, remote: AddressStore, copy: Path, *, reading: bool = False) -> None:
        self.remote = remote
        self._there: dict[str, tuple[int, str]] = {}
        for kind in _SMALL:  # of an earlier copy
            for path in [each for each in (copy / kind).rglob("*") if each.is_file()]:
                self._there[path.relative_to(copy).as_posix()] = (-1, "")
        self._fetch(copy)
        super().__init__(copy, reading=reading, where=remote.address)

    def _holds_others(self) -> bool:
        ours = any(name.startswith((f"{WORK}/", "manifests/")) for name in self._listing)
        return bool(self._listing) and not ours

    def store(self, config: str) -> AddressStore:
        return self.remote

    def _place(self, name: str) -> Path | Store:
        return self.remote

    def kept(self, config: str) -> Path:
        """With the user's temporary files, by endpoint and address: this machine's next run there goes on from it."""
        if self.remote.scheme == "memory":  # which ends with this process
            return super().kept(config)
        name = hashlib.sha256(f"{self.remote.endpoint} {self.remote.address}".encode()).hexdigest()[:32]
        return own_temporary_folder() / name / config

    def listed(self, config: str) -> set[str]:
        return set(self.remote.list(f"data/{config}"))

    def begun(self) -> list[str]:
        names = [name.split("/") for name in self.remote.list(WORK)]
        return sorted(parts[1] for parts in names if parts[2:] == ["plan.json"])

    def names_begun(self, config: str) -> list[str]:
        return super().names_begun(config) + [path.name for path in self.kept(config).rglob("*")]

    @property
    def writable(self) -> bool:
        """Nobody can tell; nothing is put at an address unless that is asked for."""
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """There are no locks; what is put is put whole, and is the same whoever puts it."""
        yield

    def damaged_files(
        self, manifest: Manifest, among: Container[str] | None = None, *, whole: bool = True
    ) -> list[str]:
        sizes, found = self.listed_sizes(manifest.config), []
        for entry in manifest.data:
            if among is not None and entry.path not in among:
                continue
            sound = sizes.get(entry.path) == entry.bytes
            if not sound or (whole and self.remote.sha256(entry.path) != entry.sha256):
                found.append(entry.path)
        others = {entry.path for entry in manifest.files} - {entry.path for entry in manifest.data}
        return found + super().damaged_files(manifest, others if among is None else ())

    def listed_sizes(self, config: str) -> dict[str, int]:
        """The files among the data of a configuration, with their sizes in bytes."""
        return self.remote.list(f"data/{config}")

    def remove(self, config: str) -> None:
        super().remove(config)
        for name in self.listed(config):
            self.remote.remove(name)

    def remove_work(self, config: str) -> None:
        super().remove_work(config)
        shutil.rmtree(self.kept(config), ignore_errors=True)
        with suppress(OSError):  # another configuration is being made
            self.kept(config).parent.rmdir()
        names = sorted(self.remote.list(f"{WORK}/{config}"), key=lambda name: name.endswith("/plan.json"))
        for name in names:
            self.remote.remove(name)

    def refreshed(self) -> DatasetFolder:
        self._fetch(self.path)
        return self

    def _fetch(self, copy: Path) -> None:
        """Copy small files that are new at the address, or of another size; those that are not there go away."""
        self._listing = self.remote.list("")
        for name in self._there.keys() - self._listing.keys():
            (copy / name).unlink(missing_ok=True)
            del self._there[name]
        for name, size in self._listing.items():
            if name.split("/")[0] in _SMALL and self._there.get(name, (-1, ""))[0] != size:
                content = self.remote.read(name)
                if content is None:  # removed meanwhile
                    continue
                with replacing(copy / name, shared=True) as partial:
                    partial.write_bytes(content)
                self._there[name] = (len(content), hashlib.sha256(content).hexdigest())

    def send(self) -> None:
        """Put at the address what was written here, and take away what was removed."""
        for kind in reversed(_SMALL):
            for name in [each for each in self._there if each.split("/")[0] == kind]:
                if not (self.path / name).is_file():
                    self.remote.remove(name)
                    del self._there[name]
        for kind in _SMALL:
            root = self.path / kind
            for path in [root] if root.is_file() else sorted(root.rglob("*")):
                name = path.relative_to(self.path).as_posix()
                if not path.is_file() or path.name.startswith("."):
                    continue
                content = path.read_bytes()
                digest = hashlib.sha256(content).hexdigest()
                if self._there.get(name, (0, ""))[1] != digest:
                    self.remote.replace(name, content)
                    self._there[name] = (len(content), digest)
