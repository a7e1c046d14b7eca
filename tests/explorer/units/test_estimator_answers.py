"""What the page says of results: order, a visitor's own, and files that are none."""

import json
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmmi_hf.benchmark.protocol.summary import RESULTS, summarize
from mmmi_hf.explorer.estimators import own
from mmmi_hf.explorer.estimators.answers import SORTS, compared, groups
from mmmi_hf.explorer.estimators.committed import COLUMNS, committed
from mmmi_hf.explorer.estimators.own import ResultsError, read_results
from tests.support import ROOT

BARE = next(iter(committed()))
KIND = next(iter(groups(committed()[BARE].rows)))


def cell(**fields):
    row = dict(committed()[BARE].rows[0], estimator="other")
    return row | fields


def names(table):
    return re.findall(r"<tr><td>([^<]+)</td>", table)


def test_what_comes_with_the_package_is_what_was_committed():
    for path in sorted((ROOT / "model_cards" / "benchmark").glob("*/results.json")):
        benchmark = committed()[path.parent.name.partition("-")[2].replace("-", " ")]
        rows = json.loads(path.read_text())
        assert len(rows) == len(benchmark.rows)
        for row, kept in zip(rows[::37], benchmark.rows[::37], strict=True):
            assert {name: row[name] for name in ("config", "seed", "null")} == {
                name: kept[name] for name in ("config", "seed", "null")
            }
            assert kept["truth"] == pytest.approx(row["truth"], rel=1e-5)
        again = {(each["estimator"], each["n"]): each["cells"] for each in summarize(rows[:0])}
        assert again == {}


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [False, True])
def test_tables_are_in_the_order_that_was_asked_for(sort, descending):
    table, pictures = compared(BARE, KIND, (), sort, descending, draw=False)
    assert pictures == ""
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", line) for line in table.split("<tr>")[2:]]
    values = [row[SORTS.index(sort)].replace("−", "-") for row in rows]
    if sort != "estimator":
        values = [float(value) for value in values if value != "–"]
    assert values == sorted(values, reverse=descending)
    assert len(rows) == len({row["estimator"] for row in committed()[BARE].rows})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing", KIND, (), "RMSE", False), "benchmark must be one of"),
        ((BARE, "nothing", (), "RMSE", False), "no such kind of data"),
        ((BARE, KIND, (), "colour", False), "the order must be by one of"),
        ((BARE, ["a"], (), "RMSE", False), "no such kind of data"),
    ],
)
def test_what_is_not_there_is_said(arguments, said):
    with pytest.raises(ValueError, match=said):
        compared(*arguments, draw=False)


def test_a_visitors_own_stand_beside(tmp_path):
    rows = [cell(seed=seed) for seed in range(3)]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rows))
    mine = read_results(path)
    assert not path.exists()
    table, pictures = compared(BARE, KIND, mine, "RMSE", False)
    assert "other (yours)" in names(table)
    assert pictures.count("<img") == 2


