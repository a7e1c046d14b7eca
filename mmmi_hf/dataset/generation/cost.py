"""What a configuration will cost: rows, bytes, and the time on this machine.

Owns the estimate. Times a micro-batch on every thread of the networks; writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import datasets
from threadpoolctl import threadpool_limits

from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.format.views import stored_views
from mmmi_hf.dataset.generation.rows import (
    MICRO_BATCH,
    class_labels,
    finish,
    images_of,
    prepare,
    row_threads,
)
from mmmi_hf.dataset.generation.shards import Shard, plan
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.flow import catalogue

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection


@dataclass(frozen=True)
class Size:
    """How much there will be.

    Attributes:
        rows: in all splits.
        bytes: of the files, before compression: an upper estimate.
        files: how many.
    """

    rows: int
    bytes: int
    files: int

    @classmethod
    def of(cls, config: MMMIConfig) -> Size:
        """Of a configuration, without its pipelines."""
        return cls(config.rows, config.rows * row_bytes(_columns(config)), len(planned(config)))


def planned(config: MMMIConfig) -> list[Shard]:
    """The files of a configuration, without its pipelines."""
    return plan(config, _columns(config))


def _columns(config: MMMIConfig) -> datasets.Features:
    shapes = config.model.shapes.items()
    outputs = {
        name: catalogue.view_of(modality.pipeline, shape)
        for (name, shape), modality in zip(shapes, config.modalities, strict=True)
    }
    return features(config.model, stored_views(outputs), **config.stored)


def seconds_per_row(config: MMMIConfig, bijections: Mapping[str, Bijection]) -> float:
    """Seconds that a row takes in this process, measured on one micro-batch for every thread of the networks."""
    labels, missing = class_labels(config), config.model.law.missing
    with threadpool_limits(limits=1, user_api="blas"), row_threads(bijections) as (pool, workers):

        def made(number: int) -> None:
            prepared = prepare(config, range(number * MICRO_BATCH, (number + 1) * MICRO_BATCH))
            images = [
                images_of(bijections[name], labels[name], prepared.latents[name][batch], name in missing)
                for name, batch in prepared.micro_batches()
            ]
            finish(config, bijections, prepared, images)

        if any(bijection.device.type != "cpu" for bijection in bijections.values()):
            pool.submit(made, 0).result()  # the first call of a device does much else
        begin = time.perf_counter()
        for future in [pool.submit(made, number) for number in range(workers)]:
            future.result()
        return (time.perf_counter() - begin) / (workers * MICRO_BATCH)
