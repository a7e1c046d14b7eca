"""Packing: from finished chunks to checked Parquet files and a manifest.

Owns what happens between the last chunk and the finished folder: the builder packs, every value is compared with its
chunk, and the manifest records what was made from what. Runs no bijection.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.common.files import sha256_of
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.format.folder import shard_names
from mmmi_hf.dataset.format.manifest import Computing, FileEntry, Manifest, Split, Statements
from mmmi_hf.dataset.generation.chunks import ChunkStore
from mmmi_hf.dataset.generation.mmmi import MMMIBuilder, pieces
from mmmi_hf.dataset.generation.rows import modality_entries
from mmmi_hf.dataset.releases.configuration import MMMIConfig

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

READ_ROWS = 64


def pack(
    config: MMMIConfig,
    store: ChunkStore,
    bijections: dict[str, Bijection],
    *,
    world_size: int = 1,
    progress: bool = True,
) -> tuple[Manifest, dict[str, Path]]:
    """Build the Parquet files beside the chunks and check them; returns the manifest and where each file is."""
    work = store.folder / "packing"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    builder = MMMIBuilder.from_config(config, store.folder, cache_dir=work / "cache")
    output = work / "parquet"
    packed: dict[str, Path] = {}
    splits = {}
    with progress_bar("packing, checking", 2 * config.rows, shown=progress) as bar:
        builder.on_rows = bar.update
        with _no_progress_bars_of_datasets():
            builder.download_and_prepare(str(output), file_format="parquet")
        for split, rows in config.split_rows.items():
            shards = sorted(output.glob(f"{builder.dataset_name}-{split}*.parquet"))
            verify_packed(shards, rows, store, bar.update)
            names = shard_names(config.name, split, len(shards))
            packed |= dict(zip(names, shards, strict=True))
            splits[split] = Split(rows=len(rows), bytes=builder.info.splits[split].num_bytes, files=tuple(names))
    model_file = work / "causal_model.json"
    model_file.write_text(config.model.to_json() + "\n")
    packed[f"causal_models/{config.name}.json"] = model_file
    files = tuple(_entry(place, packed[place]) for place in sorted(packed))
    return _manifest(config, store.key, splits, files, bijections, world_size), packed


@contextmanager
def _no_progress_bars_of_datasets() -> Iterator[None]:
    """`generate` shows the packing with a bar of its own."""
    shown = not datasets.are_progress_bars_disabled()
    if shown:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _manifest(
    config: MMMIConfig,
    key: dict[str, Any],
    splits: dict[str, Split],
    files: tuple[FileEntry, ...],
    bijections: dict[str, Bijection],
    world_size: int,
) -> Manifest:
    return Manifest(
        config=config.name,
        version=str(config.version),
        rows=config.rows,
        splits=splits,
        seed=config.seed,
        standardize=config.standardize,
        store_latents=config.store_latents,
        causal_model=config.model.digest,
        configuration=key["configuration"],
        modalities=modality_entries(config, bijections),
        files=files,
        statements=Statements(
            description=config.description or None, world_size=world_size, computing=(_computing(key),)
        ),
    )


def _computing(key: dict[str, Any]) -> Computing:
    kept = ("dtype", "micro_batch", "chunk_rows", "channels_last", "compiled", "machine", "versions")
    return Computing(device=tuple(key["device"]), hardware=tuple(key["hardware"]), **{name: key[name] for name in kept})


def _entry(place: str, packed: Path) -> FileEntry:
    """How a manifest names a packed file that goes to a place."""
    return FileEntry(path=place, bytes=packed.stat().st_size, sha256=sha256_of(packed))


def verify_packed(
    shards: list[Path], rows: range, store: ChunkStore, tick: Callable[[float], object] = lambda rows: None
) -> None:
    """Compare the Parquet files of a split with the chunks, value by value. Raises OSError where they differ."""
    position = rows.start
    stream = _batches(shards)
    rest: pa.Table | None = None
    for index, first, end in pieces(rows, store.chunk_rows):
        expected = store.read(index, end).slice(first, end - first)
        have = rest
        while have is None or have.num_rows < expected.num_rows:
            following = next(stream, None)
            if following is None:
                raise OSError(f"packed files end before row {rows.stop}: {', '.join(map(str, shards))}")
            have = following if have is None else pa.concat_tables([have, following])
        found, rest = have.slice(0, expected.num_rows), have.slice(expected.num_rows)
        for column in expected.column_names:
            if not _storage(found[column]).equals(_storage(expected[column])):
                raise OSError(
                    f"packed column {column!r} differs from its chunk in rows {position} … {position + len(found) - 1}"
                )
        position += expected.num_rows
        tick(expected.num_rows)
    if rest is not None and (rest.num_rows or next(stream, None) is not None):
        raise OSError(f"packed files go on beyond row {rows.stop}: {', '.join(map(str, shards))}")


def _batches(shards: list[Path]) -> Iterator[pa.Table]:
    for shard in shards:
        for batch in pq.ParquetFile(shard).iter_batches(batch_size=READ_ROWS):
            yield pa.Table.from_batches([batch])


def _storage(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    return array.storage if isinstance(array.type, pa.ExtensionType) else array
