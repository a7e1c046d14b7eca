"""MMMIBuilder: the rows of `generate` by way of `datasets`."""

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mmmi_hf
from mmmi_hf.dataset.generation.rows import make_rows
from mmmi_hf.dataset.releases.configuration import ConfigurationError
from tests.networks import tiny_flow


def rows_of(folder, split):
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob(f"*{split}*.parquet"))])


@pytest.mark.parametrize("num_proc", [None, 2])
def test_parquet_has_the_rows_of_generate(tmp_path, num_proc):
    builder = mmmi_hf.MMMIBuilder("common-cause-1.0", str(tmp_path / "cache"), rows=64, pipeline="identity")
    builder.download_and_prepare(str(tmp_path / "out"), file_format="parquet", num_proc=num_proc)
    config = mmmi_hf.get_configuration("common-cause-1.0", rows=64, pipeline="identity")
    folder = mmmi_hf.generate(config, tmp_path / "generated", certify=False, figures=False, progress=False).folder
    for split, rows in config.split_rows.items():
        found = rows_of(tmp_path / "out", split)
        assert found.equals(make_rows(config, rows.start, rows.stop))
        assert found.equals(rows_of(folder / "data/common-cause-1.0", split))
    assert builder.info.features == datasets.Features.from_arrow_schema(found.schema)


def test_arrow_gives_a_dataset(small_config, tmp_path):
    builder = mmmi_hf.MMMIBuilder(small_config, str(tmp_path / "cache"), rows=70, store_latents=True, seed=3)
    builder.download_and_prepare()
    data = builder.as_dataset()
    assert data.num_rows == {"train": 56, "validation": 7, "test": 7}
    assert data["test"]["row"] == list(range(63, 70))
    wanted = make_rows(small_config.replace(seed=3, store_latents=True), 0, 56)
    assert data["train"].with_format("arrow")[:].combine_chunks().equals(wanted.combine_chunks())
    info = data["train"].info
    assert (info.description, info.license) == ("A small test configuration.", "apache-2.0")
    assert "2510.21686" in info.citation


def test_what_lies_in_the_cache_is_told_apart_by_pipeline_and_rows(small_config, tmp_path):
    """`datasets` returns what it finds under an id."""
    ids = {mmmi_hf.MMMIBuilder(small_config, rows=rows).config_id for rows in (3, 4)}
    for steps in (1, 2):
        tiny_flow(num_inference_steps=steps).save_pretrained(tmp_path / "pipeline")
        config = small_config.with_pipeline(str(tmp_path / "pipeline"))
        labelled = tuple(mmmi_hf.Modality(each.pipeline, 1) for each in config.modalities)
        ids.add(mmmi_hf.MMMIBuilder(config.replace(modalities=labelled)).config_id)
    assert len(ids) == 4


def test_names_that_are_mistyped():
    with pytest.raises(
        ConfigurationError, match=r"unknown configuration 'comon-cause-1\.0': did you mean common-cause-1\.0"
    ):
        mmmi_hf.MMMIBuilder("comon-cause-1.0")
    with pytest.raises(ConfigurationError, match="no-such-pipeline"):
        mmmi_hf.MMMIBuilder("common-cause-1.0", pipeline="no-such-pipeline")
