"""Reading stored Parquet back as arrays.

Owns the step from stored columns to NumPy, wherever the files are. May import pyarrow; computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mmmi_hf.dataset.format.parquet import open_parquet, open_stream, rows_at_once
from mmmi_hf.dataset.stores.store import Store

READ_ROWS = 256


class StoredDataError(ValueError):
    """Stored rows that are not what the schema promises; the message says which and how."""


@dataclass(frozen=True)
class DataFile:
    """A data file: its name in the dataset folder, the path or store where it is, the number of rows it should have."""

    name: str
    place: Path | Store
    rows: int | None = None

    def opened(self) -> pq.ParquetFile:
        """See `open_parquet` for what is raised."""
        if isinstance(self.place, Path):
            return open_parquet(self.place)
        return open_stream(self.place.open(self.name), self.name)


def batches(
    files: Sequence[DataFile], columns: Sequence[str] | None = None, wanted: np.ndarray | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Rows of some files in order, a few at a time: the number of the first, counted from 0, and the rows.

    Args:
        files: in order.
        columns: only these; None for all.
        wanted: (n,) of all their rows those that are needed; only row groups that hold one are read. None for all.

    Raises:
        StoredDataError: a file that is no Parquet or lacks a column.
    """
    position = 0
    for each in files:
        if wanted is not None and each.rows is not None and not wanted[position : position + each.rows].any():
            position += each.rows
            continue
        try:
            with each.opened() as file:
                at_once = rows_at_once(file, READ_ROWS)
                for groups, rows in _parts(file, whole=wanted is None and isinstance(each.place, Path)):
                    first, position = position, position + rows
                    if wanted is None or wanted[first:position].any():
                        for batch in file.iter_batches(batch_size=at_once, columns=columns, row_groups=groups):
                            yield first, batch
                            first += len(batch)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoredDataError(f"{Path(each.name).name} cannot be read: {' '.join(str(error).split())}") from error


def _parts(file: pq.ParquetFile, *, whole: bool) -> Iterator[tuple[list[int], int]]:
    """What is read together, row groups and how many rows they have: all of a file, or one row group after another."""
    groups = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
    if whole:
        yield list(range(len(groups))), sum(groups)
        return
    for index, rows in enumerate(groups):
        yield [index], rows


def as_array(column: pa.Array, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """A column as (n, *shape). Raises StoredDataError for nulls, another type, or rows of another shape."""
    count = len(column)
    values = column.storage if isinstance(column, pa.ExtensionArray) else column
    for size in shape:
        if values.null_count or not isinstance(values, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
            raise StoredDataError(f"column {name} has missing values or another type than {shape}")
        lengths = pc.list_value_length(values)
        values = values.flatten()
        if not pc.all(pc.equal(lengths, size), min_count=0).as_py():
            raise StoredDataError(f"column {name} has rows of another shape than {shape}")
    if values.null_count or values.type != pa.from_numpy_dtype(dtype):
        raise StoredDataError(f"column {name} has missing values or the type {values.type}, expected {np.dtype(dtype)}")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(count, *shape)
