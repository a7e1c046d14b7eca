"""How tables become Parquet files: encodings, row groups, shards.

Owns the options of every Parquet file with rows. May import pyarrow; knows nothing of configurations or
`datasets`.

Floats have nearly random mantissas and similar exponents: BYTE_STREAM_SPLIT brings the similar bytes together and zstd
finds them. Dictionaries and statistics of their values are only size. PNG files are compressed already. Row groups are
small, and the first file is one of them, so that the first row of a stream costs little; a reader of `y` alone skips
the images between them. The same
table and the same library version give the same bytes, however the rows arrive.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 1 << 20
SHARD_BYTES = 500_000_000
ZSTD_LEVEL = 3


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Keyword arguments of `pyarrow.parquet.ParquetWriter` (and `write_table`) for a table of this schema."""
    empty = io.BytesIO()
    pq.write_table(schema.empty_table(), empty)
    written = pq.ParquetFile(empty).schema
    leaves = [written.column(index) for index in range(len(written))]
    encodings = {"FLOAT": "BYTE_STREAM_SPLIT", "DOUBLE": "BYTE_STREAM_SPLIT", "INT64": "DELTA_BINARY_PACKED"}
    files = {column.path for column in leaves if column.physical_type == "BYTE_ARRAY"}
    return {
        "compression": {column.path: "none" if column.path in files else "zstd" for column in leaves},
        "compression_level": {column.path: ZSTD_LEVEL for column in leaves if column.path not in files},
        "use_dictionary": False,
        "column_encoding": {column.path: encodings.get(column.physical_type, "PLAIN") for column in leaves},
        "write_statistics": [column.path for column in leaves if column.path in schema.names],
        "write_page_index": True,
    }


def group_rows(row_bytes: int) -> int:
    """Rows of a row group, which holds at most ROW_GROUP_BYTES before compression, or one row."""
    return max(1, ROW_GROUP_BYTES // row_bytes)


def write_shard(path: Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> int:
    """Write one file, a row group per table; returns the bytes of the tables before compression."""
    size = 0
    with pq.ParquetWriter(path, schema, **parquet_options(schema)) as writer:
        for table in groups:
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            size += table.nbytes
    return size


def regrouped(tables: Iterable[pa.Table], lengths: Iterable[int]) -> Iterator[pa.Table]:
    """The rows of tables, in order, as tables of the given lengths. Raises ValueError if they are too few."""
    stream = iter(tables)
    held: list[pa.Table] = []
    have = 0
    for length in lengths:
        while have < length:
            table = next(stream, None)
            if table is None:
                raise ValueError(f"{length} rows were to come, {have} came")
            held.append(table)
            have += table.num_rows
        whole = pa.concat_tables(held)
        yield whole.slice(0, length).combine_chunks()
        held, have = [whole.slice(length)], have - length
