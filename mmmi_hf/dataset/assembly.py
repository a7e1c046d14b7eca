"""`generate`: from a configuration to a finished dataset folder.

Owns the order of the work: check everything, make the missing chunks, pack them, verify the packed files against the
chunks, put them in place with their manifest, measure them, and write ground truth and card, which follow from
these. A killed run is continued by running it again.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from mmmi_hf.common.files import nearest_existing
from mmmi_hf.dataset.cards.pictures import draw_for_card
from mmmi_hf.dataset.certification import Certificate, CertificateRefusedError, certify_new
from mmmi_hf.dataset.derived import write_derived
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.ground_truth import quantities
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.generation.chunks import ChunkStore, DamagedChunkError, remove_chunks
from mmmi_hf.dataset.generation.launcher import Place
from mmmi_hf.dataset.generation.packing import pack
from mmmi_hf.dataset.generation.rows import chunk_key, load_bijections
from mmmi_hf.dataset.generation.worker import Maker
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

logger = logging.getLogger(__name__)
PACKING_ATTEMPTS = 3


@dataclass(frozen=True)
class Generated:
    """What `generate` left behind.

    Attributes:
        folder: the dataset folder.
        config: the configuration as it was generated.
        rows_made: rows computed by this run; the others were there already. Process 0 counts those of all processes.
        seconds: of this call.
        rank, world_size: number of this process, and of all.
        complete: whether the folder is; False in processes other than 0, which leave when no chunk is left to make.
        network_fraction: part of the time of making chunks that this process spent in the networks.
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


class DiskFullError(OSError, ValueError):
    """The disk has no room; what was finished is kept."""


