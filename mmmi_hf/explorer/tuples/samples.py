"""Rows by the bundled pipeline, kept so that the same are not made twice.

Owns the memory of pipelines and rows, and the round trip of one image. Everything is made by what dataset/ offers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mmmi_hf.causal import NotExactError
from mmmi_hf.causal.latents import Latents
from mmmi_hf.dataset.releases.configuration import MMMIConfig

if TYPE_CHECKING:
    from mmmi_hf.dataset.format.manifest import ModalityEntry
    from mmmi_hf.flow import Bijection

_KEPT = 48
Tick = Callable[[float, str], object]


@dataclass(frozen=True, eq=False)
class Sample:
    """Some rows.

    Attributes:
        config: of which.
        first: the number of the first.
        columns: column → values, those of modalities (n, *shape).
        latents: that they were made of.
        entries: the modalities as a manifest lists them.
        sounds: modality → WAV files, of those that are listened to.
    """

    config: MMMIConfig
    first: int
    columns: Mapping[str, Any]
    latents: Latents
    entries: tuple[ModalityEntry, ...]
    sounds: Mapping[str, list[bytes]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RoundTrip:
    """One value, the latents that its inverse gives, and the value again: (1, *shape) each."""

    value: np.ndarray
    drawn: np.ndarray
    found: np.ndarray
    again: np.ndarray


@dataclass
class Workshop:
    """Makes rows, one request at a time: two at once would take twice as long each."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pipelines: dict[Any, dict[str, Bijection]] = field(default_factory=dict)
    _samples: OrderedDict[Any, Sample] = field(default_factory=OrderedDict)

    def rows(self, config: MMMIConfig, first: int, count: int, causes: Mapping[int, int], tick: Tick) -> Sample:
        """Rows first … first + count - 1; `causes` are drawn anew: k, from 0 → the seed.

        Raises:
            ValueError: a configuration whose rows cannot be made, or that has no such causes.
        """
        key = (config.digest, first, count, tuple(sorted(causes.items())))
        with self._lock:
            found = self._samples.pop(key, None)
            if found is None:
                found = self._made(config, first, count, causes, tick)
            self._samples[key] = found
            while len(self._samples) > _KEPT:
                self._samples.popitem(last=False)
            return found

    def round_trip(self, sample: Sample, modality: str, place: int, tick: Tick) -> RoundTrip:
        """The value at a place of a sample, inverted and made again.

        Raises:
            ValueError: no such modality, or a row that lacks it.
        """
        from mmmi_hf.dataset.certificate.inversion import recover
        from mmmi_hf.dataset.generation.rows import class_labels, images_of

        if modality not in sample.config.model.modalities:
            raise ValueError(f"modality must be one of {', '.join(sample.config.model.modalities)}")
        drawn = sample.latents.z[modality][place : place + 1]
        if np.isnan(drawn).any():
            raise ValueError(f"row {sample.first + place} lacks {modality}; invert another row or modality")
        value = np.asarray(sample.columns[modality][place : place + 1], dtype=np.float32)
        with self._lock:
            tick(0.1, "inverting")
            bijection = self._bijections(sample.config, tick)[modality]
            label = class_labels(sample.config)[modality]
            found = recover(bijection, label, value)
            tick(0.9, "making it again")
            again = images_of(bijection, label, found.astype(np.float32))
        return RoundTrip(value, drawn, found, again)

    def _made(self, config: MMMIConfig, first: int, count: int, causes: Mapping[int, int], tick: Tick) -> Sample:
        from mmmi_hf.causal.shifts import with_causes_resampled
        from mmmi_hf.dataset.generation.rows import make_rows, modality_entries

        bijections = self._bijections(config, tick)
        table = make_rows(
            config, first, first + count, bijections=bijections, causes=causes,
            tick=lambda done, of: tick(0.2 + 0.8 * done / of, f"images {done} of {of}"),
        )  # fmt: skip
        addressed: dict[str, Any] = {"seed": config.seed, "start": first, "standardize": config.standardize}
        latents = (
            with_causes_resampled(config.model, count, causes=causes, **addressed)
            if causes
            else config.model.sample(count, **addressed)
        )
        entries = modality_entries(config, bijections)
        return Sample(config, first, _columns(config, table), latents, entries, _sounds(table, entries))

    def _bijections(self, config: MMMIConfig, tick: Tick) -> dict[str, Bijection]:
        from mmmi_hf.dataset.generation.rows import load_bijections

        shapes = tuple(config.model.shapes[name] for name in config.model.modalities)
        key = (tuple(each.pipeline for each in config.modalities), shapes)
        if key not in self._pipelines:
            tick(0.05, "loading the pipeline")
            self._pipelines[key] = load_bijections(config)
        return self._pipelines[key]


def _columns(config: MMMIConfig, table: Any) -> dict[str, Any]:
    """The columns of a table but its views, modalities as arrays (n, *shape)."""
    from mmmi_hf.dataset.format.views import is_view_column

    shapes = config.model.shapes
    columns: dict[str, Any] = {}
    for name in table.schema.names:
        if is_view_column(name):
            continue
        column = table.column(name).combine_chunks()
        values = (column.storage if hasattr(column, "storage") else column).to_pylist()
        columns[name] = np.asarray(values, dtype=np.float32) if name in shapes else values
    return columns


def _sounds(table: Any, entries: tuple[ModalityEntry, ...]) -> dict[str, list[bytes]]:
    """Modality → the files of its views, where these are sounds."""
    from mmmi_hf.dataset.format.schema import view_column
    from mmmi_hf.dataset.format.views import contents

    columns = {one.name: view_column(one.name, one.view) for one in entries if one.view and one.view.kind == "sound"}
    return {name: contents(table.column(column).combine_chunks(), column) for name, column in columns.items()}


def posterior(sample: Sample) -> list[str]:
    """What is known of y given all modalities of a row: the probability of every class, or mean ± standard deviation.

    Empty where the model has none in closed form.
    """
    model = sample.config.model
    try:
        if model.classes is not None:
            return [
                " ".join(f"{label}: {chance:.2f}" for label, chance in enumerate(row) if chance >= 0.005)
                for row in model.class_posterior(sample.latents, model.modalities)
            ]
        spread = model.residual_variance(model.modalities) ** 0.5
        means = model.decode(sample.latents, model.modalities)
    except (NotExactError, ValueError, ArithmeticError):
        return []
    return [f"{mean:.2f} ± {spread:.2f}".replace("-", "−") for mean in means]
