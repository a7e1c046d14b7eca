"""From a repository and a configuration to a folder of its files: which release, and what is downloaded.

Owns the choice of the release: the newest tag vX.Y.Z that holds the configuration, online or in the cache.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name

from mmmi_hf.common.files import read_regular
from mmmi_hf.hub.client.errors import HubRequestError, is_network_error
from mmmi_hf.hub.client.retries import Backoff
from mmmi_hf.hub.client.versions import version_of_tag

logger = logging.getLogger(__name__)


def small_files(config: str) -> list[str]:
    """The files of a configuration besides its data."""
    return [
        f"manifests/{config}.json",
        f"ground_truth/{config}.parquet",
        f"causal_models/{config}.json",
        f"certificates/{config}.json",
    ]


@dataclass(frozen=True)
class Snapshot:
    """A revision of a repository in the cache.

    Attributes:
        folder: where its files are (those that were downloaded).
        revision: the tag, branch or commit that was asked for or chosen.
        commit: what it is.
    """

    folder: Path
    revision: str
    commit: str


@dataclass
class Repository:
    """A dataset repository to load from.

    Args:
        name: owner/name.
        token: of the Hub; None for the one that is logged in.
        cache_dir: of huggingface_hub; None for its default.
        force_download: fetch files again that are in the cache.
        backoff: how often and how patiently to try again.
    """

    name: str
    token: str | bool | None
    cache_dir: Path | None
    force_download: bool
    backoff: Backoff
    offline: bool = HF_HUB_OFFLINE

    def find(self, config: str, revision: str | None) -> Snapshot:
        """The small files of a configuration at a revision; by default at the newest release that holds it."""
        if revision is not None:
            found = self.fetch(revision, small_files(config))
            if not _holds(found, config):
                raise HubRequestError(f"{self.name} at {revision} has no configuration {config!r}{_others(found)}")
            return found
        newest = None
        for candidate in self._releases():
            found = self.fetch(candidate, small_files(config))
            newest = newest or found
            if _holds(found, config):
                return found
        if newest is None:
            raise self._no_release()
        raise HubRequestError(f"no release of {self.name} has a configuration {config!r}{_others(newest)}")

    def all_small_files(self, revision: str | None) -> Snapshot:
        """The small files of every configuration at a revision; by default at the newest release."""
        if revision is None:
            revision = next(self._releases(), None)
        if revision is None:
            raise self._no_release()
        return self.fetch(revision, small_files("*"))

    def fetch(self, revision: str, paths: Collection[str]) -> Snapshot:
        """Download files of a revision, as far as they exist, and say where they are."""

        def step() -> str:
            return str(
                snapshot_download(
                    self.name,
                    repo_type="dataset",
                    revision=revision,
                    cache_dir=self.cache_dir,
                    allow_patterns=[*paths, "README.md"],
                    token=self.token,
                    force_download=self.force_download and not self.offline,
                    local_files_only=self.offline,
                )
            )

        try:
            folder = Path(self.backoff.repeat(step, f"load {self.name} at {revision}"))
        except LocalEntryNotFoundError as error:
            raise HubRequestError(
                f"{self.name} at {revision} is not (wholly) in the cache, and the Hub is out of reach; load it once "
                "while online"
            ) from error
        return Snapshot(folder, revision, folder.name)

    def _no_release(self) -> HubRequestError:
        where = "in the cache" if self.offline else "(tags vX.Y.Z)"
        return HubRequestError(
            f"{self.name} has no release {where}; give a revision, such as revision='main', to load what is there"
        )

    def _releases(self) -> Iterator[str]:
        """The release tags, newest version first."""
        names = self._cached_tags() if self.offline else self._tags()
        versions = sorted((v for v in map(version_of_tag, names) if v is not None), reverse=True)
        return (version.tag for version in versions)

    def _tags(self) -> list[str]:
        def step() -> list[str]:
            refs = HfApi(token=self.token, library_name="mmmi_hf").list_repo_refs(self.name, repo_type="dataset")
            return [tag.name for tag in refs.tags]

        try:
            return step()
        except Exception as error:
            if is_network_error(error) and self._cached_tags():
                logger.warning("the Hub is out of reach; loading %s from the cache", self.name)
                self.offline = True
                return self._cached_tags()
        return self.backoff.repeat(step, f"load {self.name}")

    def _cached_tags(self) -> list[str]:
        root = Path(self.cache_dir or HF_HUB_CACHE) / repo_folder_name(repo_id=self.name, repo_type="dataset")
        return [path.name for path in (root / "refs").glob("v*")]


def _holds(snapshot: Snapshot, config: str) -> bool:
    return (snapshot.folder / "manifests" / f"{config}.json").is_file()


def _others(snapshot: Snapshot) -> str:
    """What the card of a snapshot lists instead, for a message."""
    from mmmi_hf.dataset.format.folder import GROUND_TRUTH
    from mmmi_hf.hub.merging import configurations_of

    card = snapshot.folder / "README.md"
    try:
        names = [name for name in configurations_of(read_regular(card).decode()) if name != GROUND_TRUTH]
    except (OSError, ValueError):  # there is none, or it is somebody's own
        names = []
    return f"; it has {', '.join(names[:20])}{', …' if len(names) > 20 else ''}" if names else ""
