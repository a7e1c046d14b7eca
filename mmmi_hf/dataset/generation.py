"""`generate`: from a configuration to a finished dataset folder.

Owns the order of the work: check everything, make the missing chunks, pack them, verify the packed files against the
chunks, put them in place, write manifest and card. A killed run is continued by running it again.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from mmmi_hf.dataset.cards import render_card
from mmmi_hf.dataset.chunks import ChunkStore
from mmmi_hf.dataset.columns import features, row_bytes
from mmmi_hf.dataset.configuration import MMMIConfig
from mmmi_hf.dataset.folder import DatasetFolder, file_entry, nearest_existing
from mmmi_hf.dataset.ground_truth import ground_truth_table
from mmmi_hf.dataset.packing import pack
from mmmi_hf.dataset.registry import get_configuration
from mmmi_hf.dataset.rows import chunk_key, load_bijections, make_rows
from mmmi_hf.dataset.yaml_source import ConfigurationError

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection


@dataclass(frozen=True)
class Generated:
    """What `generate` left behind.

    Attributes:
        folder: the dataset folder.
        config: the configuration as it was generated.
        rows_made: rows computed by this call; the others were there already.
        seconds: of this call.
    """

    folder: Path
    config: MMMIConfig
    rows_made: int
    seconds: float


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
    overwrite: bool = False,
    progress: bool = True,
) -> Generated:
    """Generate one configuration into a dataset folder, or continue where a killed run stopped.

    Args:
        config: a released name, a YAML file, or an MMMIConfig.
        out: a new or empty folder, or a dataset folder of ours, to which the configuration is added.
        rows, seed, pipeline, store_latents: replace the configuration's own.
        device: torch device of the networks; default: an accelerator if there is one, else the CPU.
        overwrite: replace a complete configuration of this name that was made with other settings.
        progress: show progress bars.

    Returns:
        Generated.

    Raises:
        ConfigurationError: a request that cannot be met; nothing was written.
        DiskFullError: no room; finished chunks are kept and the same call continues.
        FolderInUseError: another run is writing the same configuration.
    """
    started = time.monotonic()
    if not isinstance(config, MMMIConfig):
        config = get_configuration(os.fspath(config))
    config = config.with_pipeline(pipeline).replace(rows=rows, seed=seed, store_latents=store_latents)
    folder = DatasetFolder(out)
    wanted = features(config.model, store_latents=config.store_latents)
    truth = ground_truth_table(config)
    bijections = load_bijections(config, device=device)
    key = chunk_key(config, bijections)
    folder.check_others(config.name)
    existing = folder.manifest(config.name)
    if existing is not None:
        differences = _differences(existing, key, config)
        if not differences and not folder.damaged_files(existing):
            with ChunkStore(folder.chunks(config.name), key).locked(), folder.locked():
                _finish(folder, config.name)
            return Generated(folder.path, config, 0, time.monotonic() - started)
        if differences and not overwrite:
            raise ConfigurationError(
                f"{folder.path} already holds {config.name!r} with other settings ({'; '.join(differences)}); "
                "give another folder, or overwrite it (--overwrite)"
            )
    rows_there = _rows_there(folder, config, key)
    _check_room(folder.path, wanted, config.rows, rows_there)
    with _disk_full_is_said(folder), ChunkStore(folder.chunks(config.name), key).locked() as store:
        made = _make_chunks(config, bijections, store, wanted, progress=progress)
        manifest, packed = pack(config, store, truth, bijections, progress=progress)
        with folder.locked():
            folder.put_in_place(config.name, packed)
            manifest["files"] = [file_entry(folder.path, path) for path in sorted(packed)]
            folder.write_manifest(config.name, manifest)
            _finish(folder, config.name)
    return Generated(folder.path, config, made, time.monotonic() - started)


def _differences(existing: dict[str, Any], key: dict[str, Any], config: MMMIConfig) -> list[str]:
    """In what a complete configuration differs from the one wanted; other software versions make no difference."""
    pairs = {
        "rows": (existing["rows"], config.rows),
        "seed": (existing["seed"], config.seed),
        "version": (existing["version"], str(config.version)),
    }
    changed = [f"{name} {old}, now {new}" for name, (old, new) in pairs.items() if old != new]
    if existing["key"]["bijections"] != key["bijections"]:
        changed.append("another pipeline")
    if not changed and existing["key"]["configuration"] != key["configuration"]:
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


def _make_chunks(
    config: MMMIConfig, bijections: dict[str, Bijection], store: ChunkStore, wanted: Any, *, progress: bool
) -> int:
    """Make the chunks that are missing; returns the rows made."""
    ranges = store.ranges(config.rows)
    missing = store.missing(config.rows)
    made = 0
    there = config.rows - sum(len(ranges[index]) for index in missing)
    with tqdm(
        total=config.rows, initial=there, desc=f"generating {config.name}", unit="row", disable=not progress
    ) as bar:
        for index in missing:
            store.write(index, make_rows(config, bijections, ranges[index], wanted, bar.update))
            made += len(ranges[index])
    return made


def _finish(folder: DatasetFolder, config: str) -> None:
    """Write the card of the whole folder and drop the chunks, which are no longer needed."""
    render_card(folder)
    folder.remove_chunks(config)
