"""Reading packed Parquet back as arrays.

Owns the step from stored columns to NumPy. May import pyarrow and Pillow; computes nothing.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

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


def pixels(column: pa.Array, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An Image column of PNG files that hold pixels and nothing else, as uint8 (n, *shape), channels first.

    Raises:
        StoredDataError: anything else, names of files and texts inside them included.
    """
    channels, height, width = shape
    if not pa.types.is_struct(column.type) or column.type.get_field_index("bytes") < 0:
        raise StoredDataError(f"column {name} has the type {column.type}, expected image files")
    if column.type.get_field_index("path") >= 0 and column.field("path").null_count < len(column):
        raise StoredDataError(f"column {name} gives its images names, expected none")
    decoded = np.empty((len(column), *shape), dtype=np.uint8)
    for row, content in enumerate(column.field("bytes").to_pylist()):
        try:
            with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                if image.mode != ("L" if channels == 1 else "RGB") or image.size != (width, height):
                    raise StoredDataError(f"column {name} holds a {image.mode} image of size {image.size}")
                array = np.asarray(image)
        except StoredDataError:
            raise
        except (TypeError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise StoredDataError(f"column {name} holds something that is no PNG file") from error
        if foreign := _foreign_chunk(content):
            raise StoredDataError(f"column {name} holds an image with more than pixels in its file ({foreign})")
        decoded[row] = array[None] if channels == 1 else array.transpose(2, 0, 1)
    return decoded


def _foreign_chunk(content: bytes) -> str:
    """What a PNG file holds beside the size and the pixels of its image; nothing for a bare one."""
    place = len(b"\x89PNG\r\n\x1a\n")
    while place < len(content):
        length, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            return f"chunk {kind!r}"
        place += 12 + length
        if kind == b"IEND":
            return "" if place == len(content) else "bytes after the end"
    return "no end"
