"""Tiers: read, planned, run by the command, beside committed results and those of others."""

import csv
import shutil
from fnmatch import fnmatchcase

import numpy as np
import pyarrow.parquet as pq
import pytest

import mmmi_hf
from mmmi_hf.benchmark import list_tiers
from mmmi_hf.benchmark.protocol.summary import summarize
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.tiers import tier as tiers
from mmmi_hf.benchmark.tiers.adopt import adopt
from mmmi_hf.benchmark.tiers.budget import budget_lines, cells_of, image_seconds
from mmmi_hf.benchmark.tiers.results import read_others, read_results, reference_results, table, write_results
from mmmi_hf.benchmark.tiers.tier import read_split, read_tier
from mmmi_hf.cli import main
from tests.benchmark.tiers.tiny import HEAD, placed

TINY = (
    HEAD
    + """\
    seeds: 2
    split: 40/20/40
    estimators: [cca, oracle-club, oracle-dv]
"""
)


@pytest.fixture
def tiny(tmp_path):
    """A tier of two small configurations, in the place of the package's."""
    with placed(tmp_path, TINY) as place:
        yield place


def run(*arguments):
    try:
        main(["benchmark", *map(str, arguments), "--quiet", "--no-plots", "--workers", "1"])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_tiers_of_the_package_can_be_made():
    assert list_tiers() == ["full", "isolated", "levels", "lite", "paper", "realism"]
    for name in list_tiers():
        tier = read_tier(name)
        assert tier.name == name
        for config in tier.configurations:
            made = tier.configuration(config)
            assert made.name == config
        for group in tier.groups:
            assert cells_of(tier, group) > 0
            assert "oracle-dv" in group.estimators, "the oracle is in every group"
            assert group.split is None or sum(read_split(group.split)) == 100
            configs = [name for name in tier.configurations if any(fnmatchcase(name, each) for each in group.configs)]
            assert group.train_rows or len({tier.configuration(name).rows for name in configs}) == 1, (
                "levels are compared at the same number of training rows"
            )
    lite = read_tier("lite")
    assert image_seconds(lite) == pytest.approx(3 * 2000 / 44)


def test_wrong_tiers_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="unknown tier 'tinny': did you mean"):
        read_tier("tinny")
    (tiny / "tier.yaml").write_text(TINY.replace("seeds: 2", "seeds: two"))
    with pytest.raises(ValueError, match=r"tier\.yaml: groups\[0\]\.seeds"):
        read_tier("tiny")
    with pytest.raises(ValueError, match=r"'50-50' is no split; write e\.g\. 50/10/40"):
        read_split("50-50")


