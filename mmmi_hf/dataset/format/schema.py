"""The columns of a configuration: their `datasets` features, and their Arrow arrays built without per-row encoding.

Owns the schema of a row. May import datasets and pyarrow; never torch.

    x1 … xM               float32: Array2D … Array5D of the modality's shape, a fixed-length List of one dimension
    x1_missing …          bool: whether the row lacks the modality, of those that some rows lack; then x1 holds zeros
    x1_image …            the views of modalities that people can look at, for viewers; see `views.py`
    y, …                  the target, see `target_columns.py`
    pmi_x1_y …            float64: pointwise mutual information in nats, for every (xi, y) and every (xi, xj)
    row                   int64: the row's address
    z1 … zM               float32, optional: the latents exactly as the bijections received them
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.format.target_columns import target_features
from mmmi_hf.dataset.format.views import KINDS, Shape, View

_ARRAYS = {2: datasets.Array2D, 3: datasets.Array3D, 4: datasets.Array4D, 5: datasets.Array5D}


def pmi_pairs(model: CausalModel) -> dict[str, tuple[str, str]]:
    """Column name → the two blocks whose pointwise mutual information it holds."""
    names = model.modalities
    pairs = [(name, "y") for name in names] + list(combinations(names, 2))
    return {f"pmi_{a}_{b}": (a, b) for a, b in pairs}


def features(
    model: CausalModel, views: Mapping[str, View], *, store_latents: bool = False, store_posterior: bool = False
) -> datasets.Features:
    """The features of every split, columns in their order.

    Args:
        model: the causal model.
        views: modality → its view, of those that have one (`views_of` their bijections, or a manifest's `views`).
        store_latents: with the columns z1 … zM.
        store_posterior: with the exact probabilities of the classes of y.
    """
    columns: dict[str, Any] = {}
    for name, shape in model.shapes.items():
        if name in views:
            columns[view_column(name, views[name])] = views[name].stored.feature(views[name])
        columns[name] = _tensor_feature(name, shape)
        if name in model.law.missing:
            columns[missing_column(name)] = datasets.Value("bool")
    columns |= target_features(model, store_posterior=store_posterior)
    for column in pmi_pairs(model):
        columns[column] = datasets.Value("float64")
    columns["row"] = datasets.Value("int64")
    if store_latents:
        for name, shape in model.shapes.items():
            columns[latent_column(name)] = _tensor_feature(name, shape)
    return datasets.Features(columns)


def view_column(modality: str, view: View) -> str:
    """x1 → x1_image."""
    return f"{modality}{view.stored.suffix}"


def missing_column(modality: str) -> str:
    """x1 → x1_missing."""
    return f"{modality}_missing"


def latent_column(modality: str) -> str:
    """x1 → z1."""
    return f"z{modality.removeprefix('x')}"


def _tensor_feature(name: str, shape: Shape) -> Any:
    if len(shape) == 1:
        return datasets.List(datasets.Value("float32"), length=shape[0])
    if len(shape) not in _ARRAYS:
        raise ValueError(f"{name} has {len(shape)} dimensions; `datasets` stores at most 5: flatten some of them")
    return _ARRAYS[len(shape)](shape=shape, dtype="float32")


def to_table(columns: Mapping[str, np.ndarray | list[bytes]], wanted: datasets.Features) -> pa.Table:
    """Arrays of equal length as an Arrow table with the features' own types.

    Args:
        columns: name → array (n, *shape), (n,), or a list of n files for the column of a view.
        wanted: the features; every one must be given.
    """
    schema = wanted.arrow_schema
    return pa.Table.from_arrays([_arrow(columns[field.name], field.type) for field in schema], schema=schema)


def _arrow(values: np.ndarray | list[bytes], kind: pa.DataType) -> pa.Array:
    if isinstance(values, list):
        files = pa.array(values, type=pa.binary())
        return pa.StructArray.from_arrays([files, pa.nulls(len(values), pa.string())], fields=list(kind))
    values = np.ascontiguousarray(values)
    if isinstance(kind, pa.ExtensionType):
        return pa.ExtensionArray.from_storage(kind, _nested(values, kind.storage_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1), type=kind.value_type), type=kind)
    return pa.array(values, type=kind)


def _nested(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """An (n, …) array as lists of lists, sharing one flat value buffer."""
    leaf = kind
    for _ in range(values.ndim - 1):
        leaf = leaf.value_type
    array = pa.array(values.reshape(-1), type=leaf)
    for axis in range(values.ndim - 1, 0, -1):
        outer = int(np.prod(values.shape[:axis]))
        offsets = np.arange(outer + 1, dtype=np.int32) * values.shape[axis]
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    return array


def row_bytes(wanted: datasets.Features) -> int:
    """An upper estimate of the bytes of a row before compression: values, list levels, views of noise."""
    size = 0.0
    for name, feature in wanted.items():
        view = next((kind for kind in KINDS.values() if name.endswith(kind.suffix)), None)
        if view is not None:
            size += view.file_bytes(_shape(wanted[name.removesuffix(view.suffix)]))
        else:
            size += 4.5 * math.prod(shape) if (shape := _shape(feature)) else 8
    return math.ceil(size)


def _shape(feature: Any) -> Shape:
    """Of the values in a column; () for single numbers."""
    return (feature.length,) if isinstance(feature, datasets.List) else tuple(getattr(feature, "shape", ()))
