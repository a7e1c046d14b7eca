"""Batches of rows as NumPy arrays or torch tensors, straight from Arrow buffers.

Owns the way from a column's buffers to an array, and what is read as a file where nothing decodes it: no value passes
through Python, and dtypes are those stored (the numpy and torch formats of `datasets` turn float64 into float32, and
convert row by row). Imports torch only when asked for.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow as pa

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.dataset.format.schema import view_column
from mmmi_hf.hub.client.errors import HubRequestError

if TYPE_CHECKING:
    import torch

    from mmmi_hf.dataset.format.views import View

Rows = Any
"""datasets.Dataset or datasets.IterableDataset."""

Array = np.ndarray[Any, Any]


def readable(data: Any, views: Mapping[str, View]) -> Any:
    """Data (Dataset, DatasetDict or the iterable ones) whose rows can be read here: views as files if need be.

    Args:
        data: as it was loaded.
        views: modality → its view.
    """
    for name, view in views.items():
        column, feature = view_column(name, view), view.stored.without_decoder(view)
        parts = data.values() if isinstance(data, dict) else [data]
        if feature is not None and all(column in (part.column_names or ()) for part in parts):
            data = data.cast_column(column, feature)
    return data


def numpy_batches(
    dataset: Rows, columns: Sequence[str] | None = None, batch_size: int = 256, *, drop_last: bool = False
) -> Iterator[dict[str, Array]]:
    """Batches of columns as arrays, in the dataset's order.

    Args:
        dataset: map-style (also after shuffle, select or shard) or streaming.
        columns: which ones; None for all that hold numbers or truth values.
        batch_size: rows of a batch; the last one may be shorter.
        drop_last: leave out a shorter last batch.

    Yields:
        {column: (n, *shape)}. Arrays are read-only where they share memory with the Arrow file: where a batch lies in
        one record batch, and rows were not shuffled.

    Raises:
        ValueError: several splits, an unknown column, one that holds no numbers or misses some, or a batch_size
            below 1.
    """
    return (
        {name: _joined(pieces) for name, pieces in batch.items()}
        for batch in _batches(dataset, columns, batch_size, drop_last)
    )


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
        copy: give each batch memory of its own, which lives as long as one of its tensors does. Without it, tensors may
            share the memory of the Arrow file, which can only be read: enough for `.to(device)` or a network's input,
            but writing into one ends the process.
    """
    found = _batches(dataset, columns, batch_size, drop_last)
    return (
        _tensors(_copied(batch) if copy else {name: _joined(pieces) for name, pieces in batch.items()})
        for batch in found
    )


def _batches(
    dataset: Rows, columns: Sequence[str] | None, batch_size: int, drop_last: bool
) -> Iterator[dict[str, list[Array]]]:
    """Batches of columns, each as the pieces that it is made of, which share the memory of the Arrow buffers."""
    if not is_whole(batch_size, 1):
        raise ValueError(f"batch_size must be a positive whole number, got {batch_size!r}")
    if isinstance(dataset, dict):
        raise ValueError(f"dataset holds the splits {', '.join(dataset)}; give one of them, such as dataset['train']")
    features = dataset.features
    wanted = (
        checked_columns(columns, features) if columns is not None else [n for n in features if _numeric(features[n])]
    )
    for name in wanted:
        if not _numeric(features[name]):
            raise ValueError(f"columns: {name!r} holds no numbers ({_kind(features[name])}); read it from the dataset")
    chosen = {name: features[name] for name in wanted}
    if isinstance(dataset, datasets.IterableDataset):
        return _streamed(dataset.select_columns(wanted), chosen, batch_size, drop_last)
    return _mapped(dataset, chosen, batch_size, drop_last)


def checked_columns(columns: Sequence[str], there: Iterable[str]) -> list[str]:
    """The names of columns as a list. Raises HubRequestError where there is none, or one is unknown or named twice."""
    names = list(columns)
    if isinstance(columns, str) or not names or len(set(names)) < len(names):
        raise HubRequestError(f"columns must be a list of different names, such as ['x1', 'y'], got {columns!r}")
    there = list(there)
    for name in names:
        if name not in there:
            raise HubRequestError(f"columns: no column {name!r}; there are {', '.join(there)}")
    return names