def test_a_tier_is_run_and_continued(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--tier", "tiny", "--out", out) == 0
    first = capsys.readouterr().out
    assert max(map(len, first.splitlines())) <= 80
    assert "Numbers: I(x1; y), identity, whiten" in first
    assert "oracle-club↑" in first
    names = ("results.csv", "results.parquet", "numbers/results.csv", "numbers/summary.json")
    before = {name: (out / name).read_bytes() for name in names}
    rows = pq.read_table(out / "results.parquet").to_pylist()
    assert len(rows) == (2 + 1) * 2 * 3
    assert {row["versions"].count("torch") for row in rows} == {1}
    # killed in the middle: some cells and one configuration are missing
    for path in sorted((out / "numbers" / "cells").glob("*.json"))[::2]:
        path.unlink()
    shutil.rmtree(out / "data")
    assert run("--tier", "tiny", "--out", out) == 0
    again = capsys.readouterr().out
    assert {name: (out / name).read_bytes() for name in names} == before
    assert [line[:60] for line in again.splitlines()][:4] == [line[:60] for line in first.splitlines()][:4]


def test_committed_results_and_those_of_others_stand_beside(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--tier", "tiny", "--out", out) == 0
    shutil.copy(out / "results.csv", tiny / "reference.csv")
    bench = mmmi_hf.load_benchmark("tiny", out / "data")
    assert len(bench) == 6
    assert sorted({problem.truth for problem in bench}) == pytest.approx([0.0, 0.5, 1.5])
    answers = []
    for problem in bench:
        train, _, test = problem.rows()
        assert (len(train), len(test)) == (60, 60)
        r = np.corrcoef(test.a.sum(axis=1), test.b)[0, 1]
        says = None if problem.truth == 1.5 and problem.cell.settings["seed"] else -0.5 * np.log1p(-(r**2))
        answers.append(problem.answer("mine", says, None if says is None else says - 0.3))
    bench.write(tmp_path / "mine.csv", answers)
    capsys.readouterr()
    assert run("--tier", "tiny", "--out", out, "--estimators", "cca", "--results", tmp_path / "mine.csv") == 0
    lines = capsys.readouterr().out.splitlines()
    named = {line.split()[0]: line.split() for line in lines if line}
    assert max(map(len, lines)) <= 80
    assert named["cca"][1:3] == named["cca"][-2:], "the same cells, twice"
    assert named["oracle-club"][1] == "–", "not asked for, but committed"
    assert named["oracle-dv"][1] != "–", "the oracle is always there"
    told = named
    named_alike = [{**answer, "estimator": "oracle-club"} for answer in answers]
    bench.write(tmp_path / "other.csv", named_alike)
    assert run("--tier", "tiny", "--out", out, "--estimators", "cca", "--results", tmp_path / "other.csv") == 0
    named = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert named["other:oracle-cl"][-1] == "–", "the committed results are not those of who is called alike"
    assert named["oracle-club"][1] == "–"
    (mine,) = bench.summary(answers)
    assert (mine["cells"], mine["abstained"], mine["failed"]) == (3, 1, 0)
    assert told["mine"][1].replace("−", "-") == f"{mine['bias']['value']:.3f}"


def test_data_may_lie_elsewhere_and_plugins_join(tiny, tmp_path, capsys, forgotten):
    assert run("--tier", "tiny", "--out", tmp_path / "out") == 0
    plugin = tmp_path / "constant.py"
    plugin.write_text(
        "from mmmi_hf.benchmark import Estimator, Measured, register_estimator\n\n\n"
        '@register_estimator("constant")\nclass Constant(Estimator):\n'
        "    def learn(self, train, validation, seed):\n        return []\n\n"
        "    def measure(self, test):\n        return Measured(1.0, 0.1)\n"
    )
    capsys.readouterr()
    there = [tmp_path / "out" / "data", "--tier", "tiny", "--out", tmp_path / "more"]
    assert run(*there, "--estimators", "constant,ross", "--plugin", plugin) == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "more" / "data").exists()
    assert "constant " in printed
    assert "ross" not in printed, "these data have no labels"


def test_what_does_not_go_with_a_tier_is_refused(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    for arguments, says in (
        (("--tier", "tiny"), "give --out, a folder for the results"),
        (("--tier", "tiny", "--out", out, "--steps", 5), "--steps is fixed by the tier"),
        (("--tier", "tiny", "--out", out, "--split", "50/10/40"), "--split is fixed by the tier"),
        (("--tier", "tiny", "--out", out, "--configs", "small-0.5"), "--configs is fixed by the tier"),
        (("--tier", "tiny", "--out", out, "--seeds", 1), "--seeds is fixed by the tier"),
        (("--tier", "tiny", "--out", out, "--seeds", 2), "--seeds is fixed by the tier"),  # the default, but asked for
        (("--tier", "tiny", "--out", out, "--no-null"), "--null is fixed by the tier"),
        (("--tier", "tiny", "--out", out, "--set", "cca.x=1"), "--set is fixed by the tier"),
        (("--tier", "tiny", "--out", out, "--format", "table"), "--format is fixed by the tier"),
        (("data", "--out", out, "--results", "mine.csv"), "give --tier too"),
        (("--tier", "tiny", "--out", out, "--results", tmp_path / "no.csv"), "cannot be read"),
    ):
        assert run(*arguments) == 2, arguments
        assert says in capsys.readouterr().err
    with pytest.raises(ValueError, match="'tiny' are not on the Hub; give source=, a Hub id, or DIR/data after"):
        mmmi_hf.load_benchmark("tiny")
    assert run("--tier", "tiny", "--out", out) == 0
    (tiny / "tier.yaml").write_text(TINY.replace("  small-1.5:", "  small-2.5:"))
    read_tier.cache_clear()
    with pytest.raises(ValueError, match=r"has no configuration 'small-2.5', which the tier 'tiny' needs"):
        mmmi_hf.load_benchmark("tiny", out / "data")


def test_results_files_are_checked(tiny, tmp_path):
    path = tmp_path / "mine.csv"
    row = {"config": "c", "form": "float", "a": "x1", "b": "y", "estimator": "e", "seed": 0, "null": False}
    write_results(path, [{**row, "value": 0.25, "low": None, "high": 0.5}, {**row, "seed": 1, "value": None}])
    first, second = read_results(path)
    assert (first["value"], first["low"], first["high"], first["abstained"]) == (0.25, None, 0.5, False)
    assert second["abstained"]
    text = path.read_text()
    path.write_text(text.replace("0.25", "much"))
    with pytest.raises(ValueError, match="line 2: seed must be a whole number, null true or false"):
        read_results(path)
    path.write_text(text.replace("estimator", "name"))
    with pytest.raises(ValueError, match="has no column 'estimator'; it needs config, form"):
        read_results(path)
    assert reference_results(read_tier("tiny")) == []


def test_a_budget_is_printed_before_anything_is_made(tiny, tmp_path, capsys):
    (tiny / "costs.json").write_text('{"numbers": {"cca": 600.0, "oracle-dv": 0.5}}')
    assert run("--tier", "tiny", "--out", tmp_path / "out", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "out" / "data").exists()
    assert max(map(len, printed.splitlines())) <= 80
    (cca,) = (line.split() for line in printed.splitlines() if " cca " in line)
    assert cca == ["numbers", "cca", "6", "600.0", "s"]
    assert "1.00 h\n            without 1 that nobody measured" in printed
    assert budget_lines(read_tier("tiny"), ["cca"])[-1].split() == ["in", "all", "1.00", "h"]


def test_costs_are_carried_over_by_steps_until_a_group_is_tried_or_run(tiny):
    (tiny / "costs.json").write_text('{"numbers": {"cca": 2.0, "ba": 3.0}}')
    more = tiny.parent / "more"
    more.mkdir()
    group = "    costs_like: tiny/numbers\n    training: {steps: 4000}\n    estimators: [cca, ba]"
    (more / "tier.yaml").write_text(
        TINY.replace("name: tiny", "name: more").replace("    estimators: [cca, oracle-club, oracle-dv]", group)
    )
    lines = budget_lines(read_tier("more"))
    told = {line.split()[1]: line.split()[-3:] for line in lines if line.startswith("numbers     ")}
    assert told["cca"] == ["≈", "2.0", "s"], "it has no steps"
    assert told["ba"] == ["≈", "6.0", "s"], "twice the default's 2,000"
    tried = '{"numbers": {"cca": {"seconds": 5.0, "by_rows": true}}}'
    (more / "pilots.json").write_text(tried)
    lines = budget_lines(read_tier("more"))
    assert any(line.split()[1:] == ["cca", "6", "≈", "5.0", "s"] for line in lines), "of fewer rows"
    tried = '{"numbers": {"cca": {"seconds": 5.0}, "ba": {"seconds": 0.5, "steps": 100}}}'
    (more / "pilots.json").write_text(tried)
    lines = budget_lines(read_tier("more"))
    assert any(line.split()[1:] == ["cca", "6", "5.0", "s"] for line in lines), "a whole cell"
    assert any(line.split()[1:] == ["ba", "6", "≈", "20.0", "s"] for line in lines), "a cell of 100 steps"
    (more / "costs.json").write_text('{"numbers": {"cca": 7.0}}')
    lines = budget_lines(read_tier("more"))
    assert any(line.split()[1:] == ["cca", "6", "7.0", "s"] for line in lines)


def test_the_committed_results_are_of_the_tier():
    """Every row of a committed file answers a problem of today's tier, and is of today's code; every estimator of the
    tier is there."""
    for name in list_tiers():
        tier = read_tier(name)
        rows = reference_results(tier)
        if not rows:
            continue
        known = {estimator for group in tier.groups for estimator in group.estimators}
        assert {row["estimator"] for row in rows} == known, name
        assert {row["config"] for row in rows} <= set(tier.configurations), name
        with (tiers.folder_of(tier) / "reference.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                assert "mmmi-hf" in row["versions"]
                changed = int(row.get("code_revision") or 1) != estimator_class(row["estimator"]).code_revision
                assert not changed, f"{row['estimator']} has changed; run {name} anew and adopt it"


def test_the_table_is_narrow_whatever_stands_in_it():
    row = {"config": "c", "a": "x1", "b": "y", "n": 5, "series": "a" * 90, "truth": 1.0, "seed": 0, "null": False}
    wild = {**row, "estimator": "a-very-long-name-of-an-estimator", "value": -1234.5, "low": -2000.0, "high": 0.0}
    lines = table("T", summarize([wild]), summarize([wild]), {}, {})
    assert max(map(len, lines)) <= 80


def test_the_results_of_a_run_become_the_committed_ones(tiny, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"has no results\.parquet; run mmmi-hf benchmark --tier tiny --out"):
        adopt("tiny", out)
    assert run("--tier", "tiny", "--out", out) == 0
    assert [path.name for path in adopt("tiny", out)] == ["reference.csv", "costs.json"]
    rows = pq.read_table(out / "results.parquet").to_pylist()
    found = reference_results(read_tier("tiny"))
    assert [each["value"] for each in found] == [each["value"] for each in rows]
    assert set(tiers.costs(read_tier("tiny"))["numbers"]) == {"cca", "oracle-club", "oracle-dv"}
    with (tiny / "reference.csv").open(encoding="utf-8") as file:
        assert {row["code_revision"] for row in csv.DictReader(file)} == {"1"}
    monkeypatch.setattr(estimator_class("cca"), "code_revision", 2)
    assert run("--tier", "tiny", "--out", out) == 0
    adopt("tiny", out)
    with (tiny / "reference.csv").open(encoding="utf-8") as file:
        told = {row["estimator"]: row["code_revision"] for row in csv.DictReader(file)}
    assert told == {"cca": "2", "oracle-club": "1", "oracle-dv": "1"}
    assert len(list((out / "numbers" / "cells").glob("*.json"))) == 18 + 6, "those of cca were computed once more"


def test_damaged_and_foreign_results_are_refused(tiny, tmp_path):
    path, label = tmp_path / "mine.csv", read_tier("tiny").label
    row = {"config": "small-0.5", "form": "float", "a": "x1", "b": "y", "estimator": "cca", "seed": 0, "null": False}
    good = {**row, "tier": label, "group": "numbers", "value": 0.25, "low": 0.1, "high": 0.5}
    for wrong, says in (
        ([good, good], "line 3: 'cca' answers the problem of line 2 again"),
        ([{**good, "value": float("nan")}], "line 2: seed must be a whole number"),
        ([{**good, "value": float("inf")}], "line 2: value must be finite"),
        ([{**good, "low": 0.6}], "low is 0.6 and high 0.5; low must not be above high"),
    ):
        write_results(path, wrong)
        with pytest.raises(ValueError, match=says):
            read_results(path)
    write_results(path, [good])
    path.write_text(path.read_text().rsplit(",", 9)[0] + "\n")  # a line that was cut
    with pytest.raises(ValueError, match="line 2: seed must be a whole number"):
        read_results(path)
    write_results(path, [good])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())  # as spreadsheets save it
    assert read_results(path)[0]["value"] == 0.25
    (told,) = read_others(read_tier("tiny"), [path], ["cca"])
    assert told["estimator"] == "mine:cca", "the run's own estimator stays by itself"
    with pytest.raises(ValueError, match=r"'mine:cca' is in another file of that name"):
        read_others(read_tier("tiny"), [path, path], ["cca"])
    write_results(path, [{**good, "tier": "tiny 0.9.0"}])
    with pytest.raises(ValueError, match=r"is of tiny 0\.9\.0, expected tiny 1\.0\.0"):
        read_others(read_tier("tiny"), [path], [])


def test_data_of_other_rows_are_refused(tiny, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("--tier", "tiny", "--out", out) == 0
    (tiny / "tier.yaml").write_text(TINY.replace("seed: 2", "seed: 3"))
    read_tier.cache_clear()
    with pytest.raises(ValueError, match=r"'small-1\.5' has other rows: it is not that of tiny 1\.0\.0"):
        mmmi_hf.load_benchmark("tiny", out / "data")
    assert run("--tier", "tiny", "--out", out) == 2
    assert "other rows" in capsys.readouterr().err


def test_groups_of_the_same_problems_stay_apart(tiny, tmp_path):
    """Both groups have seed 0 of the same configurations, with other rows: an answer of one is none of the other."""
    more = "  - name: again\n    title: Again\n    configs: [small-*]\n    split: 60/20/20\n"
    more += "    estimators: [cca, oracle-dv]\n"
    (tiny / "tier.yaml").write_text(TINY + more)
    read_tier.cache_clear()
    out = tmp_path / "out"
    assert run("--tier", "tiny", "--out", out) == 0
    bench = mmmi_hf.load_benchmark("tiny", out / "data")
    answers = [each.answer("mine", each.truth + (0.5 if each.group == "again" else 0.0)) for each in bench]
    told = {row["group"]: row for row in bench.summary(answers)}
    assert told["numbers"]["bias"]["value"] == pytest.approx(0.0)
    assert told["again"]["bias"]["value"] == pytest.approx(0.5)
    assert (told["numbers"]["cells"], told["again"]["cells"]) == (4, 2)
