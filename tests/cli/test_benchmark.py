"""`mmmi-hf benchmark`: output, files, continuation, refusals."""

import doctest
import json
import re

import pyarrow.parquet as pq
import pytest

from mmmi_hf import common_cause
from mmmi_hf.benchmark import register_estimator
from mmmi_hf.benchmark.report.card import benchmark_card
from tests.support import ROOT, bare, generate

TUTORIAL = (ROOT / "model_cards" / "benchmark" / "tutorial.md").read_text(encoding="utf-8")
KSG = ("--estimators", "ksg")
QUICK = ("--steps", "5", "--width", "8", "--batch-size", "16", "--seeds", "1", "--workers", "1", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "data"
    for seed, level in enumerate((0.5, 1.0)):
        generate(bare(f"level-{level}", common_cause((1, 3, 3), mi=level), rows=240, seed=seed), out)
    return out


def test_it_leaves_tables_plots_and_drafts(run, folder, tmp_path):
    names = "--estimators", "dv,cca,oracle-dv"
    curves = "--train-rows", "192,100,192"
    asked = ("benchmark", folder, "--out", tmp_path, "--pairs", "x1:x2", *names, *curves, *QUICK)
    code, out, err = run(*asked)
    assert (code, err) == (0, "")
    assert out.count("cca") == 2
    table = pq.read_table(tmp_path / "results.parquet")
    assert table.num_rows == 3 * 3 * 2
    assert json.loads((tmp_path / "results.json").read_text()) == table.to_pylist()
    assert "| oracle-dv |" in (tmp_path / "table.md").read_text()
    plots = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert plots == [f"{kind}-identity-whiten-x1-x2.png" for kind in ("bias", "curves", "truth")]
    draft = (tmp_path / "eval_results" / "cca.yaml").read_text()
    assert draft.startswith("# Draft")
    assert "task_id: x1_x2_identity-whiten_n192_rmse" in draft
    about = json.loads((tmp_path / "benchmark.json").read_text())
    assert about["estimators"]["dv"]["training"]["steps"] == 5
    assert set(about["configurations"]) == {"level-0.5", "level-1.0"}
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, _ = run(*asked, "--format", "json")
    assert code == 0
    assert json.loads(out)["estimators"] == json.loads((tmp_path / "summary.json").read_text())
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed <= {"benchmark.json"}, "the command differs, nothing else"


def test_downstream_tasks(run, folder, tmp_path):
    code, out, _ = run("benchmark", folder, "--out", tmp_path, "--task", "regression,ssl", *QUICK)
    assert code == 0
    assert "contrastive" in out
    for kind in ("regression", "ssl"):
        for name in ("results.parquet", "results.json", "summary.json", "table.md", "benchmark.json"):
            assert (tmp_path / kind / name).is_file()
        lines = (tmp_path / kind / "results.csv").read_text().splitlines()
        assert len(lines) == 1 + pq.read_table(tmp_path / kind / "results.parquet").num_rows
        assert len(list((tmp_path / kind / "plots").iterdir())) == 1
        assert json.loads((tmp_path / kind / "benchmark.json").read_text())["training"]["steps"] == 5
    text = benchmark_card(tmp_path)
    assert "## Regression of y" in text
    assert "## Self-supervised learning" in text


def test_probes_are_a_table_of_80_columns(run, folder, tmp_path):
    quick = (*QUICK, "--embedding", 3)
    code, out, _ = run("benchmark", folder, "--configs", "level-*", "--out", tmp_path, "--task", "ssl", *quick)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    headings = out.splitlines()[0].split()
    assert headings == ["R²", "contrastive", "vicreg", "masked", "untrained", "raw", "supervised", "ceiling"]
    assert "By a linear probe of y on x1. Standard errors are at most 0." in " ".join(out.split())
    about = json.loads((tmp_path / "ssl" / "benchmark.json").read_text())
    assert about["training"]["embedding"] == 3
    assert about["notes"] == []
    assert about["same_laws"] == []
    text = benchmark_card(tmp_path)
    assert "| R² | I(x1; x2) | I(x2; y) | at y | contrastive |" in text


def test_what_failed_is_said_and_counted(run, folder, tmp_path):
    wild = ("--learning-rate", "1e30", "--configs", "level-1.0", "--out", tmp_path)
    code, out, err = run("benchmark", folder, *wild, "--task", "regression", *QUICK)
    assert code == 0
    assert "note: level-1.0 regression x1 seed 0: no value: the loss is" in err
    assert f"note: without a value: 6 cells in all; {tmp_path / 'regression' / 'results.json'} has the reasons" in err
    assert out.count("0 (1 failed)") == 6
    kinds = pq.read_schema(tmp_path / "regression/results.parquet")
    assert run("benchmark", folder, "--configs", "*", "--out", tmp_path, "--task", "regression", *QUICK)[0] == 0
    assert pq.read_schema(tmp_path / "regression/results.parquet") == kinds


def test_the_papers_recipe_has_no_split(run, folder, tmp_path):
    code, _, _ = run(
        "benchmark", folder, "--out", tmp_path, "--estimators", "dv", "--paper", "--configs", "level-1.0", *QUICK
    )
    assert code == 0
    (row, _) = json.loads((tmp_path / "results.json").read_text())
    assert json.loads(row["settings"])["training"] == {
        "critic": "joint",
        "encoder": "mlp",
        "width": 8,
        "layers": 3,
        "embedding": 32,
        "batch_size": 16,
        "steps": 5,
        "learning_rate": 5e-4,
        "weight_decay": 0.0,
        "evaluate_every": 50,
        "patience": 10,
        "average": 0.0,
        "split": False,
    }
    assert json.loads(row["details"]) == {"of": "training batches"}


def test_a_dry_run_counts(run, folder, tmp_path):
    out_folder = tmp_path / "none"
    code, out, _ = run("benchmark", folder, "--out", out_folder, "--task", "estimators,ssl", "--dry-run", "--seeds", 1)
    assert code == 0
    assert out.split() == ["estimators:", "33", "cells", "ssl:", "18", "cells"]
    assert not (tmp_path / "none").exists()


def test_settings_of_an_estimator_are_computed_anew_and_told(run, folder, tmp_path):
    asked = ("benchmark", folder, "--out", tmp_path, "--estimators", "ksg,dv", "--no-null", *QUICK)
    assert run(*asked)[0] == 0
    old = json.loads((tmp_path / "results.json").read_text())
    given = ("--set", "ksg.neighbours=4", "--set", "ksg.neighbours=5", "--set", "dv.training.steps=7")
    code, out, err = run(*asked, *given)
    assert (code, err) == (0, "")
    assert "With ksg.neighbours=4, ksg.neighbours=5, dv.training.steps=7. In nats" in out
    new = json.loads((tmp_path / "results.json").read_text())
    assert all(a["value"] != b["value"] for a, b in zip(old, new, strict=True))
    told = {row["estimator"]: json.loads(row["settings"]) for row in new}
    assert told["ksg"]["neighbours"] == 5
    assert (told["dv"]["training"]["steps"], told["dv"]["training"]["width"]) == (7, 8)
    assert json.loads((tmp_path / "benchmark.json").read_text())["estimators"] == told
    assert len(list((tmp_path / "cells").glob("*.json"))) == 8, "those of other settings are kept"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("*.json")}
    assert run(*asked)[0] == 0
    assert json.loads((tmp_path / "results.json").read_text()) == old
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("*.json")} == before


