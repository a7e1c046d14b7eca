"""MMMIBuilder: packs finished chunks into Parquet splits. It computes nothing.

Owns the step from chunks to Parquet by way of `datasets`. The module's name is the builder's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets.builder import Key
from datasets.utils.py_utils import convert_file_size_to_int

from mmmi_hf.dataset.format.parquet import SHARD_BYTES, group_rows, regrouped, shard_lengths, write_shard
from mmmi_hf.dataset.format.schema import features, row_bytes
from mmmi_hf.dataset.generation.chunks import ChunkStore
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.credits import CITATION, HOMEPAGE, LICENSE
from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations

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
        for shard, (index, first, end) in enumerate(pieces):
            yield Key(shard, 0), store.read(index, end).slice(first, end - first)

    def _prepare_split(
        self,
        split_generator: datasets.SplitGenerator,
        file_format: str = "arrow",
        num_proc: int | None = None,
        max_shard_size: str | int | None = None,
    ) -> None:
        """As in `datasets`, and Parquet with encodings for these columns, which its own writer does not offer."""
        if file_format != "parquet":
            super()._prepare_split(split_generator, file_format, num_proc, max_shard_size)
            return
        schema, size = self.info.features.arrow_schema, row_bytes(self.info.features)
        most = convert_file_size_to_int(max_shard_size) if max_shard_size is not None else SHARD_BYTES
        lengths = shard_lengths(len(self.config.split_rows[split_generator.name]), size, most=most)
        groups = group_rows(size)
        tables = (table for _, table in self._generate_tables(**split_generator.gen_kwargs))
        stream = regrouped(tables, [rows for length in lengths for rows in _groups(length, groups)])
        info, prefix = split_generator.split_info, f"{self.dataset_name}-{split_generator.name}"
        info.num_bytes = 0
        for number, length in enumerate(lengths):
            path = Path(self._output_dir) / f"{prefix}-{number:05d}-of-{len(lengths):05d}.parquet"
            info.num_bytes += write_shard(path, schema, self._watched(islice(stream, -(-length // groups))))
        info.num_examples, info.shard_lengths = sum(lengths), lengths

    def _watched(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            yield table
            if self.on_rows is not None:
                self.on_rows(table.num_rows)


def _groups(length: int, size: int) -> list[int]:
    """Rows of each row group of a file."""
    return [min(size, length - start) for start in range(0, length, size)]


def pieces(rows: range, chunk_rows: int) -> list[Piece]:
    """The parts of chunks that make up a range of rows."""
    return [
        (index, max(rows.start - index * chunk_rows, 0), min(rows.stop - index * chunk_rows, chunk_rows))
        for index in range(rows.start // chunk_rows, -(-rows.stop // chunk_rows))
    ]
