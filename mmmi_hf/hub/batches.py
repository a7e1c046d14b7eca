"""Batches of rows as NumPy arrays or torch tensors, straight from Arrow buffers.

Owns the way from a column's buffers to an array: no value passes through Python, and dtypes are those stored (the numpy
and torch formats of `datasets` turn float64 into float32, and convert row by row). Imports torch only when asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import torch

Rows = Any
"""datasets.Dataset or datasets.IterableDataset."""

Array = np.ndarray[Any, Any]


def numpy_batches(
    dataset: Rows, columns: Sequence[str] | None = None, batch_size: int = 256, *, drop_last: bool = False
) -> Iterator[dict[str, Array]]:
    """Batches of columns as arrays, in the dataset's order.

    Args:
        dataset: map-style (also after shuffle, select or shard) or streaming.
        columns: which ones; None for all that hold numbers.
        batch_size: rows of a batch; the last one may be shorter.
        drop_last: leave out a shorter last batch.

    Yields:
        {column: (n, *shape)}. Arrays are read-only and, where a batch lies in one record batch, share memory with the
        Arrow file.

    Raises:
        ValueError: an unknown column, one that holds no numbers (pictures), or a batch_size below 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive whole number, got {batch_size!r}")
    features = dataset.features
    wanted = [name for name in features if _numeric(features[name])] if columns is None else list(columns)
    for name in wanted:
        if name not in features:
            raise ValueError(f"columns: no column {name!r}; there are {', '.join(features)}")
        if not _numeric(features[name]):
            raise ValueError(f"columns: {name!r} holds pictures, not numbers; read it from the dataset itself")
    chosen = {name: features[name] for name in wanted}
    if isinstance(dataset, datasets.IterableDataset):
        return _streamed(dataset.select_columns(wanted), chosen, batch_size, drop_last)
    return _mapped(dataset, chosen, batch_size, drop_last)


def torch_batches(
    dataset: Rows,
    columns: Sequence[str] | None = None,
    batch_size: int = 256,
    *,
    drop_last: bool = False,
    copy: bool = True,
) -> Iterator[dict[str, torch.Tensor]]:
    """`numpy_batches` as torch tensors of the same dtypes.

    Args:
        copy: give each tensor memory of its own. Without it, tensors may share the memory of the Arrow file, which can
            only be read: enough for `.to(device)` or a network's input, but writing into one ends the process.
    """
    import torch

    for batch in numpy_batches(dataset, columns, batch_size, drop_last=drop_last):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            tensors = {name: torch.from_numpy(values.copy() if copy else values) for name, values in batch.items()}
        yield tensors


def _streamed(dataset: Rows, features: dict[str, Any], batch_size: int, drop_last: bool) -> Iterator[dict[str, Array]]:
    for table in dataset.with_format("arrow").iter(batch_size=batch_size, drop_last_batch=drop_last):
        yield {name: _joined(_parts(table.column(name), feature)) for name, feature in features.items()}


def _mapped(dataset: Rows, features: dict[str, Any], batch_size: int, drop_last: bool) -> Iterator[dict[str, Array]]:
    table = dataset.data
    columns = {name: _parts(table.column(name), feature) for name, feature in features.items()}
    starts = {
        name: np.cumsum([0, *(len(part) for part in parts)]) for name, parts in columns.items()
    }  # of every record batch
    picked = dataset._indices  # what shuffle, select and shard leave: which rows of the table, in which order
    order = None if picked is None else picked.column(0).to_numpy().astype(np.int64)
    for start in range(0, len(dataset), batch_size):
        end = min(start + batch_size, len(dataset))
        if drop_last and end - start < batch_size:
            return
        rows = range(start, end) if order is None else order[start:end]
        yield {name: _rows(columns[name], starts[name], rows) for name in features}


def _rows(parts: list[Array], starts: Array, rows: range | Array) -> Array:
    """The given rows of a column that lies in parts: a view where they are neighbours in one part, else a copy."""
    if isinstance(rows, range):
        first, last = np.searchsorted(starts, (rows.start, rows.stop - 1), side="right") - 1
        pieces = [
            parts[part][max(rows.start - starts[part], 0) : rows.stop - starts[part]] for part in range(first, last + 1)
        ]
        return _joined(pieces)
    where = np.searchsorted(starts, rows, side="right") - 1
    picked = np.empty((len(rows), *parts[0].shape[1:]), parts[0].dtype)
    # A row at a time: it is copied in one piece, which fancy indexing does not do.
    for place, (part, row) in enumerate(zip(where.tolist(), (rows - starts[where]).tolist(), strict=True)):
        picked[place] = parts[part][row]
    return picked


def _numeric(feature: Any) -> bool:
    if isinstance(feature, datasets.Value):
        return bool(pa.types.is_floating(feature.pa_type) or pa.types.is_integer(feature.pa_type))
    if isinstance(feature, datasets.List):
        return feature.length > 0 and isinstance(feature.feature, datasets.Value) and _numeric(feature.feature)
    return hasattr(feature, "shape") and None not in feature.shape


def _parts(column: pa.ChunkedArray, feature: Any) -> list[Array]:
    """A column as arrays (n, *shape) that share its memory, one per record batch."""
    shape = (feature.length,) if isinstance(feature, datasets.List) else getattr(feature, "shape", ())
    return [_flat(chunk).reshape(-1, *shape) for chunk in column.chunks if len(chunk)]


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _flat(array: pa.Array) -> Array:
    """The numbers of an array of (lists of lists of …) numbers, without a copy."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    while not pa.types.is_primitive(array.type):
        array = array.flatten()
    values: Array = array.to_numpy(zero_copy_only=True)
    return values
