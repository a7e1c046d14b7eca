"""Rows: from a configuration and a range of row numbers to a table.

The only module that runs a bijection on the latents of a causal model; owns what determines a row's bytes. Row r is a
function of (configuration, seed, r) on one kind of hardware and software: latents come from the stream (seed, r), the
network always sees full micro-batches aligned to r, and nothing depends on the number of rows. Knows no folder, no
store and no other process.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_info, threadpool_limits

from mmmi_hf.causal.laws.missing.patterns import lacking
from mmmi_hf.causal.shifts import with_causes_resampled
from mmmi_hf.common.failures import in_one_line
from mmmi_hf.common.numbers import is_whole
from mmmi_hf.dataset.format.manifest import ModalityEntry
from mmmi_hf.dataset.format.schema import features, latent_column, missing_column, pmi_pairs, to_table, view_column
from mmmi_hf.dataset.format.target_columns import target_values
from mmmi_hf.dataset.format.views import View, stored_views
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError, FieldError

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

MICRO_BATCH = 32


def load_bijections(
    config: MMMIConfig, *, device: str | None = None, channels_last: bool = False, compiled: bool = False
) -> dict[str, Bijection]:
    """The bijection of every modality, each pipeline loaded once.

    `channels_last` and `compiled` change how a network computes, and with it the last bits of its output, which must
    stay within `ROUND_TRIP` of the latents when the ordinary float32 network inverts it. Measured for the bundled
    pipeline on a CPU: 3.8e-6 without either, 5.9e-6 with channels_last, 6.0e-6 compiled, 6.1e-6 with both. bfloat16 is
    not offered: 9e-2. Neither is TF32, whose mantissa is only three bits longer.

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
                raise FieldError((*here, "pipeline"), in_one_line(error)) from error
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


def row_key(
    config: MMMIConfig, bijections: Mapping[str, Bijection], *, channels_last: bool = False, compiled: bool = False
) -> dict[str, Any]:
    """Everything that determines the bytes of a row, in plain JSON values."""
    import torch

    from mmmi_hf.flow.devices import hardware

    kinds = {bijection.device.type: hardware(bijection.device) for bijection in bijections.values()}
    return {
        "configuration": config.digest,
        "seed": config.seed,
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
            "blas": blas(),
        },
    }


@cache
def blas() -> str:
    """NumPy's linear algebra and the kind of processor that it takes this one for, such as "openblas 0.3.31 SkylakeX".

    It chooses among its kernels by the model of the processor, more finely than `hardware`. They add up in different
    orders: the last digits of pointwise information differ, while latents as float32 and images have been the same.
    """
    found = [each for each in threadpool_info() if each["user_api"] == "blas"]
    found.sort(key=lambda each: "numpy" not in Path(each["filepath"]).parent.name)
    if not found:
        return ""
    return " ".join(str(found[0][key]) for key in ("internal_api", "version", "architecture") if found[0].get(key))


def views_of(bijections: Mapping[str, Bijection]) -> dict[str, View]:
    """Modality → its view, of those that are stored with one."""
    return stored_views({name: bijection.view for name, bijection in bijections.items()})


