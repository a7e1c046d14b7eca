"""`generate`: from a configuration to a finished dataset folder.

Owns the requests and the order of the work: check everything, enter the plan, make the missing shards and merge their
records into a manifest (`run.py`), measure, and write ground truth and card, which follow from these (`completion.py`).
A killed run is continued by running it again. Making waits for nobody and locks nothing: of two runs that do the same,
both succeed.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from mmmi_hf.common.failures import DiskFullError, FolderRemovedError
from mmmi_hf.dataset.certificate.outcome import Certificate
from mmmi_hf.dataset.completion import certified, derive
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.format.schema import row_bytes
from mmmi_hf.dataset.generation.cost import seconds_per_row
from mmmi_hf.dataset.generation.launcher import start
from mmmi_hf.dataset.generation.shards import Task
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.dataset.run import Run


@dataclass(frozen=True)
class Generated:
    """What `generate` left behind.

    Attributes:
        folder: the dataset folder, a path or an address.
        config: the configuration as it was generated.
        rows_made: rows computed by this run; the others were there already. Process 0 counts those of all processes.
        seconds: of this call.
        rank, world_size: number of this process, and of all.
        complete: whether the folder is; False in processes other than 0, which leave when no shard is left to make, and
            after a `shard`.
        network_fraction: part of the time of making shards that this process spent in the networks.
        certificate: measured by this call; None where it was not asked for or was there already.
    """

    folder: Path | str
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
    shard: str | Task | None = None,
    certify: bool = True,
    figures: bool = True,
    progress: bool = True,
) -> Generated:
    """Generate one configuration into a dataset folder, or continue where a killed run stopped.

    Under `torchrun` or `accelerate launch` all processes call this with the same arguments and share the work; on
    several machines the folder must be a shared one. Files are identical for any number of processes.

    Args:
        config: a released name, a YAML file, or an MMMIConfig.
        out: a new or empty folder, or a dataset folder of ours, to which the configuration is added; or the address of
            one, s3://BUCKET/…, gs://…, hf://buckets/…, to which files are sent when they are finished.
        rows, seed, pipeline, store_latents, store_posterior: replace the configuration's own.
        device: torch device of the networks; default: the process's own GPU if there is one, else the CPU.
        channels_last, compiled: how the networks compute; see `load_bijections` for what that does to the round trip.
            Rows differ in their last bits, so the choice is recorded, and all of a configuration is made with it.
        overwrite: replace a configuration of this name that was made, or begun, with other settings.
        shard: "2/7" makes the second of seven shares of the files, and nothing else; the shares may be made anywhere,
            in any order, and several times. `merge` completes the configuration when all are there.
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
    task = Task.read(shard) if isinstance(shard, str) else shard
    computing = {"channels_last": channels_last, "compiled": compiled}
    with opened(out) as folder:
        before = folder.names_begun(config.name)
        processes = start(device)
        run = Run(config, folder, processes, before, device, computing, task)
        # Linear algebra of several threads sums in another order, and launchers set the number of threads.
        with threadpool_limits(limits=1, user_api="blas"), _failures_are_said(folder, config.name):
            rows_made, complete = run.made(overwrite=overwrite, figures=figures, progress=progress)
            made = Generated(
                folder.where,
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
                if not certify:
                    return made
                certificate = certified(folder, config.name, processes.device(device), progress=progress)
                return dataclasses.replace(made, certificate=certificate)
            finally:  # also of data that do not bear out their claim, and after Ctrl-C
                derive(folder, config.name)


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
    shard: str | Task | None = None,
    **replaced: Any,
) -> Expected:
    """What `generate` with the same arguments would do. Refuses what `generate` refuses, and writes nothing."""
    config = _wanted(config, **replaced)
    task = Task.read(shard) if isinstance(shard, str) else shard
    computing = {"channels_last": channels_last, "compiled": compiled}
    with opened(out) as folder:
        run = Run(config, folder, start(device), (), device, computing, task)
        missing = run.standing(overwrite=overwrite).rows_missing
    seconds = seconds_per_row(config, run.bijections) * missing if missing else 0.0
    size = row_bytes(run.columns) * sum(len(shard.rows) for shard in run.wanted)
    return Expected(config, missing, size, len(run.wanted), seconds)


def requested(
    config: MMMIConfig | str | os.PathLike[str], options: Mapping[str, Any]
) -> tuple[MMMIConfig, dict[str, Any]]:
    """The configuration of a request, and the other options of `generate`."""
    names = ("rows", "seed", "pipeline", "store_latents", "store_posterior")
    replaced = {name: value for name, value in options.items() if name in names}
    return _wanted(config, **replaced), {name: value for name, value in options.items() if name not in names}


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
                f"the disk of {folder.where} is full; what is finished is kept: free some space and run the same again"
            ) from error
        gone = not folder.work(config).exists() and not folder.manifest_path(config).exists()
        if isinstance(error, FileNotFoundError) and gone:
            raise FolderRemovedError(f"{folder.where}: the folder was removed while {config!r} was made") from error
        raise
