"""The protocol: which cells there are, that each is computed once, and that kills change nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from mmmi_hf.benchmark import Training, make_estimator
from mmmi_hf.benchmark.protocol.cells import (
    CellStore,
    Work,
    load_plugins,
    pairs_of,
    run_cell,
    run_cells,
    run_plan,
    software_versions,
)
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Plan, read_pairs
from mmmi_hf.benchmark.report.report import write_report
from mmmi_hf.common.locks import FolderInUseError
from mmmi_hf.hub.client.errors import DamagedFilesError

QUICK = Training(width=8, layers=1, embedding=4, batch_size=16, steps=20, evaluate_every=10)


def plan(folder, *names, **fields):
    estimators = {}
    for name in names or ("cca",):
        trained = {"training": QUICK} if name in ("dv", "infonce", "ba") else {}
        estimators[name] = make_estimator(name, **trained).settings
    fields = {"configs": ["level-*"], "pairs": [("x1", "y")], "seeds": 2} | fields
    return Plan(Source.open(str(folder)), estimators=estimators, **fields)


def test_seeds_get_disjoint_rows_and_a_null_goes_with_the_largest_truth(folder):
    cells = plan(folder, "cca", "dv").cells()
    assert len(cells) == len({cell.digest for cell in cells}) == (2 + 1) * 2 * 2
    assert {cell.settings["config"] for cell in cells if cell.settings["null"]} == {"level-1.2"}
    assert {cell.truth for cell in cells if cell.settings["null"]} == {0.0}
    assert {round(cell.truth, 9) for cell in cells if not cell.settings["null"]} == {0.4, 1.2}
    blocks = {cell.settings["seed"]: cell.settings["rows"] for cell in cells}
    assert blocks == {
        0: {"train": [0, 200], "validation": [0, 25], "test": [0, 25]},
        1: {"train": [200, 400], "validation": [25, 50], "test": [25, 50]},
    }
    smaller = plan(folder, train_rows=[50, 200]).cells()
    assert [c.settings["rows"]["train"] for c in smaller[:4]] == [[0, 50], [200, 250], [0, 200], [200, 400]]


def test_rows_may_be_cut_anew(folder):
    """500 rows, two seeds: each has 250 of its own, whichever split they were stored in."""
    cells = plan(folder, "cca", shares=(50, 10, 40), null=False, configs=["level-0.4"]).cells()
    assert [cell.settings["rows"] for cell in cells] == [
        {"train": [0, 125], "validation": [125, 150], "test": [150, 250]},
        {"train": [250, 375], "validation": [375, 400], "test": [400, 500]},
    ]
    source = Source.open(str(folder))
    pairs = pairs_of(source, cells[1], "test", exact=True)
    tables = [pq.read_table(path) for split in ("train", "validation", "test")
              for path in sorted((folder / "data" / "level-0.4").glob(f"{split}-*.parquet"))]  # fmt: skip
    y = np.concatenate([table["y"].to_numpy() for table in tables])
    assert pairs.b.tolist() == y[400:500].tolist(), "the train rows end at 400, the validation rows at 450"
    assert pairs.exact.densities().shape == (100,)
    with pytest.raises(ValueError, match="ends at row 500, asked for"):
        source.rows("level-0.4", "all", ["y"], range(490, 501))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"shares": (50, 10, 30)}, "split: 50/10/30 must be three shares of at least 1 with the sum 100"),
        ({"shares": (100, 0, 0)}, "split: 100/0/0 must be"),
        ({"shares": (90, 1, 9)}, "at least 20 are needed"),
        ({"forms": ("pixels",)}, "forms: expected some of float, latents, views, got pixels"),
        ({"forms": ()}, "forms: .* got none"),
    ],
)
def test_wrong_cuts_and_forms_are_refused(folder, fields, says):
    with pytest.raises(ValueError, match=says):
        plan(folder, "cca", **fields).cells()


def test_latents_stand_for_what_was_made_of_them(folder):
    """Of the identity they are the stored numbers themselves; the cells have names of their own."""
    cells = plan(folder, "cca", forms=("float", "latents"), null=False, configs=["level-1.2"], seeds=1).cells()
    assert [cell.series for cell in cells] == ["identity, whiten", "identity, whiten, latents"]
    assert len({cell.digest for cell in cells}) == 2
    source = Source.open(str(folder))
    stored, latents = (pairs_of(source, cell, "validation", exact=False) for cell in cells)
    assert stored.a == pytest.approx(latents.a, abs=1e-6)
    assert np.array_equal(stored.b, latents.b)


def test_that_an_estimator_cannot_say_is_an_answer(folder, tmp_path, forgotten):
    plugin = tmp_path / "shy.py"
    plugin.write_text(
        "from mmmi_hf.benchmark.estimator import CannotSayError, Estimator, register_estimator\n\n\n"
        '@register_estimator("shy")\nclass Shy(Estimator):\n'
        "    def learn(self, train, validation, seed):\n        return []\n\n"
        '    def measure(self, test):\n        raise CannotSayError("too many coordinates")\n'
    )
    load_plugins([str(plugin)])
    asked = plan(folder, "shy", configs=["level-1.2"], null=False, seeds=1, plugins=(str(plugin),))
    (record,) = run_plan(asked, tmp_path, workers=1, progress=False)
    assert record["result"] == {"value": None, "error": "too many coordinates", "abstained": True}
    (kept,) = (tmp_path / "cells").glob("*.json")
    time_of = kept.stat().st_mtime_ns
    run_plan(asked, tmp_path, workers=1, progress=False)
    assert kept.stat().st_mtime_ns == time_of, "it is not tried again, as what failed is"
    assert write_report(asked, [record], tmp_path, command="c", plots=False)[0]["abstained"] == 1


def test_rows_are_those_of_the_dataset(folder):
    cell = plan(folder).cells()[-1]
    assert cell.settings["null"]
    assert cell.settings["seed"] == 1
    source = Source.open(str(folder))
    pairs = pairs_of(source, cell, "test", exact=True)
    table = pq.read_table(folder / "data" / "level-1.2" / "test-00000-of-00001.parquet").to_pydict()
    assert pairs.b.tolist() == table["y"][25:50]
    assert np.array_equal(pairs.a, np.array(table["x1"][25:50], dtype=np.float32))
    known = pairs.exact.densities()
    assert known == pytest.approx(table["pmi_x1_y"][25:50])
    statistic, _ = pairs.exact.sufficient()
    assert np.corrcoef(statistic[:, 0], pairs.b)[0, 1] > 0.8
    again = pairs.deranged(0)
    assert not np.any(again.b == pairs.b)
    assert sorted(again.b) == sorted(pairs.b)


def test_notes_say_where_levels_share_a_seed(folder):
    assert plan(folder).notes() == []
    (note,) = plan(folder, configs=["*"]).notes()
    assert "level-1.2, shared were generated with the same seed 2" in note


def test_wrong_requests_are_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = [
        (lambda: plan(folder, configs=["lvel-0.4"]).cells(), "did you mean level-0.4"),
        (lambda: plan(folder, configs=["zzz"]).cells(), "it holds level-0.4"),
        (lambda: plan(folder, pairs=[("x1", "x3")]).cells(), "has no block 'x3'; it has x1, x2, y"),
        (lambda: plan(folder, seeds=0).cells(), "seeds must be a whole number of at least 1"),
        (lambda: plan(folder, seeds=5).cells(), "50 validation rows: 10 for each of 5 seeds"),
        (lambda: plan(folder, train_rows=[201]).cells(), "must lie between 20 and 200"),
        (lambda: read_pairs("x1-y"), "is no pair"),
        (lambda: Source.open(str(tmp_path / "empty")), "holds no dataset of ours"),
        (lambda: Source.open(str(folder), "v1"), "must be None for a folder"),
        (lambda: Source.open("no/such-repository"), "has no release in the cache"),
        (lambda: Source.open("nowhere"), "there is no folder 'nowhere'"),
        (lambda: load_plugins(["no_such_module_of_ours"]), "cannot be imported"),
        (lambda: load_plugins(["nowhere.py"]), "is not there"),
        (lambda: Source.open(str(folder)).truth("level-0.4", "x1", "x9"), r"no I\(x1;x9\); it has I\(x1;y\)"),
        (lambda: Source.open(str(folder)).rows("level-0.4", "test", ["y"], range(45, 55)), "ends at row 50"),
    ]
    for call, match in cases:
        with pytest.raises(ValueError, match=match) as caught:
            call()
        assert "\n" not in str(caught.value)
    assert read_pairs("y:x1, x1:x2,x1:y") == [("x1", "y"), ("x1", "x2")]


def test_a_damaged_file_is_not_read(folder, tmp_path):
    copied = Path(shutil.copytree(folder, tmp_path / "data"))
    (path,) = (copied / "data" / "level-0.4").glob("validation-*")
    path.write_bytes(path.read_bytes().replace(b"PAR1", b"PAR2", 1))
    with pytest.raises(DamagedFilesError, match="is damaged"):
        Source.open(str(copied)).rows("level-0.4", "validation", ["y"], range(2))


def test_a_seed_reproduces_a_cell_exactly(folder):
    asked = plan(folder, "dv", configs=["level-1.2"], null=False)
    one, other = asked.cells()
    first = run_cell(asked.source, one)
    assert run_cell(asked.source, one) == first
    assert run_cell(asked.source, other)["value"] != first["value"]
    assert json.loads(json.dumps(first)) == first


def test_an_estimator_that_cannot_answer_is_recorded(folder):
    asked = plan(folder, "oracle-ksg", configs=["shared"], pairs=[("x1", "x2")], null=False)
    result = run_cell(asked.source, asked.cells()[0])
    assert result["value"] is None
    assert "share a vector source" in result["error"]


def test_finished_cells_are_kept_and_damaged_ones_made_again(folder, tmp_path):
    asked = plan(folder, "cca", "pca-ksg")
    first = run_plan(asked, tmp_path, workers=1, progress=False)
    store, cells = CellStore(tmp_path), asked.cells()
    times = {path.name: path.stat().st_mtime_ns for path in store.folder.glob("*.json")}
    damaged = store.folder / f"{cells[3].digest}.json"
    damaged.write_text(damaged.read_text()[:50])
    second = run_plan(asked, tmp_path, workers=1, progress=False)
    changed = [p.name for p in store.folder.glob("*.json") if p.stat().st_mtime_ns != times[p.name]]
    assert changed == [damaged.name]
    assert [r["result"] for r in first] == [r["result"] for r in second]
    times = {path.name: path.stat().st_mtime_ns for path in store.folder.glob("*.json")}
    more = plan(folder, "cca", "pca-ksg", "ksg")
    assert len(run_plan(more, tmp_path, workers=1, progress=False)) == len(more.cells())
    assert all(times[p.name] == p.stat().st_mtime_ns for p in store.folder.glob("*.json") if p.name in times)
    with store.locked(), pytest.raises(FolderInUseError, match="another run is writing"):
        run_plan(asked, tmp_path, workers=1, progress=False)


def test_what_failed_is_tried_again_and_a_kill_loses_nothing(folder, tmp_path):
    asked = plan(folder, "cca")
    cells, fails, computed = asked.cells(), {0, 1}, []

    def compute(source, cell):
        if len(computed) == stop:
            raise KeyboardInterrupt
        place = cells.index(cell)
        computed.append(place)
        return {"value": None, "error": "no"} if place in fails else {"value": float(place)}

    def run():
        computed.clear()
        return run_cells(Work(asked.source, compute), cells, tmp_path, workers=1, progress=False)

    stop = None
    first = run()
    assert computed == list(range(len(cells)))
    assert [record["result"] for record in run()] == [record["result"] for record in first]
    assert computed == [0, 1], "what has a value is kept"
    fails, stop = set(), 1
    with pytest.raises(KeyboardInterrupt):
        run()
    kept = [CellStore(tmp_path).read(cell)["result"] for cell in cells]
    assert kept[:2] == [{"value": 0.0}, {"value": None, "error": "no"}]
    assert kept[2:] == [record["result"] for record in first[2:]]
    stop = None
    assert [record["result"]["value"] for record in run()] == [float(place) for place in range(len(cells))]
    assert computed == [1]


def test_a_kept_cell_says_which_software_computed_it_or_is_computed_again(folder, tmp_path, monkeypatch):
    asked = plan(folder, "cca", seeds=1)
    records = run_plan(asked, tmp_path, workers=1, progress=False)
    assert {"mmmi-hf", "torch", "numpy", "scipy", "datasets"} == set(records[0]["versions"])
    assert all(record["versions"] == software_versions() for record in records)
    older, oldest = (CellStore(tmp_path).folder / f"{cell.digest}.json" for cell in asked.cells()[:2])
    content = json.loads(oldest.read_text())
    del content["versions"]
    oldest.write_text(json.dumps(content))
    older.write_text(older.read_text().replace(np.__version__, "1.2.3"))
    first, second, third = run_plan(asked, tmp_path, workers=1, progress=False)
    assert first["versions"] == software_versions() | {"numpy": "1.2.3"}
    assert second["versions"] == software_versions()
    assert third == records[2]
    write_report(asked, [first, second, third], tmp_path, command="test", plots=False)
    shown = json.loads((tmp_path / "benchmark.json").read_text())["versions"]
    assert shown == software_versions() | {"numpy": " or ".join(sorted(("1.2.3", np.__version__)))}


def test_a_cell_is_computed_on_one_thread(folder):
    asked = plan(folder, "cca", seeds=1, null=False)

    def seen(source, cell):
        pools = [library["num_threads"] for library in threadpool_info()]
        return {"pools": pools, "torch": torch.get_num_threads()}

    before = torch.get_num_threads()
    with threadpool_limits(limits=2):
        torch.set_num_threads(2)
        outside = seen(None, None)
        result, _ = Work(asked.source, seen).timed(asked.cells()[0])
        assert seen(None, None) == outside, "the setting is restored"
    torch.set_num_threads(before)
    assert set(outside["pools"]) == {outside["torch"]} == {2}
    assert set(result["pools"]) == {result["torch"]} == {1}


PROGRAM = """\
import sys
from pathlib import Path

