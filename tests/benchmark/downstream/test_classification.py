"""Classification beside the Bayes accuracy: what fusion sees, and that nothing beats what is possible."""

import numpy as np
import pytest

from mmmi_hf.benchmark import Training
from mmmi_hf.benchmark.downstream.classification import judged_classes, run_classification
from mmmi_hf.benchmark.downstream.plots import write_downstream_plots
from mmmi_hf.benchmark.downstream.regression import Task
from mmmi_hf.benchmark.downstream.tasks import (
    downstream_cells,
    downstream_markdown,
    downstream_rows,
    downstream_table,
    impossible,
    run_downstream,
    summarize_downstream,
)
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.dataset.releases.families.interactions import family
from tests.support import bare, generate

RECIPE = Training(encoder="mlp", width=32, embedding=8, batch_size=64, steps=300, learning_rate=5e-3, evaluate_every=50)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    out = tmp_path_factory.mktemp("interactions") / "data"
    for release in family().releases:
        kind = release.name.removeprefix("interactions-")
        if kind in ("synergistic", "unique"):
            generate(bare(kind, release.model((1, 2, 2)), rows=4000, seed=release.seed), out, certify=False)
    return Source.open(str(out))


@pytest.mark.statistical
def test_late_fusion_sees_no_synergy_and_contrast_no_unique_information(source, tmp_path):
    cells = downstream_cells(source, ["synergistic", "unique"], "classification", seeds=1, training=RECIPE)
    rows = downstream_rows(run_downstream(source, cells, tmp_path / "out", workers=1, progress=False))
    summary = summarize_downstream(rows)
    assert impossible(summary) == []
    found = {(row["config"], row["method"], row["inputs"]): row for row in summary if not row["null"]}
    for key, row in found.items():
        print(key, row["accuracy"], row["bayes_accuracy"], row["log_loss"], row["calibration"])
    both = "x1,x2"
    assert found["synergistic", "early", both]["accuracy"] > 0.65
    assert found["synergistic", "late", both]["accuracy"] < 0.6
    assert found["synergistic", "network", "x1"]["bayes_accuracy"] == 0.5
    assert found["unique", "late", both]["accuracy"] > 0.7
    assert found["unique", "contrastive", both]["calibration"] > found["unique", "late", both]["calibration"]
    for row in summary:
        assert row["log_loss"] - row["bayes_log_loss"] == pytest.approx(row["calibration"], abs=0.08)
    assert downstream_table(rows).num_rows == len(rows)
    assert "Bayes" in downstream_markdown(summary)
    assert [path.suffix for path in write_downstream_plots(summary, tmp_path)] == [".png"]


def test_scores_of_the_true_posterior_are_the_limits():
    truth = np.array([[0.8, 0.2], [0.3, 0.7]])
    shown = judged_classes(np.log(truth), np.array([0, 1]), truth)
    assert shown["calibration"] == pytest.approx(0.0, abs=1e-12)
    assert shown["accuracy"] == 1.0
    assert judged_classes(np.log(truth), np.array([0, 1]), None)["calibration"] is None


def test_a_number_or_an_unknown_method_is_refused(source, folder):
    task = Task("unique", ("x1",), 0, 1, RECIPE)
    with pytest.raises(ValueError, match="method must be one of network"):
        run_classification(source, task, "middle")
    with pytest.raises(ValueError, match="is no class; ask for the task regression"):
        run_classification(Source.open(str(folder)), Task("level-0.4", ("x1",), 0, 1, RECIPE), "network")