def test_what_there_is_to_set(run):
    code, out, err = run("benchmark", "--list")
    assert (code, err) == (0, "")
    assert re.search(r"^pca-ksg +– +components=4, neighbours=3$", out, re.MULTILINE)
    assert "steps=2000" in out
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = run("benchmark", "--list", "--format", "json")
    assert json.loads(out)["oracle-dv"] == {"estimator": "oracle-dv", "rounds": 8}


def test_without_data_or_out_it_is_said(run):
    code, _, err = run("benchmark")
    assert code == 2
    assert err == "mmmi-hf: give DIR_OR_REPO, a dataset folder or Hub id, and --out, a folder for the results\n"


@pytest.fixture
def plugin(tmp_path, forgotten):
    """A file with a text, given as a plugin; what it registers is gone after the test."""
    del forgotten

    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return path

    return write


def of_tutorial():
    (text,) = re.findall(r"^```python\n((?:(?!```).)*?register_estimator\(.*?)```$", TUTORIAL, re.DOTALL | re.MULTILINE)
    return text, "mean-of-pixels"


def of_docstring():
    first, *_ = doctest.DocTestParser().get_examples(register_estimator.__doc__)
    return f"from mmmi_hf.benchmark import Estimator, Measured, register_estimator\n{first.source}", "always-one"


@pytest.mark.parametrize("example", [of_tutorial, of_docstring])
def test_the_examples_of_an_estimator_of_ones_own_run(run, folder, tmp_path, plugin, example, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")  # for names in one line
    text, name = example()
    given = ("benchmark", folder, "--out", tmp_path / "out", "--plugin", plugin(text))
    code, out, err = run(*given, "--estimators", "all", "--dry-run", *QUICK)
    assert (code, err) == (0, "")
    code, out, err = run(*given, "--estimators", name, *QUICK)
    assert (code, err) == (0, "")
    assert name in out
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [row["estimator"] for row in rows] == [name] * 3
    assert all(row["value"] is not None for row in rows)


def test_settings_of_an_estimator_of_ones_own(run, folder, tmp_path, plugin, forgotten):
    """Typed as it declares them, in a module whose annotations are texts, and by workers that load it themselves."""
    path = plugin(
        """from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mmmi_hf.benchmark import Estimator, Measured, register_estimator


@register_estimator("constant")
@dataclass
class Constant(Estimator):
    sign: Literal["up", "down"] = "up"
    size: float = 1.0

    def learn(self, train, validation, seed):
        return []

    def measure(self, test):
        return Measured(self.size if self.sign == "up" else -self.size)
"""
    )
    given = ("benchmark", folder, "--out", tmp_path / "out", "--plugin", path, "--seeds", "1", "--quiet", "--no-plots")
    code, out, err = run(
        *given, "--estimators", "constant", "--workers", "2", "--set", "constant.sign=down", "--set", "constant.size=2"
    )
    assert (code, err) == (0, "")
    assert "With constant.sign=down, constant.size=2." in " ".join(out.split())
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["value"] for row in rows} == {-2.0}
    code, _, err = run(*given, "--estimators", "constant", "--set", "constant.sign=left")
    assert (code, err) == (2, "mmmi-hf: set: constant.sign: input should be 'up' or 'down', got 'left'\n")
    forgotten()  # else it is one of those that were there before
    code, _, err = run(*given, "--dry-run")
    assert (code, err) == (0, "mmmi-hf: note: 'constant' of the plugin is not asked for; name it in --estimators\n")


