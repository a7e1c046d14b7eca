"""One call of `generate` in one process: what is there of a configuration, and making what is not.

Owns the comparison of a request with what is there, and the order plan → shards → manifest. Measures nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import datasets

from mmmi_hf.causal.quantities import reported_values
from mmmi_hf.common.failures import DiskFullError
from mmmi_hf.common.files import nearest_existing, partial_files_in
from mmmi_hf.dataset.cards.pictures import draw_for_card
from mmmi_hf.dataset.completion import put_together
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.parquet import MOST_ROW
from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.generation.draft import drafted
from mmmi_hf.dataset.generation.launcher import Processes
from mmmi_hf.dataset.generation.pieces import Pieces
from mmmi_hf.dataset.generation.rows import load_bijections, row_key, views_of
from mmmi_hf.dataset.generation.shards import DamagedShardError, Shards, Task
from mmmi_hf.dataset.generation.worker import ATTEMPTS, Maker
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

logger = logging.getLogger(__name__)


class Run:
    """One call of `generate` in one process, once the request is plain.

    Args:
        config, folder, processes: what is made, where, and by whom.
        before: the names that the work folder held before the run began.
        device, computing: as in `load_bijections`.
        task: the share to be made, which is all of it then; None for everything, up to the manifest.
    """

    def __init__(
        self,
        config: MMMIConfig,
        folder: DatasetFolder,
        processes: Processes,
        before: Iterable[str],
        device: str | None,
        computing: dict[str, bool],
        task: Task | None = None,
    ) -> None:
        self.config, self.folder, self.processes, self.task = config, folder, processes, task
        self.before = set(before)
        self.network_fraction = 0.0
        reported_values(config.model)  # refuses what has no ground truth
        self.bijections = load_bijections(config, device=processes.device(device), **computing)
        self.columns: datasets.Features = features(config.model, views_of(self.bijections), **config.stored)
        if (size := row_bytes(self.columns)) > MOST_ROW:
            raise ConfigurationError(
                f"a row has {size / 1e6:,.0f} MB, at most {MOST_ROW / 1e6:,.0f} MB are read back; make shapes smaller"
            )
        self.key = row_key(config, self.bijections, **computing)
        self.shards = Shards(folder.store(config.name), config, self.columns, self.key)
        self.wanted = self.shards.all if task is None else task.of(self.shards.all)
        self.draft = drafted(config, self.bijections, self.key, processes.world_size)
        folder.check_others(config.name)

    def made(self, *, overwrite: bool, figures: bool, progress: bool) -> tuple[int, bool]:
        """Make what is missing; how many rows that were, and whether the configuration is complete."""
        name = self.config.name
        standing = self.standing(overwrite=overwrite)
        if standing.complete:
            if figures and self.processes.rank == 0 and self.task is None:
                draw_for_card(self.folder, name)
            return 0, self.task is None
        self._check_room(standing.rows_missing)
        scratch = self.folder.work(name) / "scratch"
        made_as = json.dumps([self.key, self.shards.piece_rows], sort_keys=True)
        pieces_folder = self.folder.kept(name) / hashlib.sha256(made_as.encode()).hexdigest()[:16]
        rows_made = 0
        try:
            scratch.mkdir(parents=True, exist_ok=True)
            pieces_folder.mkdir(parents=True, exist_ok=True)
            kept = self._begin(standing)
            maker = Maker(
                self.config,
                self.bijections,
                self.shards,
                Pieces(pieces_folder),
                self.wanted,
                scratch,
                self.processes,
                self.before,
                progress=progress,
            )
            for _ in range(ATTEMPTS):
                maker.run()
                rows_made, self.network_fraction = maker.rows_made, maker.network_fraction
                if self.processes.rank != 0:
                    return rows_made, False
                if not self.shards.missing(self.wanted, reading=True):
                    break
            else:
                raise DamagedShardError(f"files of {self.shards.data} are damaged each time they are made")
            self.shards.check()
            if self.task is not None:
                return rows_made, False
            with partial_files_in(scratch):
                put_together(self.folder, self.shards, self.draft, kept)
                if figures:
                    draw_for_card(self.folder, name)
        except FileNotFoundError:
            if not self.standing(overwrite=overwrite).complete:  # else another run has just finished the same
                raise
        return rows_made, self.task is None

    def standing(self, *, overwrite: bool) -> Standing:
        """What is there of the configuration. Only reads.

        Raises:
            ConfigurationError: something else of this name is there, and not to be overwritten.
        """
        name, every = self.config.name, sum(len(shard.rows) for shard in self.wanted)
        manifest = self.folder.manifest(name)
        if manifest is None:
            self._refuse(self.shards.differences(), "an unfinished ", overwrite=overwrite)
            recorded = self.shards.recorded() if not self.shards.differences() else set()
            return Standing(None, [], sum(len(each.rows) for each in self.wanted if each.name not in recorded))
        differences = _differences(manifest, self.key, self.config)
        damaged = [] if differences else self._damaged(manifest)
        self._refuse(differences, "", overwrite=overwrite)
        if differences:
            return Standing(manifest, [], every)
        for each in damaged:
            logger.warning("%s is damaged: its SHA-256 differs from the manifest's; it is made again", each)
        return Standing(manifest, damaged, sum(len(each.rows) for each in self.wanted if each.name in damaged))

    def _damaged(self, manifest: Manifest) -> list[str]:
        """The damaged files of a manifest, of a task its own ones."""
        return self.folder.damaged_files(manifest, None if self.task is None else {shard.name for shard in self.wanted})

    def _refuse(self, differences: list[str], what: str, *, overwrite: bool) -> None:
        if differences and not overwrite:
            raise ConfigurationError(
                f"{self.folder.where} already holds {what}{self.config.name!r} with other settings "
                f"({'; '.join(differences)}); give another folder, or overwrite it (--overwrite)"
            )

    def _begin(self, standing: Standing) -> Manifest | None:
        """Enter the plan, and records of what is intact of a damaged configuration, whose manifest is returned then."""
        manifest, name = standing.manifest, self.config.name
        entries = {entry.path: entry for entry in manifest.data} if manifest else {}
        kept = (
            manifest is not None
            and bool(standing.damaged)
            and manifest.statements.computing == self.draft.statements.computing
            and entries.keys() == {shard.name for shard in self.shards.all}
        )
        if manifest is not None and standing.damaged and not kept and self.task is not None:
            raise ConfigurationError(
                f"{name!r} in {self.folder.where} is damaged, and was made on other hardware or software; make all of "
                "it again without a shard"
            )
        if manifest is not None and not kept and self.folder.manifest(name) == manifest:
            self.folder.remove(name)
        self.shards.begin(self.draft)
        if not kept:
            return None
        for shard in self.wanted:
            entry = entries[shard.name]
            if shard.name not in standing.damaged:
                self.shards.enter(shard, entry.sha256, entry.bytes, 0, self.key)
                self.before.add(shard.name)
            elif self.shards.store.sha256(shard.name) != entry.sha256:
                self.shards.remove(shard)
        return manifest

    def _check_room(self, rows: int) -> None:
        """Refuse before anything is written if the missing rows, and what each process has on the way, cannot fit."""
        largest = max(len(shard.rows) for shard in self.shards.all)
        kept_here = rows if self.folder.keeps_data else 0
        needed = row_bytes(self.columns) * (kept_here + 2 * min(rows, largest * self.processes.world_size))
        free = shutil.disk_usage(nearest_existing(self.folder.path)).free
        if needed > free:
            raise DiskFullError(
                f"{rows} rows need about {needed / 1e6:,.0f} MB while they are made, {self.folder.path} has "
                f"{free / 1e6:,.0f} MB free; free some space or ask for fewer --rows"
            )


@dataclass(frozen=True)
class Standing:
    """What is there of a configuration.

    Attributes:
        manifest: where there is one, perhaps with other settings.
        damaged: files of the configuration wanted that are not what its manifest says.
        rows_missing: rows of files that are not there, or damaged.
    """

    manifest: Manifest | None
    damaged: list[str]
    rows_missing: int

    @property
    def complete(self) -> bool:
        return self.manifest is not None and not self.damaged and not self.rows_missing


def _differences(existing: Manifest, key: dict[str, Any], config: MMMIConfig) -> list[str]:
    """In what a complete configuration differs from the one wanted; other software versions make no difference."""
    pairs = {
        "rows": (existing.rows, config.rows),
        "seed": (existing.seed, config.seed),
        "version": (existing.version, str(config.version)),
    }
    changed = [f"{name} {old}, now {new}" for name, (old, new) in pairs.items() if old != new]
    if {entry.name: entry.pipeline_digest for entry in existing.modalities} != key["bijections"]:
        changed.append("another pipeline")
    if not changed and existing.configuration != key["configuration"]:
        changed.append("another causal model, class, standardization or choice of columns")
    return changed
