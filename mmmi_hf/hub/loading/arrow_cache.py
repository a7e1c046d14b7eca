"""Parquet to a memory-mapped dataset: unpacked once into an Arrow file of `datasets`' cache, mapped from then on.

Owns that file: its name is the digest of what it holds, and it appears whole or not at all. Done here because
`load_dataset` takes more than twice as long as reading the Parquet files (see tests/performance/bench_load.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import pyarrow as pa

from mmmi_hf.common.files import replacing
from mmmi_hf.dataset.format.parquet import open_parquet, rows_at_once

BATCH_ROWS = 1024
"""Rows of a record batch, whatever the shards hold (fewer of large rows): batches of 256 rows, and of other powers of
two, cross none."""


def map_parquet(
    files: Sequence[Path],
    digests: Sequence[str],
    *,
    split: str,
    info: datasets.DatasetInfo,
    cache_dir: Path,
    tick: Callable[[float], object] = lambda rows: None,
) -> datasets.Dataset:
    """The rows of Parquet files of one schema as a memory-mapped Dataset, every dtype as it is stored.

    Args:
        files: the shards, in order.
        digests: their SHA-256, which name the Arrow file.
        split: the split's name.
        info: description, version and so on; features are taken from the files.
        cache_dir: where the Arrow file is kept.
        tick: told of the rows as they are unpacked.
    """
    key = hashlib.sha256(json.dumps([pa.__version__, *digests]).encode()).hexdigest()
    target = cache_dir / f"{key[:32]}.arrow"
    if not target.exists():
        with replacing(target, shared=True) as partial:
            _unpack(files, partial, tick)
    return datasets.Dataset.from_file(str(target), info=info, split=datasets.NamedSplit(split))


def _unpack(files: Sequence[Path], target: Path, tick: Callable[[float], object]) -> None:
    # Opened by Python: pyarrow makes files that only their owner can read, whatever the umask.
    with open_parquet(files[0]) as first:
        schema, rows = first.schema_arrow, rows_at_once(first, BATCH_ROWS)
    with target.open("wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        waiting = schema.empty_table()
        for path in files:
            with open_parquet(path) as file:
                for batch in file.iter_batches(batch_size=rows_at_once(file, BATCH_ROWS)):
                    waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch], schema)])
                    while len(waiting) >= rows:
                        writer.write_table(waiting.slice(0, rows).combine_chunks())
                        waiting = waiting.slice(rows)
                    tick(batch.num_rows)
        if len(waiting):
            writer.write_table(waiting.combine_chunks())