from mmmi_hf.benchmark import Training, make_estimator
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Plan
from mmmi_hf.benchmark.protocol.cells import run_plan
from mmmi_hf.benchmark.report.report import write_report
from mmmi_hf.common.failures import FolderInUseError


def run(folder, out, workers):
    recipe = Training(width=8, layers=1, embedding=4, batch_size=16, steps=40, evaluate_every=10)
    estimators = {n: make_estimator(n, training=recipe).settings for n in ("dv", "infonce")}
    estimators["cca"] = make_estimator("cca").settings
    plan = Plan(Source.open(folder), ["level-*"], [("x1", "y")], estimators)
    records = run_plan(plan, Path(out), workers=workers, progress=False)
    write_report(plan, records, Path(out), command="test", plots=False)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""
REPORT = ("results.parquet", "results.json", "summary.json", "table.md")


def in_a_fork(folder, out, workers, program):
    """A run in a child that need not import everything again."""
    names = {}
    exec(compile(program.read_text(), str(program), "exec"), names)
    child = get_context("fork").Process(target=names["run"], args=(str(folder), str(out), workers))
    child.start()
    return child.pid, child.is_alive, lambda: (child.join(), child.exitcode)[1]


def in_a_process(folder, out, workers, program):
    """A run as a user starts it."""
    child = subprocess.Popen([sys.executable, str(program), str(folder), str(out), str(workers)])
    return child.pid, lambda: child.poll() is None, child.wait