def test_parquet_is_read_too(tmp_path):
    row = cell(null=False) | {"settings": "{}", "details": "{}", "standard_error": 0.1}
    table = pa.Table.from_pylist([row], schema=RESULTS)
    pq.write_table(table, tmp_path / "results.parquet")
    (read,) = read_results(tmp_path / "results.parquet")
    assert read == {name: row[name] for name in COLUMNS}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"{]", "is no JSON"),
        ("a.json", b"{}", "holds no list"),
        ("a.json", b"[" * 100_000, "is no JSON"),
        ("a.json", b"[]", "no cells"),
        ("a.json", b"[1]", "cell 0 is no mapping"),
        ("a.json", b"[{}]", "cell 0 lacks config, series"),
        ("a.parquet", b"nothing", "is no Parquet"),
        ("a.json", json.dumps([cell(estimator="x" * 400)]).encode(), "estimator must be a text"),
        ("a.json", json.dumps([cell(n=-1)]).encode(), "n must be a whole number"),
        ("a.json", json.dumps([cell(truth=None)]).encode(), "truth must be a number of size 1,000,000,000 at most"),
        ("a.json", json.dumps([cell(value=float("inf"))]).encode(), "value must be a number of size"),
        ("a.json", json.dumps([cell(null=1)]).encode(), "null must be true or false"),
        ("a.json", json.dumps([cell(seed=10**400)]).encode(), "seed must be a whole number from 0 to 9,223"),
        ("a.json", json.dumps([cell(n=10**400)]).encode(), "n must be a whole number from 0 to 1,000,000,000"),
        ("a.json", json.dumps([cell(value=10**400)]).encode(), "value must be a number of size"),
        ("a.json", json.dumps([cell(truth=1.7e308)]).encode(), "truth must be a number of size"),
        ("a.json", json.dumps([cell(value=1.0, high=0.5)]).encode(), "value must lie between low and high"),
        ("a.json", json.dumps([cell(low=2.0, value=1.0)]).encode(), "value must lie between low and high"),
        ("a.json", json.dumps([cell(error={"a": 1})]).encode(), "error must be a text, or null"),
        ("a.json", json.dumps([cell(n=n) for n in range(101)]).encode(), "has 101 kinds of data; give at most 100"),
    ],
)
def test_a_file_that_is_none_is_refused_and_removed(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ResultsError, match=said):
        read_results(path)
    assert not path.exists()


READING = """
import re, sys
from pathlib import Path

from mmmi_hf.explorer.estimators.own import ResultsError, read_results

def most():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

before = most()
try:
    read_results(Path(sys.argv[1]))
except ResultsError as error:
    print(most() - before, error)
"""


def test_a_text_that_stands_once_in_a_file_does_not_fill_the_memory(tmp_path):
    """In a process of its own, whose peak is that of reading."""
    path = tmp_path / "results.parquet"
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), ["x" * 1_000_000])
    pq.write_table(pa.table({"config": long}), path)
    assert path.stat().st_size < own.MOST_RESULTS_BYTES
    read = subprocess.run([sys.executable, "-c", READING, path], capture_output=True, text=True, check=True)
    most, said = read.stdout.split(maxsplit=1)
    assert "config must be a text" in said
    print(f"{float(most):.0f} MiB for a text of 1 MB in 20,000 rows, which together are 20 GB")
    assert float(most) < 200.0


def test_there_are_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(own, "MOST_CELLS", 2)
    path = tmp_path / "results.json"
    path.write_text(json.dumps([cell()] * 3))
    with pytest.raises(ResultsError, match="has 3 cells; give at most 2"):
        read_results(path)
    pq.write_table(pa.table({"config": ["a"] * 3}), tmp_path / "results.parquet")
    with pytest.raises(ResultsError, match="has 3 cells; give at most 2"):
        read_results(tmp_path / "results.parquet")
    pq.write_table(pa.table({"config": ["a" * 400] * 2}), tmp_path / "results.parquet")
    with pytest.raises(ResultsError, match="config must be a text of at most 300 characters in every cell"):
        read_results(tmp_path / "results.parquet")
    pq.write_table(pa.table({"config": [["a"]] * 2}), tmp_path / "results.parquet")
    with pytest.raises(ResultsError, match="config is neither a text nor a number"):
        read_results(tmp_path / "results.parquet")
    monkeypatch.setattr(own, "MOST_UNPACKED_BYTES", 10)
    pq.write_table(pa.table({"config": ["a"] * 2}), tmp_path / "results.parquet")
    with pytest.raises(ResultsError, match="when it is unpacked"):
        read_results(tmp_path / "results.parquet")
    monkeypatch.setattr(own, "MOST_RESULTS_BYTES", 10)
    path.write_text(json.dumps([cell()]))
    with pytest.raises(ResultsError, match="has more than"):
        read_results(path)