def generate(
    config: MMMIConfig | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    rows: int | None = None,
    seed: int | None = None,
    pipeline: str | None = None,
    store_latents: bool | None = None,
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
    several machines the folder must be a shared one. Rows are identical for any number of processes.

    Args:
        config: a released name, a YAML file, or an MMMIConfig.
        out: a new or empty folder, or a dataset folder of ours, to which the configuration is added.
        rows, seed, pipeline, store_latents: replace the configuration's own.
        device: torch device of the networks; default: the process's own GPU if there is one, else the CPU.
        channels_last, compiled: how the networks compute; see `load_bijections` for what that does to the round trip.
            Rows differ in their last bits, so the choice is recorded, and all of a configuration is made with it.
        overwrite: replace a complete configuration of this name that was made with other settings.
        certify: also measure on the finished files that the information is there (see `mmmi_hf.certify`), unless a
            valid certificate is there already. Without it, ground truth and card say "not measured".
        figures: also draw what the card shows. What is left out is drawn by the next call that does not leave it out.
        progress: show progress bars.

    Returns:
        Generated.

    Raises:
        ConfigurationError: a request that cannot be met; nothing was written.
        DiskFullError: no room; finished chunks are kept and the same call continues.
        FolderInUseError: another run is writing the same configuration.
        CertificateRefusedError: the finished folder does not bear out its claim; it stays without a certificate.
        DamagedChunkError: chunks are damaged each time they are written; the storage is at fault.
    """
    started = time.monotonic()
    place = Place.from_environment()
    if isinstance(config, MMMIConfig):
        config = config.with_pipeline(pipeline)
    else:
        config = get_configuration(os.fspath(config), pipeline=pipeline)
    config = config.replace(rows=rows, seed=seed, store_latents=store_latents)
    config.model.check_rows()
    folder = DatasetFolder(out)
    computing = {"channels_last": channels_last, "compiled": compiled}
    # Linear algebra of several threads sums in another order, and launchers set the number of threads.
    with threadpool_limits(limits=1, user_api="blas"):
        made = _generate(
            config,
            folder,
            place,
            computing,
            device=device,
            overwrite=overwrite,
            figures=figures,
            progress=progress,
            started=started,
        )
        if not made.complete or place.rank != 0:
            return made
        try:
            return _certified(made, place.device(device), progress=progress) if certify else made
        finally:  # also of data that do not bear out their claim, and after Ctrl-C
            with folder.locked():
                write_derived(folder)


def _generate(
    config: MMMIConfig,
    folder: DatasetFolder,
    place: Place,
    computing: dict[str, bool],
    *,
    device: str | None,
    overwrite: bool,
    figures: bool,
    progress: bool,
    started: float,
) -> Generated:
    """What `generate` does once the request is plain."""
    wanted = features(config.model, store_latents=config.store_latents)
    quantities(config.model)  # refuses what has no ground truth
    bijections = load_bijections(config, device=place.device(device), **computing)
    key = chunk_key(config, bijections, **computing)
    folder.check_others(config.name)
    store = ChunkStore(folder.chunks(config.name), key, rank=place.rank)

    def result(rows_made: int, *, complete: bool = True, network_fraction: float = 0.0) -> Generated:
        seconds = time.monotonic() - started
        return Generated(
            folder.path, config, rows_made, seconds, place.rank, place.world_size, complete, network_fraction
        )

    existing = folder.manifest(config.name)
    there = _is_complete(folder, existing, config, key, overwrite=overwrite)
    if there and place.rank != 0:
        return result(0)
    if not there:
        _check_room(folder.path, wanted, config.rows, _rows_there(folder, config, key))
    with _disk_full_is_said(folder), store.locked(place.run):
        if (now := folder.manifest(config.name)) != existing:  # somebody was quicker
            there = _is_complete(folder, now, config, key, overwrite=overwrite)
        if there:
            if place.rank == 0 or store.first:
                with folder.locked():
                    _finish(folder, config.name, figures=figures)
            return result(0)
        maker = Maker(config, bijections, store, wanted, place, progress=progress)
        maker.run()
        if place.rank != 0:
            return result(maker.rows_made, complete=False, network_fraction=maker.network_fraction)
        manifest, packed = _packed(config, store, bijections, maker, progress=progress)
        made = store.rows_by_run(config.rows)
        with folder.locked():
            folder.put_in_place(config.name, packed)
            folder.write_manifest(config.name, manifest)
            _finish(folder, config.name, figures=figures)
    return result(made, network_fraction=maker.network_fraction)


def _certified(made: Generated, device: str | None, *, progress: bool) -> Generated:
    """Measure on the stored bytes, unless a valid certificate binds them already."""
    folder, name = DatasetFolder(made.folder, reading=True), made.config.name
    if bound_certificate(folder, name) is not None:
        return made
    certificate = certify_new(folder, name, device=device, progress=progress)
    if not certificate.valid:
        raise CertificateRefusedError(f"{name} in {made.folder} is refused: {'; '.join(certificate.reasons)}")
    return dataclasses.replace(made, certificate=certificate)


def _is_complete(
    folder: DatasetFolder,
    existing: Manifest | None,
    config: MMMIConfig,
    key: dict[str, Any],
    *,
    overwrite: bool,
) -> bool:
    """Whether the configuration wanted is there, undamaged. Refuses to replace another without `overwrite`."""
    if existing is None:
        return False
    differences = _differences(existing, key, config)
    if differences and not overwrite:
        raise ConfigurationError(
            f"{folder.path} already holds {config.name!r} with other settings ({'; '.join(differences)}); "
            "give another folder, or overwrite it (--overwrite)"
        )
    damaged = folder.damaged_files(existing) if not differences else []
    for path in damaged:
        logger.warning("%s is damaged: its SHA-256 differs from the manifest's; it is made again", folder.path / path)
    return not differences and not damaged


def _packed(
    config: MMMIConfig,
    store: ChunkStore,
    bijections: dict[str, Bijection],
    maker: Maker,
    *,
    progress: bool,
) -> tuple[Manifest, dict[str, Path]]:
    """Pack; a chunk that was damaged since it was written is made again first."""
    for attempts_left in reversed(range(PACKING_ATTEMPTS)):
        try:
            return pack(config, store, bijections, world_size=maker.place.world_size, progress=progress)
        except DamagedChunkError:
            if not attempts_left:
                raise
            maker.run(reading_all=True)  # names it
    raise AssertionError("unreachable")


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


def _rows_there(folder: DatasetFolder, config: MMMIConfig, key: dict[str, Any]) -> int:
    """Rows of an interrupted run that can be used; reads only."""
    try:
        store = ChunkStore.open(folder.chunks(config.name))
    except FileNotFoundError:
        return 0
    return store.rows_there(config.rows) if store.key == key else 0


def _check_room(path: Path, wanted: Any, rows: int, rows_there: int) -> None:
    """Refuse before anything is written if chunks and Parquet together cannot fit."""
    needed = row_bytes(wanted) * (2 * rows - rows_there)
    free = shutil.disk_usage(nearest_existing(path)).free
    if needed > free:
        raise DiskFullError(
            f"{rows} rows need about {needed / 1e6:,.0f} MB while they are made, {path} has {free / 1e6:,.0f} MB free; "
            "free some space or ask for fewer --rows"
        )


@contextmanager
def _disk_full_is_said(folder: DatasetFolder) -> Iterator[None]:
    """Turn a full disk into one clear line."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and getattr(cause, "errno", None) not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        raise DiskFullError(
            f"the disk of {folder.path} is full; finished chunks are kept: free some space and run the same again"
        ) from error


def _finish(folder: DatasetFolder, config: str, *, figures: bool) -> None:
    """Draw what the card shows, and drop the chunks, which are no longer needed."""
    if figures:
        draw_for_card(folder, config)
    remove_chunks(folder.chunks(config))
    with suppress(OSError):  # another configuration is being made
        folder.chunks(config).parent.rmdir()
