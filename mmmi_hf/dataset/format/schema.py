"""The columns of a configuration: their `datasets` features, and their Arrow arrays built without per-row encoding.

Owns the schema of a row. May import datasets, pyarrow and Pillow; never torch.

    x1 … xM               float32: Array3D (C, H, W) for images, fixed-length List for one-dimensional modalities
    x1_image … xM_image   Image: the 8-bit view of image modalities, for viewers; never claimed exact
    y, …                  the target, see `target_columns`
    pmi_x1_y …            float64: pointwise mutual information in nats, for every (xi, y) and every (xi, xj)
    row                   int64: the row's address
    z1 … zM               float32, optional: the latents exactly as the bijections received them
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from PIL import Image

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.format.target_columns import target_features

Shape = tuple[int, ...]
_VIEW = "_image"
_ARRAYS = {2: datasets.Array2D, 3: datasets.Array3D, 4: datasets.Array4D, 5: datasets.Array5D}


def is_image(shape: Shape) -> bool:
    """Whether a modality of this shape has an 8-bit view: grey or RGB, channels first."""
    return len(shape) == 3 and shape[0] in (1, 3)


def pmi_pairs(model: CausalModel) -> dict[str, tuple[str, str]]:
    """Column name → the two blocks whose pointwise mutual information it holds."""
    names = model.modalities
    pairs = [(name, "y") for name in names] + list(combinations(names, 2))
    return {f"pmi_{a}_{b}": (a, b) for a, b in pairs}


def features(model: CausalModel, *, store_latents: bool = False, store_posterior: bool = False) -> datasets.Features:
    """The features of every split, columns in their order."""
    columns: dict[str, Any] = {}
    for name, shape in model.shapes.items():
        if is_image(shape):
            columns[f"{name}{_VIEW}"] = datasets.Image()
        columns[name] = _tensor_feature(name, shape)
    columns |= target_features(model, store_posterior=store_posterior)
    for column in pmi_pairs(model):
        columns[column] = datasets.Value("float64")
    columns["row"] = datasets.Value("int64")
    if store_latents:
        for name, shape in model.shapes.items():
            columns[latent_column(name)] = _tensor_feature(name, shape)
    return datasets.Features(columns)


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
        columns: name → array (n, *shape), (n,), or a list of n PNG files for an Image column.
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


def eight_bit(values: np.ndarray, half_range: float) -> np.ndarray:
    """Values −half_range … half_range as 0 … 255, clipped; the range is a constant of a modality, never of data."""
    return np.clip(np.rint((values / half_range + 1.0) * 127.5), 0, 255).astype(np.uint8)


def from_eight_bit(pixels: np.ndarray, half_range: float) -> np.ndarray:
    """The middle of the values that became each pixel, float32."""
    return ((pixels / 127.5 - 1.0) * half_range).astype(np.float32)


def png_views(values: np.ndarray, half_range: float) -> list[bytes]:
    """The 8-bit view of images (n, C, H, W) as PNG files, by `eight_bit`."""
    files = []
    for image in eight_bit(values, half_range):
        pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
        files.append(buffer.getvalue())
    return files


def row_bytes(wanted: datasets.Features) -> int:
    """An upper estimate of the bytes of a row before compression: values, list levels, 8-bit views of noise."""
    size = 0.0
    for name, feature in wanted.items():
        if isinstance(feature, datasets.Image):
            channels, height, width = wanted[name.removesuffix(_VIEW)].shape
            size += channels * height * width + height + 128
        elif isinstance(feature, datasets.List):
            size += 4.5 * feature.length
        else:
            size += 4.5 * math.prod(feature.shape) if hasattr(feature, "shape") else 8
    return math.ceil(size)
