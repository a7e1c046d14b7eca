"""`generate`: from a configuration to a finished dataset folder.

Owns the order of the work: check everything, enter the plan, make the missing shards, merge their records into a
manifest, measure, and write ground truth and card, which follow from these. A killed run is continued by running it
again. Making waits for nobody and locks nothing: of two runs that do the same, both succeed.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from threadpoolctl import threadpool_limits

from mmmi_hf.common.failures import DiskFullError, FolderRemovedError
from mmmi_hf.common.files import nearest_existing, partial_files_in, write_text
from mmmi_hf.dataset.cards.pictures import draw_for_card
from mmmi_hf.dataset.certificate.measurement import Certificate
from mmmi_hf.dataset.certification import CertificateRefusedError, certify_new
from mmmi_hf.dataset.derived import write_derived
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder, file_entry
from mmmi_hf.dataset.format.ground_truth import quantities
from mmmi_hf.dataset.format.manifest import Computing, FileEntry, Manifest, Split, Statements
from mmmi_hf.dataset.format.parquet import MOST_ROW
from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.format.target_columns import target_entries
from mmmi_hf.dataset.generation.cost import seconds_per_row
from mmmi_hf.dataset.generation.launcher import Processes, start
from mmmi_hf.dataset.generation.pieces import Pieces
from mmmi_hf.dataset.generation.rows import load_bijections, modality_entries, row_key, views_of
from mmmi_hf.dataset.generation.shards import DamagedShardError, Shards
from mmmi_hf.dataset.generation.store import LocalStore
from mmmi_hf.dataset.generation.worker import ATTEMPTS, Maker
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Generated:
    """What `generate` left behind.

    Attributes:
        folder: the dataset folder.
        config: the configuration as it was generated.
        rows_made: rows computed by this run; the others were there already. Process 0 counts those of all processes.
        seconds: of this call.
        rank, world_size: number of this process, and of all.
        complete: whether the folder is; False in processes other than 0, which leave when no shard is left to make.
        network_fraction: part of the time of making shards that this process spent in the networks.
        certificate: measured by this call; None where it was not asked for or was there already.
    """

    folder: Path
    config: MMMIConfig
    rows_made: int
    seconds: float
    rank: int = 0
    world_size: int = 1
    complete: bool = True
    network_fraction: float = 0.0
    certificate: Certificate | None = None


def generate(
    config: MMMIConfig | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    rows: int | None = None,
    seed: int | None = None,
    pipeline: str | None = None,
    store_latents: bool | None = None,
    store_posterior: bool | None = None,
    device: str | None = None,
    channels_last: bool = False,
    compiled: bool = False,
    overwrite: bool = False,
    certify: bool = True,
    figures: bool = True,
    progress: bool = True,
) -> Generated:
    """Generate one configuration into a dataset folder, or continue where a killed run stopped.

    Under `torchrun` or `accelerate launch` all processes call this with the same arguments and share the work; on
    several machines the folder must be a shared one. Files are identical for any number of processes.

    Args:
        config: a released name, a YAML file, or an MMMIConfig.
        out: a new or empty folder, or a dataset folder of ours, to which the configuration is added.
        rows, seed, pipeline, store_latents, store_posterior: replace the configuration's own.
        device: torch device of the networks; default: the process's own GPU if there is one, else the CPU.
        channels_last, compiled: how the networks compute; see `load_bijections` for what that does to the round trip.
            Rows differ in their last bits, so the choice is recorded, and all of a configuration is made with it.
        overwrite: replace a configuration of this name that was made, or begun, with other settings.
        certify: also measure on the finished files that the information is there (see `mmmi_hf.certify`), unless a
            valid certificate is there already. Without it, ground truth and card say "not measured".
        figures: also draw what the card shows. What is left out is drawn by the next call that does not leave it out.
        progress: show progress bars.

    Returns:
        Generated.

    Raises:
        ConfigurationError: a request that cannot be met; nothing was written.
        DiskFullError: no room; finished shards are kept and the same call continues.
        FolderInUseError: another run makes other bytes of the same configuration.
        FolderRemovedError: the folder was removed meanwhile.
        CertificateRefusedError: the finished folder does not bear out its claim; it stays without a certificate.
        DamagedShardError: shards are damaged each time they are written; the storage is at fault.
    """
    started = time.monotonic()
    config = _wanted(
        config, rows=rows, seed=seed, pipeline=pipeline, store_latents=store_latents, store_posterior=store_posterior
    )
    folder = DatasetFolder(out)
    before = _store(folder, config).list(folder.work(config.name).relative_to(folder.path).as_posix())
    processes = start(device)
    run = _Run(config, folder, processes, before, device, {"channels_last": channels_last, "compiled": compiled})
    # Linear algebra of several threads sums in another order, and launchers set the number of threads.
    with threadpool_limits(limits=1, user_api="blas"), _failures_are_said(folder, config.name):
        rows_made, complete = run.made(overwrite=overwrite, figures=figures, progress=progress)
        made = Generated(
            folder.path,
            config,
            rows_made,
            time.monotonic() - started,
            processes.rank,
            processes.world_size,
            complete,
            run.network_fraction,
        )
        if not made.complete or made.rank != 0:
            return made
        try:
            return _certified(made, processes.device(device), progress=progress) if certify else made
        finally:  # also of data that do not bear out their claim, and after Ctrl-C
            _derive(folder, config.name)


@dataclass(frozen=True)
class Expected:
    """What a call of `generate` would do.

    Attributes:
        config: the configuration as it would be generated.
        rows_missing: rows that would be made; the others are there.
        bytes: of the files, before compression: an upper estimate.
        files: how many.
        seconds: to make the missing rows in one process of this machine, measured on one micro-batch.
    """

    config: MMMIConfig
    rows_missing: int
    bytes: int
    files: int
    seconds: float


def expected(
    config: MMMIConfig | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    device: str | None = None,
    channels_last: bool = False,
    compiled: bool = False,
    overwrite: bool = False,
    **replaced: Any,
) -> Expected:
    """What `generate` with the same arguments would do. Refuses what `generate` refuses, and writes nothing."""
    config = _wanted(config, **replaced)
    folder = DatasetFolder(out)
    run = _Run(config, folder, start(device), (), device, {"channels_last": channels_last, "compiled": compiled})
    missing = run.standing(overwrite=overwrite).rows_missing
    seconds = seconds_per_row(config, run.bijections) * missing if missing else 0.0
    size = row_bytes(run.columns) * config.rows
    return Expected(config, missing, size, len(run.shards.all), seconds)


def _wanted(
    config: MMMIConfig | str | os.PathLike[str],
    *,
    rows: int | None = None,
    seed: int | None = None,
    pipeline: str | None = None,
    store_latents: bool | None = None,
    store_posterior: bool | None = None,
) -> MMMIConfig:
    """The configuration of a request."""
    if isinstance(config, MMMIConfig):
        config = config.with_pipeline(pipeline)
    else:
        config = get_configuration(os.fspath(config), pipeline=pipeline)
    config = config.replace(rows=rows, seed=seed, store_latents=store_latents, store_posterior=store_posterior)
    config.model.check_rows()
    return config


def _store(folder: DatasetFolder, config: MMMIConfig) -> LocalStore:
    return LocalStore(folder.path, folder.work(config.name) / "scratch")


class _Run:
    """One call of `generate` in one process, once the request is plain."""

    def __init__(
        self,
        config: MMMIConfig,
        folder: DatasetFolder,
        processes: Processes,
        before: Iterable[str],
        device: str | None,
        computing: dict[str, bool],
    ) -> None:
        self.config, self.folder, self.processes, self.before = config, folder, processes, set(before)
        self.network_fraction = 0.0
        quantities(config.model)  # refuses what has no ground truth
        self.bijections = load_bijections(config, device=processes.device(device), **computing)
        self.columns: datasets.Features = features(config.model, views_of(self.bijections), **config.stored)
        if (size := row_bytes(self.columns)) > MOST_ROW:
            raise ConfigurationError(
                f"a row has {size / 1e6:,.0f} MB, at most {MOST_ROW / 1e6:,.0f} MB are read back; make shapes smaller"
            )
        self.key = row_key(config, self.bijections, **computing)
        self.shards = Shards(_store(folder, config), config, self.columns, self.key)
        folder.check_others(config.name)

    def made(self, *, overwrite: bool, figures: bool, progress: bool) -> tuple[int, bool]:
        """Make what is missing; how many rows that were, and whether the configuration is complete."""
        name = self.config.name
        standing = self.standing(overwrite=overwrite)
        if standing.complete:
            if figures and self.processes.rank == 0:
                draw_for_card(self.folder, name)
            return 0, True
        self._check_room(standing.rows_missing)
        scratch = self.folder.work(name) / "scratch"
        pieces_folder = scratch / hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()[:16]
        rows_made = 0
        try:
            pieces_folder.mkdir(parents=True, exist_ok=True)
            kept = self._begin(standing)
            maker = Maker(
                self.config,
                self.bijections,
                self.shards,
                Pieces(pieces_folder),
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
                if not self.shards.missing(self.shards.all, reading=True):
                    break
            else:
                raise DamagedShardError(f"files of {self.shards.data} are damaged each time they are made")
            self.shards.check()
            with partial_files_in(scratch):
                self._merge(kept)
                if figures:
                    draw_for_card(self.folder, name)
        except FileNotFoundError:
            if not self.standing(overwrite=overwrite).complete:  # else another run has just finished the same
                raise
        return rows_made, True

    def standing(self, *, overwrite: bool) -> _Standing:
        """What is there of the configuration. Only reads.

        Raises:
            ConfigurationError: something else of this name is there, and not to be overwritten.
        """
        name, every = self.config.name, self.config.rows
        manifest = self.folder.manifest(name)
        if manifest is None:
            self._refuse(self.shards.differences(), "an unfinished ", overwrite=overwrite)
            recorded = self.shards.recorded() if not self.shards.differences() else set()
            return _Standing(None, [], sum(len(each.rows) for each in self.shards.all if each.name not in recorded))
        differences = _differences(manifest, self.key, self.config)
        damaged = [] if differences else self.folder.damaged_files(manifest)
        self._refuse(differences, "", overwrite=overwrite)
        if differences:
            return _Standing(manifest, [], every)
        for each in damaged:
            logger.warning("%s is damaged: its SHA-256 differs from the manifest's; it is made again", each)
        return _Standing(manifest, damaged, sum(len(each.rows) for each in self.shards.all if each.name in damaged))

    def _refuse(self, differences: list[str], what: str, *, overwrite: bool) -> None:
        if differences and not overwrite:
            raise ConfigurationError(
                f"{self.folder.path} already holds {what}{self.config.name!r} with other settings "
                f"({'; '.join(differences)}); give another folder, or overwrite it (--overwrite)"
            )

    def _begin(self, standing: _Standing) -> Manifest | None:
        """Enter the plan, and records of what is intact of a damaged configuration, whose manifest is returned then."""
        manifest, name = standing.manifest, self.config.name
        entries = {entry.path: entry for entry in manifest.data} if manifest else {}
        kept = (
            manifest is not None
            and bool(standing.damaged)
            and manifest.statements.computing == (self._computing(),)
            and entries.keys() == {shard.name for shard in self.shards.all}
        )
        if manifest is not None and not kept and self.folder.manifest(name) == manifest:
            self.folder.remove(name)
        self.shards.begin()
        if not kept:
            return None
        for shard in self.shards.all:
            entry = entries[shard.name]
            if shard.name not in standing.damaged:
                self.shards.enter(shard, entry.sha256, entry.bytes, 0, self.key)
                self.before.add(shard.name)
            elif self.shards.store.sha256(shard.name) != entry.sha256:
                self.shards.remove(shard)
        return manifest

    def _merge(self, kept: Manifest | None) -> None:
        """Write causal model and manifest, from the records of the shards.

        Args:
            kept: the manifest of which damaged files were made again; a certificate goes on binding it where they are
                what they were.
        """
        folder, config, shards = self.folder, self.config, self.shards
        records = shards.merged()
        for stale in shards.store.list(shards.data).keys() - {shard.name for shard in records}:
            shards.store.remove(stale)
        splits = {
            split: Split(
                rows=len(rows),
                bytes=sum(record["bytes_in_memory"] for shard, record in records.items() if shard.split == split),
                files=tuple(shard.name for shard in records if shard.split == split),
            )
            for split, rows in config.split_rows.items()
        }
        model = folder.causal_model(config.name)
        write_text(model, config.model.to_json() + "\n")
        files = [
            FileEntry(
                path=shard.name,
                bytes=record["bytes"],
                sha256=record["sha256"],
                rows=(shard.rows.start, shard.rows.stop),
            )
            for shard, record in records.items()
        ]
        files.append(file_entry(folder.path, model.relative_to(folder.path).as_posix()))
        manifest = Manifest(
            config=config.name,
            version=str(config.version),
            rows=config.rows,
            splits=splits if kept is None else kept.splits,
            seed=config.seed,
            standardize=config.standardize,
            store_latents=config.store_latents,
            causal_model=config.model.digest,
            configuration=self.key["configuration"],
            modalities=modality_entries(config, self.bijections),
            targets=target_entries(config.model, store_posterior=config.store_posterior),
            files=tuple(sorted(files, key=lambda entry: entry.path)),
            statements=Statements(
                description=config.description or None,
                world_size=self.processes.world_size,
                computing=(self._computing(),),
            ),
        )
        if kept is None or kept.files != manifest.files:
            folder.certificate_path(config.name).unlink(missing_ok=True)
            folder.write_manifest(config.name, manifest)

    def _computing(self) -> Computing:
        names = ("dtype", "micro_batch", "channels_last", "compiled", "machine", "versions")
        key = self.key
        return Computing(
            device=tuple(key["device"]), hardware=tuple(key["hardware"]), **{name: key[name] for name in names}
        )

    def _check_room(self, rows: int) -> None:
        """Refuse before anything is written if the missing rows, and what each process has on the way, cannot fit."""
        largest = max(len(shard.rows) for shard in self.shards.all)
        needed = row_bytes(self.columns) * (rows + 2 * min(rows, largest * self.processes.world_size))
        free = shutil.disk_usage(nearest_existing(self.folder.path)).free
        if needed > free:
            raise DiskFullError(
                f"{rows} rows need about {needed / 1e6:,.0f} MB while they are made, {self.folder.path} has "
                f"{free / 1e6:,.0f} MB free; free some space or ask for fewer --rows"
            )


@dataclass(frozen=True)
class _Standing:
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


def _certified(made: Generated, device: str | None, *, progress: bool) -> Generated:
    """Measure on the stored bytes, unless a valid certificate binds them already."""
    folder, name = DatasetFolder(made.folder, reading=True), made.config.name
    if bound_certificate(folder, name) is not None:
        return made
    certificate = certify_new(folder, name, device=device, progress=progress)
    if not certificate.valid:
        raise CertificateRefusedError(f"{name} in {made.folder} is refused: {'; '.join(certificate.reasons)}")
    return dataclasses.replace(made, certificate=certificate)


def _derive(folder: DatasetFolder, config: str) -> None:
    """Write ground truth and card, and drop what making the configuration left.

    They are written again where another run has completed another configuration meanwhile, or has removed the folder
    in which they were being written.
    """
    scratch = folder.work(config) / "scratch"
    for attempt in range(ATTEMPTS):
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            with partial_files_in(scratch):
                listed = None
                while listed != (now := folder.configurations()):
                    listed = now
                    write_derived(folder)
            break
        except FileNotFoundError:
            if attempt == ATTEMPTS - 1:
                raise
    folder.remove_work(config)


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


@contextmanager
def _failures_are_said(folder: DatasetFolder, config: str) -> Iterator[None]:
    """Turn a full disk and a removed folder into one clear line."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and getattr(cause, "errno", None) not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            cause = cause.__cause__ or cause.__context__
        if cause is not None:
            raise DiskFullError(
                f"the disk of {folder.path} is full; what is finished is kept: free some space and run the same again"
            ) from error
        gone = not folder.work(config).exists() and not folder.manifest_path(config).exists()
        if isinstance(error, FileNotFoundError) and gone:
            raise FolderRemovedError(f"{folder.path}: the folder was removed while {config!r} was made") from error
        raise
