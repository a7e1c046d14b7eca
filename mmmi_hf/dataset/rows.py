"""Rows: from a configuration and a range of row numbers to a table.

The only module that runs a bijection on the latents of a causal model; owns what determines a row's bytes. Row r is a
function of (configuration, seed, r) on one kind of hardware and software: latents come from the stream (seed, r), the
network always sees full micro-batches aligned to r, and nothing depends on the number of rows.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow as pa

from mmmi_hf.dataset.columns import is_image, latent_column, pmi_pairs, png_views, to_table
from mmmi_hf.dataset.configuration import MMMIConfig
from mmmi_hf.dataset.yaml_source import FieldError

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

CHUNK_ROWS = 64
MICRO_BATCH = 32
PIPELINE_HALF_RANGE = 1.0
LATENT_HALF_RANGE = 4.0


def load_bijections(config: MMMIConfig, *, device: str | None = None) -> dict[str, Bijection]:
    """The bijection of every modality, each pipeline loaded once.

    Raises ConfigurationError for a pipeline that cannot be had, a shape that it does not make, or a class it lacks.
    """
    import torch

    from mmmi_hf.flow import load_bijection

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    loaded: dict[tuple[str, Any], Bijection] = {}
    result = {}
    for index, (name, modality) in enumerate(zip(config.model.modalities, config.modalities, strict=True)):
        shape = config.model.shapes[name]
        here = ("modalities", index)
        if (modality.pipeline, shape) not in loaded:
            try:
                loaded[modality.pipeline, shape] = load_bijection(modality.pipeline, shape, device=device)
            except (ValueError, OSError) as error:
                raise FieldError((*here, "pipeline"), " ".join(str(error).split())) from error
        bijection = loaded[modality.pipeline, shape]
        classes = bijection.num_classes
        if classes is None and modality.class_label is not None:
            raise FieldError((*here, "class_label"), f"{modality.pipeline!r} has no classes; leave it out")
        if classes is not None and (modality.class_label is None or modality.class_label >= classes):
            raise FieldError(
                (*here, "class_label"),
                f"got {modality.class_label}, expected 0 … {classes - 1}, a class of {modality.pipeline!r}",
            )
        result[name] = bijection
    return result


def chunk_key(config: MMMIConfig, bijections: dict[str, Bijection]) -> dict[str, Any]:
    """Everything that determines the bytes of a chunk, in plain JSON values."""
    import torch

    kinds = {bijection.device.type for bijection in bijections.values()}
    return {
        "configuration": config.digest,
        "seed": config.seed,
        "chunk_rows": CHUNK_ROWS,
        "micro_batch": MICRO_BATCH,
        "dtype": "float32",
        "bijections": {name: bijection.digest for name, bijection in bijections.items()},
        "device": sorted(kinds),
        "machine": platform.machine(),
        "versions": {
            "mmmi_hf": installed_version("mmmi-hf"),
            "torch": torch.__version__,
            **{
                package: installed_version(package)
                for package in ("numpy", "diffusers", "pillow", "pyarrow", "datasets")
            },
        },
    }


def half_range(bijection: Bijection) -> float:
    """The fixed range ±h that the 8-bit view of a modality shows: 1 for pipelines, 4 for maps of bare latents."""
    return LATENT_HALF_RANGE if bijection.num_classes is None else PIPELINE_HALF_RANGE


def make_rows(
    config: MMMIConfig,
    bijections: dict[str, Bijection],
    rows: range,
    wanted: datasets.Features,
    tick: Callable[[float], object] = lambda done: None,
) -> pa.Table:
    """The given rows as a table of the configuration's features."""
    import torch

    model = config.model
    padded = -(-len(rows) // MICRO_BATCH) * MICRO_BATCH
    latents = model.sample(padded, seed=config.seed, start=rows.start, standardize=config.standardize)
    count = len(rows)
    columns: dict[str, Any] = {"y": latents.y[:count], "row": np.arange(rows.start, rows.stop)}
    for column, (a, b) in pmi_pairs(model).items():
        columns[column] = model.pointwise_mutual_information(latents, a, b)[:count]
    for name, modality in zip(model.modalities, config.modalities, strict=True):
        bijection = bijections[name]
        z = latents.z[name].astype(np.float32)
        parts = []
        for start in range(0, padded, MICRO_BATCH):
            batch = torch.from_numpy(z[start : start + MICRO_BATCH]).to(bijection.device)
            parts.append(bijection(batch, modality.class_label).images.cpu().numpy())
            tick(min(MICRO_BATCH, count - start) / len(model.modalities) if start < count else 0)
        values = np.concatenate(parts)[:count]
        if not np.isfinite(values).all():
            raise ArithmeticError(f"{modality.pipeline!r} made values that are not finite for {name}, rows {rows}")
        columns[name] = values
        if is_image(model.shapes[name]):
            columns[f"{name}_image"] = png_views(values, half_range(bijection))
        if config.store_latents:
            columns[latent_column(name)] = z[:count]
    return to_table(columns, wanted)