def _streamed(
    dataset: Rows, features: dict[str, Any], batch_size: int, drop_last: bool
) -> Iterator[dict[str, list[Array]]]:
    for table in dataset.with_format("arrow").iter(batch_size=batch_size, drop_last_batch=drop_last):
        yield {name: _parts(table.column(name), name, feature) for name, feature in features.items()}


def _mapped(
    dataset: Rows, features: dict[str, Any], batch_size: int, drop_last: bool
) -> Iterator[dict[str, list[Array]]]:
    table = dataset.data
    columns = {name: _parts(table.column(name), name, feature) for name, feature in features.items()}
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
        yield {name: _pieces(columns[name], starts[name], rows) for name in features}


def _pieces(parts: list[Array], starts: Array, rows: range | Array) -> list[Array]:
    """The given rows of a column that lies in parts, as views: of neighbours in one part, or of single rows."""
    if isinstance(rows, range):
        first, last = np.searchsorted(starts, (rows.start, rows.stop - 1), side="right") - 1
        return [
            parts[part][max(rows.start - starts[part], 0) : rows.stop - starts[part]] for part in range(first, last + 1)
        ]
    where = np.searchsorted(starts, rows, side="right") - 1
    # A row at a time: it is copied in one piece, which fancy indexing does not do.
    return [
        parts[part][row : row + 1] for part, row in zip(where.tolist(), (rows - starts[where]).tolist(), strict=True)
    ]


def _joined(pieces: list[Array]) -> Array:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _copied(batch: dict[str, list[Array]]) -> dict[str, Array]:
    """The columns of a batch in one piece of new memory, written once.

    One large piece, because the system hands out fresh memory page by page, which takes longer than the copy; for a
    large one NumPy asks for large pages.
    """
    shapes = {name: (sum(map(len, pieces)), *pieces[0].shape[1:]) for name, pieces in batch.items()}
    sizes = {name: math.prod(shapes[name]) * pieces[0].itemsize for name, pieces in batch.items()}
    memory = np.empty(sum(map(_aligned, sizes.values())), np.uint8)
    copies, start = {}, 0
    for name, pieces in batch.items():
        copies[name] = memory[start : start + sizes[name]].view(pieces[0].dtype).reshape(shapes[name])
        np.concatenate(pieces, out=copies[name])
        start += _aligned(sizes[name])
    return copies


def _aligned(size: int) -> int:
    """A number of bytes, rounded up so that what follows begins where any instruction can read it."""
    return -(-size // 64) * 64


def _tensors(batch: dict[str, Array]) -> dict[str, torch.Tensor]:
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return {name: torch.from_numpy(values) for name, values in batch.items()}


def _numeric(feature: Any) -> bool:
    if isinstance(feature, datasets.ClassLabel):
        return True
    if isinstance(feature, datasets.Value):
        kinds = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
        return any(is_kind(feature.pa_type) for is_kind in kinds)
    if isinstance(feature, datasets.List):
        return feature.length > 0 and isinstance(feature.feature, datasets.Value) and _numeric(feature.feature)
    return hasattr(feature, "shape") and None not in feature.shape


def _kind(feature: Any) -> str:
    return str(feature.dtype) if isinstance(feature, datasets.Value) else type(feature).__name__


def _parts(column: pa.ChunkedArray, name: str, feature: Any) -> list[Array]:
    """A column as arrays (n, *shape) that share its memory, one per record batch. Raises ValueError for nulls."""
    shape = (feature.length,) if isinstance(feature, datasets.List) else getattr(feature, "shape", ())
    return [_flat(chunk, name).reshape(-1, *shape) for chunk in column.chunks if len(chunk)]


def _flat(array: pa.Array, name: str) -> Array:
    """The numbers of an array of (lists of lists of …) numbers, without a copy."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    while not pa.types.is_primitive(array.type) and not array.null_count:
        array = array.flatten()
    if array.null_count:
        raise ValueError(f"columns: {name!r} has missing values; fill or filter them first")
    values: Array = array.to_numpy(zero_copy_only=not pa.types.is_boolean(array.type))  # Arrow packs these into bits
    return values
