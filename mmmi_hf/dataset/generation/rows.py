"""Rows: from a configuration and a range of row numbers to a table.

The only module that runs a bijection on the latents of a causal model; owns what determines a row's bytes. Row r is a
function of (configuration, seed, r) on one kind of hardware and software: latents come from the stream (seed, r), the
network always sees full micro-batches aligned to r, and nothing depends on the number of rows.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import pyarrow as pa

from mmmi_hf.dataset.format.manifest import ModalityEntry, View
from mmmi_hf.dataset.format.schema import is_image, latent_column, pmi_pairs, png_views, to_table
from mmmi_hf.dataset.generation.launcher import hardware
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import FieldError

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

CHUNK_ROWS = 64
MICRO_BATCH = 32


def load_bijections(
    config: MMMIConfig, *, device: str | None = None, channels_last: bool = False, compiled: bool = False
) -> dict[str, Bijection]:
    """The bijection of every modality, each pipeline loaded once.

    `channels_last` and `compiled` change how a network computes, and with it the last bits of its output, which must
    stay within 2e-5 of the latents when the ordinary float32 network inverts it. Measured for the bundled pipeline on a
    CPU: 3.8e-6 without either, 5.9e-6 with channels_last, 6.0e-6 compiled, 6.1e-6 with both. bfloat16 is not offered:
    9e-2. Neither is TF32, whose mantissa is only three bits longer.

    Raises ConfigurationError for a pipeline that cannot be had, a shape that it does not make, or a class it lacks,
    and ValueError for a device that cannot be used here, whatever the bijections.
    """
    import torch

    from mmmi_hf.flow import load_bijection
    from mmmi_hf.flow.devices import check_device

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    check_device(device)
    loaded: dict[tuple[str, Any], Bijection] = {}
    result = {}
    for index, (name, modality) in enumerate(zip(config.model.modalities, config.modalities, strict=True)):
        shape = config.model.shapes[name]
        here = ("modalities", index)
        if (modality.pipeline, shape) not in loaded:
            try:
                loaded[modality.pipeline, shape] = load_bijection(modality.pipeline, shape, device=device)
                loaded[modality.pipeline, shape].set_up(channels_last=channels_last, compiled=compiled)
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


def chunk_key(
    config: MMMIConfig, bijections: dict[str, Bijection], *, channels_last: bool = False, compiled: bool = False
) -> dict[str, Any]:
    """Everything that determines the bytes of a chunk, in plain JSON values."""
    import torch

    kinds = {bijection.device.type: hardware(bijection.device) for bijection in bijections.values()}
    return {
        "configuration": config.digest,
        "seed": config.seed,
        "chunk_rows": CHUNK_ROWS,
        "micro_batch": MICRO_BATCH,
        "dtype": "float32",
        "channels_last": channels_last,
        "compiled": compiled,
        "bijections": {name: bijection.digest for name, bijection in bijections.items()},
        "device": sorted(kinds),
        "hardware": [kinds[kind] for kind in sorted(kinds)],
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


def modality_entries(config: MMMIConfig, bijections: Mapping[str, Bijection]) -> tuple[ModalityEntry, ...]:
    """The modalities of a configuration as its manifest lists them."""
    entries = []
    for name, modality in zip(config.model.modalities, config.modalities, strict=True):
        bijection, shape = bijections[name], config.model.shapes[name]
        view = View(kind="image", half_range=bijection.view.half_range) if is_image(shape) else None
        entries.append(
            ModalityEntry(
                name=name,
                shape=shape,
                pipeline=modality.pipeline,
                pipeline_digest=bijection.digest,
                class_label=modality.class_label,
                view=view,
            )
        )
    return tuple(entries)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a range of rows has before its images are made.

    Attributes:
        rows: the row numbers.
        columns: y, row and the pointwise mutual information of every pair, (n,).
        latents: modality → what its bijection receives, float32 (n filled up to whole micro-batches, *shape); the rows
            that fill up are the next ones, so that a row's bits do not depend on where a configuration ends.
    """

    rows: range
    columns: dict[str, np.ndarray]
    latents: dict[str, np.ndarray]

    def micro_batches(self) -> Iterator[tuple[str, slice]]:
        """(modality, rows of its latents), in the order in which `finish` wants the images."""
        for name, latents in self.latents.items():
            for start in range(0, len(latents), MICRO_BATCH):
                yield name, slice(start, start + MICRO_BATCH)


def prepare(config: MMMIConfig, rows: range) -> Prepared:
    """Latents, target and pointwise mutual information of some rows; the first must begin a micro-batch."""
    model, count = config.model, len(rows)
    padded = -(-count // MICRO_BATCH) * MICRO_BATCH
    latents = model.sample(padded, seed=config.seed, start=rows.start, standardize=config.standardize)
    columns = {"y": latents.y[:count], "row": np.arange(rows.start, rows.stop)}
    for column, (a, b) in pmi_pairs(model).items():
        columns[column] = model.pointwise_mutual_information(latents, a, b)[:count]
    return Prepared(rows, columns, {name: latents.z[name].astype(np.float32) for name in model.modalities})


def images_of(bijection: Bijection, class_label: int | None, latents: np.ndarray) -> np.ndarray:
    """One micro-batch through a bijection. ArithmeticError for images that are not finite."""
    import torch

    from mmmi_hf.flow import NotFiniteError

    try:
        images = bijection(torch.from_numpy(latents).to(bijection.device), class_label).images
    except NotFiniteError as error:
        raise ArithmeticError(str(error)) from error  # latents of a causal model are no wrong request
    made: np.ndarray = images.cpu().numpy()
    return made


def finish(
    config: MMMIConfig,
    bijections: dict[str, Bijection],
    prepared: Prepared,
    images: Sequence[np.ndarray],
    wanted: datasets.Features,
) -> pa.Table:
    """Rows as a table of the configuration's features, from the images of their micro-batches.

    Raises:
        ArithmeticError: a value is not finite.
    """
    count, shapes = len(prepared.rows), config.model.shapes
    columns: dict[str, Any] = dict(prepared.columns)
    for name in shapes:
        parts = [part for part, (of, _) in zip(images, prepared.micro_batches(), strict=True) if of == name]
        values = np.concatenate(parts)[:count]
        if not np.isfinite(values).all():
            raise ArithmeticError(f"a pipeline made values that are not finite for {name}, rows {prepared.rows}")
        columns[name] = values
        if is_image(shapes[name]):
            columns[f"{name}_image"] = png_views(values, bijections[name].view.half_range)
        if config.store_latents:
            columns[latent_column(name)] = prepared.latents[name][:count]
    return to_table(columns, wanted)


def make_rows(config: MMMIConfig, bijections: dict[str, Bijection], rows: range, wanted: datasets.Features) -> pa.Table:
    """The given rows, one step after the other in this thread: what `making.py` does with many chunks at once."""
    prepared, labels = prepare(config, rows), class_labels(config)
    images = [
        images_of(bijections[name], labels[name], prepared.latents[name][batch])
        for name, batch in prepared.micro_batches()
    ]
    return finish(config, bijections, prepared, images, wanted)


def class_labels(config: MMMIConfig) -> dict[str, int | None]:
    """Modality → the class that its pipeline draws."""
    return {
        name: modality.class_label for name, modality in zip(config.model.modalities, config.modalities, strict=True)
    }
