"""How tables become Parquet files – encodings, row groups, shards – and how files of others are opened, within bounds.

Owns the options of every Parquet file with rows, and what a file may ask for before any of it is decoded.
May import pyarrow; knows nothing of configurations or `datasets`.

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
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.common.files import UnusableFileError, check_regular

ROW_GROUP_BYTES = 1 << 20
ZSTD_LEVEL = 3

MOST_DECODED = 1 << 29
"""Bytes of a row group in memory. What is written here has ROW_GROUP_BYTES of them, or one row."""
MOST_ROW = MOST_DECODED // 4
"""Bytes of a row before compression; lists take up to three times as many on their way."""
MOST_AT_ONCE = 1 << 26
"""Bytes of the rows that are decoded together, unless one row has more."""
MOST_FOOTER = 1 << 25
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_ONE_BY_ONE = {"PLAIN", "RLE", "BIT_PACKED", "DELTA_LENGTH_BYTE_ARRAY"}
"""Encodings in which every text of a column has its own bytes in the file."""


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
    whole = path.absolute()  # pyarrow takes a relative path such as `a:b` for an address
    with pq.ParquetWriter(whole, schema, **parquet_options(schema)) as writer:
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


def open_parquet(path: Path, *, most: int = MOST_DECODED) -> pq.ParquetFile:
    """A Parquet file that others made, once its footer says that no name stands twice and no row group is too large.

    Args:
        path: of the file.
        most: bytes of a row group in memory.

    Raises:
        UnusableFileError: no regular file, no Parquet, one with two columns of a name, or one that asks for more.
        OSError: it cannot be read.
    """
    check_regular(path)
    with path.open("rb") as stream:
        _check_footer(stream, path)
    return _checked(path.absolute(), path, most)


def open_stream(stream: BinaryIO, name: str, *, most: int = MOST_DECODED) -> pq.ParquetFile:
    """`open_parquet`, of an opened file that errors call `name`; closing what is returned closes it."""
    _check_footer(stream, name)
    return _checked(stream, name, most)


def _check_footer(stream: BinaryIO, path: Path | str) -> None:
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 8))
    footer = int.from_bytes(stream.read(4), "little")
    if footer > MOST_FOOTER:
        raise UnusableFileError(f"{path} has a footer of {footer:,} bytes, expected at most {MOST_FOOTER:,}")


def _checked(source: Path | BinaryIO, path: Path | str, most: int) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(source, thrift_string_size_limit=MOST_FOOTER)
    except (pa.ArrowException, ValueError) as error:
        raise UnusableFileError(f"{path} is no Parquet file ({' '.join(str(error).split())})") from error
    if twice := _twice(file.schema_arrow):
        file.close()
        raise UnusableFileError(f"{path} has two columns of the name {', '.join(map(repr, twice))}")
    for group in range(file.metadata.num_row_groups):
        if (size := _decoded(file, group)) > most:
            file.close()
            raise UnusableFileError(f"{path} has a row group of {size:,} bytes in memory, expected at most {most:,}")
    return file


def _twice(fields: Iterable[pa.Field]) -> list[str]:
    """The names that stand twice among fields, or among those of a struct in them."""
    fields = list(fields)
    names = [field.name for field in fields]
    found = {name for name in names if names.count(name) > 1}
    for field in fields:
        found.update(_twice([field.type.field(index) for index in range(field.type.num_fields)]))
    return sorted(found)


def rows_at_once(file: pq.ParquetFile, most: int) -> int:
    """How many rows of an opened file are decoded together: `most`, or a smaller power of two where rows are large."""
    groups = [(_decoded(file, n), file.metadata.row_group(n).num_rows) for n in range(file.metadata.num_row_groups)]
    row = max((size // max(rows, 1) for size, rows in groups), default=0)
    return min(most, 1 << max(0, (MOST_AT_ONCE // max(row, 1)).bit_length() - 1))


def _decoded(file: pq.ParquetFile, group: int) -> int:
    """The bytes that a row group has in memory at most, by what its footer says; a negative number is endless."""
    stated, size = file.metadata.row_group(group), 0
    for index in range(stated.num_columns):
        chunk, column = stated.column(index), file.schema.column(index)
        values, stored = chunk.num_values, chunk.total_uncompressed_size
        if min(values, stored, stated.num_rows) < 0:
            return 1 << 63
        if chunk.physical_type == "BYTE_ARRAY":
            size += stored if set(chunk.encodings) <= _ONE_BY_ONE else values * stored
        width = _WIDTHS.get(chunk.physical_type, column.length if column.length and column.length > 0 else 4)
        size += values * (width + 4 * (column.max_definition_level > 0)) + stored
    return size
