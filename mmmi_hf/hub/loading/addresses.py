"""Dataset folders at an address, to load from: what is fetched, and where it is kept.

Owns the copies: of an address a folder in the cache, where data files are fetched once and found by their digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import datasets

from mmmi_hf.common.files import replacing, sha256_of
from mmmi_hf.common.places import place
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.remote import RemoteFolder
from mmmi_hf.dataset.stores.addresses import AddressStore
from mmmi_hf.hub.client.errors import DamagedFilesError, HubRequestError
from mmmi_hf.hub.loading.revisions import Snapshot


class Address:
    """A dataset folder at an address; what `Repository` is for the Hub.

    Args:
        address: of the folder.
        cache_dir: of downloads; None for that of `datasets`.
        force_download: fetch files again that are in the cache.
    """

    def __init__(self, address: str, cache_dir: Path | None, force_download: bool) -> None:
        self.name = address
        self.store = AddressStore(address)
        self.force_download = force_download
        cache = Path(datasets.config.HF_DATASETS_CACHE) if cache_dir is None else place(cache_dir) / "datasets"
        key = hashlib.sha256(self.store.address.encode()).hexdigest()[:32]
        self.copy = cache / "mmmi_hf" / "addresses" / key

    def all_small_files(self, revision: str | None) -> Snapshot:
        """The small files of every configuration. Raises HubRequestError for a revision."""
        if revision is not None:
            raise HubRequestError(f"revision must be None for an address, got {revision!r} for {self.name}")
        self.copy.mkdir(parents=True, exist_ok=True)
        self.folder = RemoteFolder(self.store, self.copy, reading=True)
        return Snapshot(self.copy, "", "")

    def find(self, config: str, revision: str | None) -> Snapshot:
        """`all_small_files`; whether the configuration is there is for the reader of its manifest to say."""
        del config
        return self.all_small_files(revision)

    def fetch(self, config: str, paths: Collection[str]) -> Snapshot:
        """Fetch data files of a configuration that are not in the cache.

        Raises:
            DamagedFilesError: a file is missing, or does not have the digest that the manifest states.
        """
        stated = {entry.path: entry.sha256 for entry in self.folder.known_manifest(config).data}
        for path in paths:
            target = self.copy / path
            if not self.force_download and target.is_file() and sha256_of(target) == stated.get(path):
                continue
            try:
                with replacing(target, shared=True) as partial:
                    if self.store.fetch(path, partial) != stated.get(path):
                        raise DamagedFilesError(
                            f"{self.name}: {path} is damaged, its SHA-256 is not the manifest's; generate it again"
                        )
            except FileNotFoundError as error:
                raise DamagedFilesError(f"{self.name}: {path} is missing; generate it again") from error
        return Snapshot(self.copy, "", "")

    def stream(
        self,
        manifest: Manifest,
        splits: Sequence[str],
        split: str | None,
        features: datasets.Features,
        columns: Sequence[str] | None,
    ) -> Any:
        """Rows as they are asked for, as `datasets` gives them: of one split, or of several by name."""
        files = {each: [f"{self.store.address}/{path}" for path in manifest.splits[each].files] for each in splits}
        only = {"features": features} if columns is None else {"columns": list(columns)}
        return datasets.load_dataset("parquet", data_files=files, split=split, streaming=True, **only)