@pytest.mark.parametrize(
    ("start", "workers", "kills"), [(in_a_fork, 1, 2), pytest.param(in_a_process, 2, 6, marks=pytest.mark.slow)]
)
def test_killed_at_random_it_ends_with_the_same_table(folder, tmp_path, start, workers, kills):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    generator, seen = np.random.default_rng(0), {}
    for _ in range(kills):
        pid, alive, wait = start(folder, killed, workers, program)
        wanted = len(seen) + int(generator.integers(1, 4))
        while len(list(killed.glob("cells/*.json"))) < wanted and alive():
            time.sleep(0.01)
        time.sleep(float(generator.uniform(0, 0.02)))
        os.kill(pid, signal.SIGKILL)
        wait()
        now = {p.name: p.stat().st_mtime_ns for p in killed.glob("cells/*.json")}
        assert {name: now[name] for name in seen} == seen, "nothing that was finished is repeated"
        seen = now
    assert seen
    for out in (killed, whole):
        assert start(folder, out, workers, program)[2]() == 0
    assert {p.name: p.stat().st_mtime_ns for p in killed.glob("cells/*.json") if p.name in seen} == seen
    for name in REPORT:
        assert (killed / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.usefixtures("forgotten")
def test_ones_own_estimator_is_registered_in_a_few_lines(folder, tmp_path):
    plugin = tmp_path / "constant.py"
    plugin.write_text(
        "from mmmi_hf.benchmark import Estimator, Measured, register_estimator\n\n\n"
        '@register_estimator("constant")\nclass Constant(Estimator):\n'
        "    def learn(self, train, validation, seed):\n        return []\n\n"
        "    def measure(self, test):\n        return Measured(0.5)\n"
    )
    load_plugins([str(plugin)])
    records = run_plan(plan(folder, "constant"), tmp_path, workers=1, progress=False)
    assert {record["result"]["value"] for record in records} == {0.5}
    summary = write_report(plan(folder, "constant"), records, tmp_path, command="test", plots=False)
    assert summary[0]["bias"]["value"] == pytest.approx(0.5 - 0.8)
    assert summary[0]["correlation"] is None, "a constant has no correlation"


def test_pictures_and_drafts_of_an_earlier_command_do_not_stay(folder, tmp_path):
    asked = plan(folder, "cca", seeds=1)
    records = run_plan(asked, tmp_path, workers=1, progress=False)
    write_report(asked, records, tmp_path, command="test")
    written = {path.name for kind in ("plots", "eval_results") for path in (tmp_path / kind).iterdir()}
    assert "cca.yaml" in written
    for stale in ("plots/truth-of-other-data.png", "eval_results/dv.yaml"):
        (tmp_path / stale).write_text("old")
    write_report(asked, records, tmp_path, command="test")
    assert {path.name for kind in ("plots", "eval_results") for path in (tmp_path / kind).iterdir()} == written
    write_report(asked, records, tmp_path, command="test", plots=False)
    assert list((tmp_path / "plots").iterdir()) == []
    assert "held-out rows" in (tmp_path / "eval_results/cca.yaml").read_text()
    seen = Plan(asked.source, ["level-*"], [("x1", "y")], {"dv": {"estimator": "dv", "training": {"split": False}}})
    write_report(
        seen,
        [{**r, "settings": {**r["settings"], "estimator": {"estimator": "dv"}}} for r in records],
        tmp_path,
        command="t",
    )
    assert "the training rows themselves" in (tmp_path / "eval_results/dv.yaml").read_text()
