"""The stored Parquet: encodings, row groups, shards, and the same bytes however the rows arrive."""

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmmi_hf.causal import common_cause
from mmmi_hf.common.files import UnusableFileError
from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.format.parquet import (
    MOST_FOOTER,
    group_rows,
    open_parquet,
    parquet_options,
    regrouped,
    rows_at_once,
    write_shard,
)
from mmmi_hf.dataset.format.reading import DataFile, batches
from mmmi_hf.dataset.format.schema import features, row_bytes, to_table
from mmmi_hf.dataset.format.views import View
from tests.support import generate


def rows_of(count, shape=(3, 16, 16), seed=0):
    """Noise in every column: what compresses worst."""
    generator = np.random.default_rng(seed)
    view = View(kind="image", half_range=2.0)
    wanted = features(common_cause(shape, mi=1.0), {"x1": view, "x2": view})
    columns = {name: generator.standard_normal(count) for name in wanted}
    columns["row"] = np.arange(count)
    for name in ("x1", "x2"):
        columns[name] = generator.standard_normal((count, *shape)).astype(np.float32)
        columns[f"{name}_image"] = view.stored.shown(columns[name], view)
    return to_table(columns, wanted), wanted


def test_encodings_and_row_groups_of_a_file(tmp_path):
    table, wanted = rows_of(400)
    size = row_bytes(wanted)
    path = tmp_path / "rows.parquet"
    lengths = [group_rows(size)] * (400 // group_rows(size)) + [400 % group_rows(size)]
    written = write_shard(path, table.schema, regrouped([table], lengths))
    assert written == pytest.approx(table.nbytes, rel=0.02)
    file = pq.ParquetFile(path)
    assert file.metadata.num_row_groups == len(lengths) > 2
    for index in range(len(lengths)):
        group = file.metadata.row_group(index)
        assert group.num_rows == lengths[index]
        assert group.total_byte_size <= parquet.ROW_GROUP_BYTES
        for column in map(group.column, range(group.num_columns)):
            assert column.has_offset_index
            if column.physical_type == "BYTE_ARRAY":
                assert (column.compression, column.is_stats_set) == ("UNCOMPRESSED", False)
                continue
            assert column.compression == "ZSTD"
            assert "RLE_DICTIONARY" not in column.encodings
            if column.physical_type in ("FLOAT", "DOUBLE"):
                assert "BYTE_STREAM_SPLIT" in column.encodings
            assert column.is_stats_set == (column.path_in_schema in wanted)
    assert datasets.Features.from_arrow_schema(file.schema_arrow) == wanted
    assert file.read().equals(table)


def test_an_upper_estimate_of_a_row(tmp_path):
    table, wanted = rows_of(100, shape=(1, 5, 7))
    assert row_bytes(wanted) >= table.nbytes / 100


def test_the_bytes_do_not_depend_on_how_the_rows_arrive(tmp_path):
    table, _ = rows_of(50)
    for name, tables in (("one", [table]), ("many", [table.slice(start, 7) for start in range(0, 50, 7)])):
        write_shard(tmp_path / name, table.schema, regrouped(tables, [20, 20, 10]))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()


def test_too_few_rows_are_noticed():
    table = pa.table({"row": [1, 2, 3]})
    with pytest.raises(ValueError, match="4 rows were to come, 3 came"):
        list(regrouped([table], [4]))


def test_flat_columns_have_options_too():
    options = parquet_options(pa.schema([("row", pa.int64()), ("y", pa.float64()), ("flag", pa.bool_())]))
    assert options["column_encoding"] == {"row": "DELTA_BINARY_PACKED", "y": "BYTE_STREAM_SPLIT", "flag": "PLAIN"}
    assert options["write_statistics"] == ["row", "y", "flag"]


def test_many_shards_load_as_one_split(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr("mmmi_hf.dataset.generation.shards.SMALLEST_BYTES", 20_000)
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 10_000)
    folder = generate(small_config, tmp_path / "out").folder
    assert len(list((folder / "data/small").glob("train-*-of-*.parquet"))) > 3
    rows = datasets.load_dataset(str(folder), "small", split="train")
    assert rows["row"] == list(range(120))
    stream = datasets.load_dataset(str(folder), "small", split="train", streaming=True, columns=["y"])
    assert [row["y"] for row in stream] == rows["y"]


def test_a_file_that_others_made_is_opened_within_bounds(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"x": pa.array(np.zeros((4, 3)).tolist(), pa.list_(pa.float64(), 3)), "y": ["a"] * 4}), path
    )
    with open_parquet(path) as file:
        assert file.read().num_rows == 4
        assert rows_at_once(file, 256) == 256
    with pytest.raises(UnusableFileError, match=r"has a row group of .* bytes in memory, expected at most 100"):
        open_parquet(path, most=100)
    for content in (b"", b"PAR1", b"PAR1" * 8, path.read_bytes()[:-9]):
        path.write_bytes(content)
        with pytest.raises(UnusableFileError, match=r"is no Parquet file|has a footer"):
            open_parquet(path)
    path.write_bytes(b"PAR1" + (MOST_FOOTER + 1).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(UnusableFileError, match="has a footer of"):
        open_parquet(path)
    with pytest.raises(UnusableFileError, match="is a folder"):
        open_parquet(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_parquet(tmp_path / "absent")


def test_what_decodes_to_more_than_it_says_is_refused(tmp_path):
    """A few hundred bytes of a file that become a thousand times as many, or more."""
    zeros = pa.array(np.zeros(3_000_000, np.float32))
    bombs = {
        "rows": (pa.table({"x": zeros}), {"row_group_size": 3_000_000}),
        "list": (pa.table({"x": pa.ListArray.from_arrays(pa.array([0, len(zeros)], pa.int32()), zeros)}), {}),
        "text": (pa.table({"x": ["a" * 100_000] * 300}), {}),
        "prefix": (
            pa.table({"x": ["a" * 100_000] * 300}),
            {"use_dictionary": False, "column_encoding": {"x": "DELTA_BYTE_ARRAY"}},
        ),
    }
    for name, (table, options) in bombs.items():
        pq.write_table(table, tmp_path / name, compression="zstd", **options)
        assert (tmp_path / name).stat().st_size < 200_000
        before = pa.total_allocated_bytes()
        with pytest.raises(UnusableFileError, match="has a row group of"):
            open_parquet(tmp_path / name, most=16 << 20)
        assert pa.total_allocated_bytes() - before < 1_000_000


def test_large_rows_are_decoded_a_few_at_a_time(tmp_path):
    values = pa.array(np.zeros(8 * 3_000_000, np.float32))
    rows = pa.FixedSizeListArray.from_arrays(values, 3_000_000)
    pq.write_table(pa.table({"x": rows}), tmp_path / "a.parquet", row_group_size=8)
    with open_parquet(tmp_path / "a.parquet") as file:
        assert rows_at_once(file, 1024) == 2
    assert [(at, len(batch)) for at, batch in batches([DataFile("a", tmp_path / "a.parquet")])] == [
        (0, 2),
        (2, 2),
        (4, 2),
        (6, 2),
    ]


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([("y", pa.float64()), ("x", pa.float32()), ("y", pa.float64())]),
        pa.schema([("x", pa.struct([pa.field("bytes", pa.binary()), pa.field("bytes", pa.binary())]))]),
        pa.schema([("x", pa.list_(pa.struct([pa.field("a", pa.int8()), pa.field("a", pa.int8())])))]),
    ],
)
def test_a_name_that_stands_twice_is_refused_before_anything_is_read(schema, tmp_path):
    pq.write_table(schema.empty_table(), tmp_path / "twice.parquet")
    with pytest.raises(UnusableFileError, match="two columns of the name"):
        open_parquet(tmp_path / "twice.parquet")