def modality_entries(config: MMMIConfig, bijections: Mapping[str, Bijection]) -> tuple[ModalityEntry, ...]:
    """The modalities of a configuration as its manifest lists them."""
    views = views_of(bijections)
    return tuple(
        ModalityEntry(
            name=name,
            shape=config.model.shapes[name],
            pipeline=modality.pipeline,
            pipeline_digest=bijections[name].digest,
            class_label=modality.class_label,
            view=views.get(name),
        )
        for name, modality in zip(config.model.modalities, config.modalities, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a range of rows has before its images are made.

    Attributes:
        rows: the row numbers.
        columns: those of the target, which modalities are missing, row, and the pointwise mutual information of every
            pair, (n, …).
        latents: modality → what its bijection receives, float32 (n filled up to whole micro-batches, *shape), NaN in
            rows that lack it; the rows that fill up are the next ones, so that a row's bits do not depend on where a
            configuration ends.
    """

    rows: range
    columns: dict[str, np.ndarray]
    latents: dict[str, np.ndarray]

    def micro_batches(self) -> Iterator[tuple[str, slice]]:
        """(modality, rows of its latents), in the order in which `finish` wants the images."""
        for name, latents in self.latents.items():
            for start in range(0, len(latents), MICRO_BATCH):
                yield name, slice(start, start + MICRO_BATCH)


def prepare(config: MMMIConfig, rows: range, causes: Mapping[int, int] | None = None) -> Prepared:
    """Latents, target and pointwise mutual information of some rows; the first must begin a micro-batch.

    `causes` are those that other seeds give: k, from 0 → its seed.
    """
    model, count = config.model, len(rows)
    padded = -(-count // MICRO_BATCH) * MICRO_BATCH
    addressed: dict[str, Any] = {"seed": config.seed, "start": rows.start, "standardize": config.standardize}
    if causes:
        latents = with_causes_resampled(model, padded, causes=causes, **addressed)
    else:
        latents = model.sample(padded, **addressed)
    columns = target_values(model, latents, store_posterior=config.store_posterior)
    columns = {name: values[:count] for name, values in columns.items()}
    columns |= {missing_column(name): lacking(latents.z[name])[:count] for name in model.law.missing}
    columns["row"] = np.arange(rows.start, rows.stop)
    for column, (a, b) in pmi_pairs(model).items():
        columns[column] = model.pointwise_mutual_information(latents, a, b)[:count]
    return Prepared(rows, columns, {name: latents.z[name].astype(np.float32) for name in model.modalities})


def images_of(bijection: Bijection, class_label: int | None, latents: np.ndarray, may_lack: bool = False) -> np.ndarray:
    """One micro-batch through a bijection.

    Args:
        may_lack: whether rows may lack the modality: then their latents are NaN throughout, and their images zeros.

    Raises:
        ArithmeticError: latents or images that are not finite.
    """
    import torch

    from mmmi_hf.flow import NotFiniteError

    absent = lacking(latents) if may_lack else np.zeros(len(latents), dtype=bool)
    given = np.where(absent.reshape(-1, *[1] * (latents.ndim - 1)), np.float32(0.0), latents)
    if not np.isfinite(given).all():
        raise ArithmeticError("the causal model made latents that are not finite, of a modality that the rows have")
    try:
        images = bijection(torch.from_numpy(given).to(bijection.device), class_label).images
    except NotFiniteError as error:
        raise ArithmeticError(str(error)) from error  # latents of a causal model are no wrong request
    made: np.ndarray = images.cpu().numpy()
    made[absent] = 0.0
    return made


def finish(
    config: MMMIConfig, bijections: Mapping[str, Bijection], prepared: Prepared, images: Sequence[np.ndarray]
) -> pa.Table:
    """Rows as a table of the configuration's features, from the images of their micro-batches.

    Raises:
        ArithmeticError: a value is not finite.
    """
    count, views = len(prepared.rows), views_of(bijections)
    columns: dict[str, Any] = dict(prepared.columns)
    for name in config.model.modalities:
        parts = [part for part, (of, _) in zip(images, prepared.micro_batches(), strict=True) if of == name]
        values = np.concatenate(parts)[:count]
        if not np.isfinite(values).all():
            raise ArithmeticError(f"a pipeline made values that are not finite for {name}, rows {prepared.rows}")
        columns[name] = values
        if name in views:
            columns[view_column(name, views[name])] = views[name].stored.shown(values, views[name])
        if config.store_latents:
            columns[latent_column(name)] = np.nan_to_num(prepared.latents[name][:count])
    return to_table(columns, features(config.model, views, **config.stored))


def make_rows(
    config: MMMIConfig | str,
    start: int,
    stop: int,
    *,
    bijections: Mapping[str, Bijection] | None = None,
    device: str | None = None,
    causes: Mapping[int, int] | None = None,
    tick: Callable[[int, int], object] = lambda done, of: None,
) -> pa.Table:
    """Rows start … stop − 1 of a configuration, with the columns and the bits that `generate` stores.

    A pure function: it writes nothing, and gives a row the same bits whatever is asked for with it, and beyond the
    configuration's own number of rows too. Any engine that maps a function over ranges can call it; a range costs its
    aligned cover in micro-batches of 32 rows.

    Args:
        config: a configuration, a released name, or a YAML file.
        start, stop: 0 ≤ start ≤ stop.
        bijections: of every modality, where `load_bijections` was called before; default: loaded for this call.
        device: torch device of the networks that are loaded; default: a GPU if there is one, else the CPU.
        causes: those that are drawn anew while all else of a row stays: k, from 0 → the seed that has it. Such rows are
            of no dataset.
        tick: told how many micro-batches are done, and of how many.

    Raises:
        ConfigurationError: a configuration that cannot be used, or numbers that are no range of rows.
        NotExactError: causes of a model that has none.
    """
    config = config if isinstance(config, MMMIConfig) else get_configuration(config)
    config.model.check_rows()
    if not (is_whole(start, 0) and is_whole(stop, 0) and start <= stop):
        raise ConfigurationError(f"rows {start!r} … {stop!r} are no range; give whole numbers 0 ≤ start ≤ stop")
    start, stop = int(start), int(stop)
    used = load_bijections(config, device=device) if bijections is None else bijections
    first = start // MICRO_BATCH * MICRO_BATCH
    prepared = prepare(config, range(first, max(stop, start + 1)), causes)
    with threadpool_limits(limits=1, user_api="blas"), row_threads(used) as (pool, _):
        labels, missing = class_labels(config), config.model.law.missing
        images = [
            pool.submit(images_of, used[name], labels[name], prepared.latents[name][batch], name in missing)
            for name, batch in prepared.micro_batches()
        ]
        made = []
        for image in images:
            made.append(image.result())
            tick(len(made), len(images))
        table = finish(config, used, prepared, made)
    return table.slice(start - first, stop - start)


@contextmanager
def row_threads(bijections: Mapping[str, Bijection]) -> Iterator[tuple[Any, int]]:
    """The threads on which bijections run, and how many they are; see `flow/threads.py`."""
    from mmmi_hf.flow.threads import network_threads

    with network_threads(all(bijection.device.type == "cpu" for bijection in bijections.values())) as threads:
        yield threads


def class_labels(config: MMMIConfig) -> dict[str, int | None]:
    """Modality → the class that its pipeline draws."""
    return {
        name: modality.class_label for name, modality in zip(config.model.modalities, config.modalities, strict=True)
    }
