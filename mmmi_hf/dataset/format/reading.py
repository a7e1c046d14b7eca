"""Reading stored Parquet back as arrays.

Owns the step from stored columns to NumPy. May import pyarrow; computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmmi_hf.dataset.format.parquet import open_parquet, rows_at_once

READ_ROWS = 256


class StoredDataError(ValueError):
    """Stored rows that are not what the schema promises; the message says which and how."""


def batches(paths: Sequence[Path], columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """All rows of some files in order, a few at a time.

    Raises:
        StoredDataError: a file that is no Parquet or lacks a column.
    """
    for path in paths:
        try:
            with open_parquet(path) as file:
                yield from file.iter_batches(batch_size=rows_at_once(file, READ_ROWS), columns=columns)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StoredDataError(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error


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
