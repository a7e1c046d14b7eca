"""MMMIBuilder: packs finished chunks into Parquet splits. It computes nothing.

Owns the step from chunks to Parquet by way of `datasets`. The module's name is the builder's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key

from mmmi_hf.dataset.cards import CITATION, HOMEPAGE, LICENSE
from mmmi_hf.dataset.chunks import ChunkStore
from mmmi_hf.dataset.columns import features, row_group_rows
from mmmi_hf.dataset.configuration import MMMIConfig
from mmmi_hf.dataset.registry import get_configuration, list_configurations

Piece = tuple[int, int, int]
"""(chunk index, first row, end row) with rows counted within the chunk."""


class MMMIBuilder(datasets.ArrowBasedBuilder):
    """Parquet splits train, validation and test from the chunks of one configuration.

    Its `data_dir` is the chunk folder that `mmmi_hf.generate` fills; `generate` calls the builder itself.
    """

    BUILDER_CONFIG_CLASS = MMMIConfig
    BUILDER_CONFIGS = [get_configuration(name) for name in list_configurations()]  # noqa: RUF012 – as `datasets` declares it

    on_rows: Callable[[int], object] | None = None
    """Told the number of rows each time some are handed over for writing."""

    @classmethod
    def from_config(cls, config: MMMIConfig, chunks: Path, *, cache_dir: Path) -> MMMIBuilder:
        """A builder for any configuration, released or one's own."""
        return cls(
            cache_dir=str(cache_dir),
            config_name=config.name,
            config_id=f"{config.name}-{config.digest[:12]}-{config.rows}",
            version=config.version,
            description=config.description,
            data_dir=str(chunks),
            causal_model=config.model,
            modalities=config.modalities,
            standardize=config.standardize,
            rows=config.rows,
            seed=config.seed,
            store_latents=config.store_latents,
        )

    def _create_builder_config(
        self, config_name: str | None = None, custom_features: Any = None, config_id: str | None = None, **fields: Any
    ) -> tuple[MMMIConfig, str]:
        """As in `datasets`, and names that are not released are configurations of one's own."""
        if config_name is not None and config_name not in self.builder_configs:
            config = MMMIConfig(name=config_name, **fields)
            return config, config_id or f"{config.name}-{config.digest[:12]}-{config.rows}"
        created: tuple[MMMIConfig, str] = super()._create_builder_config(
            config_name=config_name, custom_features=custom_features, config_id=config_id, **fields
        )
        return created

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=self.config.description or "",
            features=features(self.config.model, store_latents=self.config.store_latents),
            homepage=HOMEPAGE,
            license=LICENSE,
            citation=CITATION,
            version=self.config.version,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        del dl_manager
        if self.config.data_dir is None:
            raise ValueError("MMMIBuilder packs chunks and needs their folder as data_dir; mmmi_hf.generate does both")
        chunk_rows = ChunkStore.open(Path(self.config.data_dir)).chunk_rows
        return [
            datasets.SplitGenerator(name=split, gen_kwargs={"pieces": pieces(rows, chunk_rows)})
            for split, rows in self.config.split_rows.items()
        ]

    def _generate_tables(self, pieces: list[Piece]) -> Iterator[tuple[Key, pa.Table]]:
        store = ChunkStore.open(Path(self.config.data_dir))
        size = row_group_rows(self.info.features)
        for shard, (index, first, end) in enumerate(pieces):
            table = store.read(index)
            for number, start in enumerate(range(first, end, size)):
                rows = min(size, end - start)
                yield Key(shard, number), table.slice(start, rows)
                if self.on_rows is not None:
                    self.on_rows(rows)


def pieces(rows: range, chunk_rows: int) -> list[Piece]:
    """The parts of chunks that make up a range of rows."""
    return [
        (index, max(rows.start - index * chunk_rows, 0), min(rows.stop - index * chunk_rows, chunk_rows))
        for index in range(rows.start // chunk_rows, -(-rows.stop // chunk_rows))
    ]
