"""MMMIBuilder: the rows of a configuration by way of `datasets`.

Owns what `datasets` asks of a builder. The module's name is the builder's name. `generate` does not use it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key

from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.generation.rows import MICRO_BATCH, load_bijections, make_rows, row_key, views_of
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.credits import CITATION, HOMEPAGE, LICENSE
from mmmi_hf.dataset.releases.registry import get_configuration

SPANS_TOGETHER = 8
Span = tuple[int, int]
"""First row and end row of what lies in one micro-batch, which `datasets` may give to any of its processes."""


class MMMIBuilder(datasets.ArrowBasedBuilder):
    """Splits train, validation and test of a configuration, with the rows that `mmmi_hf.generate` makes.

    `MMMIBuilder("common-cause-1.0", rows=64).download_and_prepare(DIR, file_format="parquet", num_proc=2)`; after
    `download_and_prepare()` alone, which writes Arrow, `as_dataset()` gives the splits.

    The tables are those of `generate`, the files are not: `datasets` chooses row groups and encodings. What it prepares
    has no card, ground truth or certificate, and a killed run begins anew; `generate` is for that.

    Args:
        config_name: a released name, a YAML file, or an MMMIConfig.
        cache_dir: as `datasets` has it.
        rows, seed, pipeline, store_latents, store_posterior: replace the configuration's own.
        options: of `datasets.ArrowBasedBuilder`.

    Raises:
        ConfigurationError: no such configuration, with the nearest names, or no such pipeline.
    """

    BUILDER_CONFIG_CLASS = MMMIConfig

    def __init__(
        self,
        config_name: str | os.PathLike[str] | MMMIConfig,
        cache_dir: str | None = None,
        *,
        rows: int | None = None,
        seed: int | None = None,
        pipeline: str | None = None,
        store_latents: bool | None = None,
        store_posterior: bool | None = None,
        **options: Any,
    ) -> None:
        if isinstance(config_name, MMMIConfig):
            config = config_name.with_pipeline(pipeline)
        else:
            config = get_configuration(os.fspath(config_name), pipeline=pipeline)
        config = config.replace(rows=rows, seed=seed, store_latents=store_latents, store_posterior=store_posterior)
        # `datasets` returns what lies under this id, whatever it was made from. The pipelines are read on the CPU: its
        # processes are forks, which cannot use a GPU that was used here.
        bijections = load_bijections(config, device="cpu")
        self._views = views_of(bijections)
        key = row_key(config, bijections)
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        super().__init__(
            cache_dir=cache_dir,
            config_name=config.name,
            config_id=f"{config.name}-{config.rows}-{digest[:16]}",
            version=config.version,
            description=config.description,
            causal_model=config.model,
            modalities=config.modalities,
            standardize=config.standardize,
            rows=config.rows,
            seed=config.seed,
            **config.stored,
            **options,
        )

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=self.config.description or "",
            features=features(self.config.model, self._views, **self.config.stored),
            homepage=HOMEPAGE,
            license=LICENSE,
            citation=CITATION,
            version=self.config.version,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        del dl_manager
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"spans": _spans(rows)})
            for split, rows in self.config.split_rows.items()
        ]

    def _generate_tables(self, spans: list[Span]) -> Iterator[tuple[Key, pa.Table]]:
        bijections = load_bijections(self.config)
        for number in range(0, len(spans), SPANS_TOGETHER):
            together = spans[number : number + SPANS_TOGETHER]
            yield Key(number, 0), make_rows(self.config, together[0][0], together[-1][1], bijections=bijections)


def _spans(rows: range) -> list[Span]:
    """A range of rows, cut where micro-batches begin."""
    first = (rows.start // MICRO_BATCH + 1) * MICRO_BATCH
    return list(pairwise([rows.start, *range(first, rows.stop, MICRO_BATCH), rows.stop]))