def test_a_plugin_that_fails_is_one_line(run, folder, tmp_path, plugin):
    path = plugin("import no_such_module_of_ours\n")
    code, _, err = run("benchmark", folder, "--out", tmp_path / "out", "--plugin", path)
    assert code == 2
    assert "cannot be imported (ModuleNotFoundError: No module named 'no_such_module_of_ours'); give a module" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("inside", ["", "results"])
def test_an_out_that_is_a_file_is_refused(run, folder, tmp_path, inside):
    path = tmp_path / "table.txt"
    path.write_text("something")
    code, _, err = run("benchmark", folder, "--out", path / inside, *QUICK)
    assert code == 2
    assert err == f"mmmi-hf: out must be a folder, and {str(path)!r} is a file; name another place\n"
    assert path.read_text() == "something"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--estimators", "dvv"), "unknown estimator 'dvv': did you mean dv"),
        (("--estimators", ","), "none were named"),
        (("--pairs", "x1"), "is no pair"),
        (("--configs", "nope"), "no configuration 'nope'"),
        (("--task", "sorting"), "'sorting' is unknown, expected one of estimators, regression, ssl"),
        (("--train-rows", "ten"), "'ten' is no number"),
        (("--critic", "both"), "critic must be one of separable, joint"),
        (("--encoder", "vit"), "encoder must be one of"),
        (("--learning-rate", "0"), "learning_rate must be above 0"),
        (("--embedding", "0"), "embedding must be a whole number of at least 1"),
        (("--layers", "0"), "layers must be a whole number of at least 1"),
        (("--steps", "0"), "steps must be a whole number of at least 1"),
        (("--workers", "0"), "workers must be at least 1"),
        (("--paper", "--task", "ssl"), "--paper is a recipe of estimators"),
        (("--train-rows", "100", "--task", "ssl"), "--train-rows is of estimators"),
        (("--critic", "joint", "--task", "regression"), "--critic is of estimators"),
        (("--learning-rate", "inf"), "learning_rate must be above 0"),
        (("--paper", "--estimators", "ba"), "has no recipe without a split"),
        (("--plugin", "nowhere.py"), "is not there"),
        (("--set", "ksg.k=5", *KSG), "set: 'ksg' has no setting 'k', expected neighbours"),
        (("--set", "ksg.neighbours=many", *KSG), "set: ksg.neighbours: input should be a valid integer, got 'many'"),
        (("--set", "ksg.neighbours=5.0", *KSG), "set: ksg.neighbours: input should be a valid integer, got 5.0"),
        (("--set", "ksg.neighbours=true", *KSG), "set: ksg.neighbours: input should be a valid integer, got True"),
        (("--set", "ksg.neighbours=0", *KSG), "ksg.neighbours: input should be greater than or equal to 1"),
        (("--set", "ksg.neighbours.more=0", *KSG), "set: 'ksg.neighbours' has no setting 'more', expected none"),
        (("--set", "ksgg.neighbours=5"), "unknown estimator 'ksgg': did you mean ksg"),
        (("--set", "ksg.neighbours=5"), "set: 'ksg' is not asked for, only dv, js, "),
        (("--set", "neighbours=5"), "set: 'neighbours=5' is no setting; write e.g. ksg.neighbours=5"),
        (("--set", "ksg.neighbours"), "set: 'ksg.neighbours' is no setting"),
        (("--set", "dv.training.step=5"), "set: 'dv.training' has no setting 'step', expected critic, encoder"),
        (("--set", "dv.training.critic=both"), "critic must be one of separable, joint, got 'both'"),
        (("--set", "dv.training=5"), "set: dv.training: input should be"),
        (("--set", "ksg.neighbours=5", "--task", "ssl"), "--set is of estimators"),
        (("--forms", "float", "--task", "ssl"), "--forms is of estimators"),
        (("--pairs", "x1:x2", "--task", "regression"), "--pairs is of estimators"),
        (("--task", "ssl-classes"), "y of 'level-0.5' is a number; ask for --task ssl"),
        (("--task", "classification"), "y of 'level-0.5' is a number; ask for --task regression"),
        (("--task", "ssl", *KSG), "--estimators is of estimators"),
        (("--estimators", "latentmi"), "runs in an environment of its own"),
    ],
)
def test_wrong_requests_are_one_line(run, folder, tmp_path, arguments, words):
    code, _, err = run("benchmark", folder, "--out", tmp_path / "out", "--seeds", "1", "--quiet", *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
