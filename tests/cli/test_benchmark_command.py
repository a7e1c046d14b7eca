"""`mmmi-hf benchmark`: output, files, continuation, refusals."""

import json

import pyarrow.parquet as pq
import pytest

from mmmi_hf import MMMIConfig, Modality, cli, common_cause, generate
from mmmi_hf.benchmark.cards import benchmark_card

QUICK = ("--steps", "5", "--width", "8", "--batch-size", "16", "--seeds", "1", "--workers", "1", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "data"
    for seed, level in enumerate((0.5, 1.0)):
        config = MMMIConfig(
            name=f"level-{level}",
            causal_model=common_cause((1, 3, 3), mi=level),
            modalities=(Modality("identity"), Modality("identity")),
            rows=240,
            seed=seed,
        )
        generate(config, out, progress=False)
    return out


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            cli.main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return stopped.value.code, output.out, output.err

    return call


def test_it_leaves_tables_plots_and_drafts(run, folder, tmp_path):
    names = "--estimators", "dv,cca,oracle-dv"
    curves = "--train-rows", "100,192"
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
        assert len(list((tmp_path / kind / "plots").iterdir())) == 1
        assert json.loads((tmp_path / kind / "benchmark.json").read_text())["training"]["steps"] == 5
    text = benchmark_card(tmp_path)
    assert "## Regression of y" in text
    assert "## Self-supervised learning" in text


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
    assert out.split() == ["estimators:", "33", "cells", "ssl:", "9", "cells"]
    assert not (tmp_path / "none").exists()


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
        (("--layers", "0"), "layers must be a whole number of at least 1"),
        (("--steps", "0"), "steps must be a whole number of at least 1"),
        (("--workers", "0"), "workers must be at least 1"),
        (("--paper", "--task", "ssl"), "--paper is a recipe of estimators"),
        (("--paper", "--estimators", "ba"), "has no recipe without a split"),
        (("--plugin", "nowhere.py"), "is not there"),
        (("--estimators", "latentmi"), "needs the package"),
    ],
)
def test_wrong_requests_are_one_line(run, folder, tmp_path, arguments, words):
    code, _, err = run("benchmark", folder, "--out", tmp_path / "out", "--seeds", "1", "--quiet", *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
