"""Prints how fast chunks are packed, beside a bare `pyarrow.parquet.write_table` of the same table. Asserts nothing.

Run: python -m tests.performance.bench_packing [ROWS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.dataset.format.ground_truth import ground_truth_table
from mmmi_hf.dataset.format.parquet import group_rows, parquet_options
from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.generation.chunks import ChunkStore
from mmmi_hf.dataset.generation.mmmi import MMMIBuilder
from mmmi_hf.dataset.generation.packing import pack
from mmmi_hf.dataset.generation.rows import chunk_key, load_bijections, make_rows
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality

REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main(rows: int = 4000) -> None:
    """Fill a chunk store with pairs of 3×32×32 images and pack it."""
    config = MMMIConfig(
        name="bench",
        causal_model={"story": "common_cause", "shape": [3, 32, 32], "mi": 1.0},
        modalities=(Modality("identity"), Modality("identity")),
        rows=rows,
    )
    wanted = features(config.model)
    bijections = load_bijections(config)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with ChunkStore(folder / "chunks", chunk_key(config, bijections)).locked() as store:
            for index, span in store.ranges(rows).items():
                store.write(index, make_rows(config, bijections, span, wanted))
            table = pa.concat_tables([store.read(index) for index in store.ranges(rows)]).combine_chunks()
            size = table.nbytes / 1e6
            options = parquet_options(table.schema)
            group = group_rows(row_bytes(wanted))

            def bare(**settings: object) -> None:
                pq.write_table(table, folder / "bare.parquet", row_group_size=group, **settings)

            def built(number: int) -> None:
                builder = MMMIBuilder.from_config(config, store.folder, cache_dir=folder / f"cache{number}")
                builder.download_and_prepare(str(folder / f"built{number}"), file_format="parquet")

            def whole() -> None:
                pack(config, store, ground_truth_table(config), bijections, progress=False)

            times: dict[str, list[float]] = {"bare": [], "builder": [], "pack": [], "default": []}
            for number in range(REPEATS):
                times["default"].append(seconds(bare))
                default_bytes = (folder / "bare.parquet").stat().st_size
                times["bare"].append(seconds(lambda: bare(**options)))
                times["builder"].append(seconds(lambda n=number: built(n)))  # type: ignore[misc]
                times["pack"].append(seconds(whole))
            packed = sum(path.stat().st_size for path in (folder / "built0").glob("*.parquet"))
    best = {name: float(np.min(values)) for name, values in times.items()}
    print(f"{rows} rows, {size:.1f} MB in memory; best of {REPEATS}, interleaved, row groups of {group} rows")
    print(
        f"  pyarrow.parquet.write_table, its defaults:      {size / best['default']:6.0f} MB/s, "
        f"{default_bytes / 1e6:.1f} MB on disk"
    )
    print(
        f"  pyarrow.parquet.write_table, the same options:  {size / best['bare']:6.0f} MB/s, "
        f"{packed / 1e6:.1f} MB on disk"
    )
    for name, what in (("builder", "packing: chunks read and checked, written"), ("pack", "and every value compared")):
        print(f"  {what:47s} {size / best[name]:6.0f} MB/s, {best['bare'] / best[name]:.2f} of the bare writer")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
