"""Regression and self-supervised learning on bare latents: floors, ceilings, nulls, records."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from mmmi_hf import common_cause
from mmmi_hf.benchmark import Training
from mmmi_hf.benchmark.downstream.plots import histogram_density, regression_figure, write_downstream_plots
from mmmi_hf.benchmark.downstream.probing import METHODS, probe, run_ssl
from mmmi_hf.benchmark.downstream.regression import BINS, Task, judged, limits
from mmmi_hf.benchmark.downstream.ssl import vicreg
from mmmi_hf.benchmark.downstream.tasks import (
    downstream_cells,
    downstream_markdown,
    downstream_rows,
    downstream_table,
    impossible,
    run_downstream,
    run_downstream_cell,
    summarize_downstream,
)
from mmmi_hf.benchmark.protocol.data import Source

RECIPE = Training(encoder="mlp", width=16, embedding=8, batch_size=32, steps=150, learning_rate=8e-3, evaluate_every=25)


@pytest.fixture(scope="module")
def source(folder):
    return Source.open(str(folder))


@pytest.fixture(scope="module")
def regression(source, tmp_path_factory):
    cells = downstream_cells(source, ["level-*"], "regression", seeds=1, training=RECIPE)
    return downstream_rows(
        run_downstream(source, cells, tmp_path_factory.mktemp("regression"), workers=1, progress=False)
    )


@pytest.fixture(scope="module")
def learned(source, tmp_path_factory):
    cells = downstream_cells(source, ["level-1.2"], "ssl", seeds=1, training=RECIPE)
    return downstream_rows(run_downstream(source, cells, tmp_path_factory.mktemp("ssl"), workers=1, progress=False))


@pytest.mark.statistical
def test_regression_comes_near_its_floor_and_does_not_beat_it(regression):
    summary = summarize_downstream(regression)
    assert impossible(summary) == []
    by_level = {(row["config"], row["inputs"]): row for row in summary if not row["null"]}
    assert len(by_level) == 6
    for inputs in ("x1", "x2", "x1,x2"):
        low, high = by_level["level-0.4", inputs], by_level["level-1.2", inputs]
        print(inputs, low["rmse"], high["rmse"], high["floor"])
        assert high["rmse"] < low["rmse"]
        assert high["rmse"] < high["floor"] + 0.25 * high["sigma"]
    assert by_level["level-1.2", "x1,x2"]["floor"] < by_level["level-1.2", "x1"]["floor"]
    assert by_level["level-1.2", "x1"]["floor"] == pytest.approx(math.exp(-1.2))
    for row in (row for row in summary if row["null"]):
        print("null", row["r_squared"], row["r_squared_error"])
        assert row["ceiling"] == 0.0
        assert abs(row["r_squared"]) < 3 * row["r_squared_error"]


@pytest.mark.statistical
def test_probes_of_encoders_stay_below_the_ceiling(learned):
    summary = summarize_downstream(learned)
    assert impossible(summary) == []
    found = {row["method"]: row for row in summary if row["config"] == "level-1.2" and not row["null"]}
    print({method: (row["r_squared"], row["r_squared_error"]) for method, row in found.items()})
    assert set(found) == set(METHODS)
    assert found["contrastive"]["r_squared"] > 0.5
    assert found["vicreg"]["r_squared"] > 0.3
    assert found["raw"]["r_squared"] > 0.8, "one direction of nine, and 400 rows: the data allow it"
    assert found["supervised"]["r_squared"] > 0.6
    assert found["masked"]["r_squared"] > 0.3
    for row in (row for row in summary if row["null"]):
        assert abs(row["r_squared"]) < 3 * row["r_squared_error"]
    assert found["masked"]["shared"] < found["masked"]["information"]


def test_a_cell_is_reproduced_exactly(source):
    for kind in ("regression", "ssl"):
        cell = downstream_cells(source, ["level-1.2"], kind, seeds=2, training=RECIPE)[-2]
        assert run_downstream_cell(source, cell) == run_downstream_cell(source, cell)


def test_pictures_and_tables(regression, learned, tmp_path):
    for rows in (regression, learned):
        summary = summarize_downstream(rows)
        (path,) = write_downstream_plots(summary, tmp_path)
        before = path.read_bytes()
        write_downstream_plots(summary, tmp_path)
        assert path.read_bytes() == before
        text = downstream_markdown(summary)
        assert text.count("\n") == len(summary) + 2
        assert all(f"| {row['config']} " in text for row in summary), "a name's hyphen is no minus"
    right = regression_figure(summarize_downstream(regression), "t").axes[1]
    names = [text.get_text().split(":")[0] for text in right.get_legend().get_texts()]
    assert names == ["level-0.4, x1", "level-1.2, x1"]


def test_histograms_of_errors_hold_every_row_and_are_as_fine_as_their_number_allows(regression):
    assert all(sum(row["histogram"]) == row["rows"] for row in regression)
    errors = np.random.default_rng(0).standard_normal(100_000)
    widths = []
    for rows, deviation in ((40, 1.0), (4_000, 0.8), (4_000, 0.1), (100_000, 0.01)):
        counts = np.histogram(np.clip(errors[:rows] * deviation, -3.0, 3.0), BINS)[0].astype(float)
        densities, edges = histogram_density(counts, deviation)
        assert (edges[0], edges[-1]) == (-3.0, 3.0)
        assert np.sum(densities * np.diff(edges)) == pytest.approx(1.0)
        widths.append(edges[1] - edges[0])
    assert np.allclose(widths, [1.0, 0.2, 0.05, 0.05])


def test_the_judge_and_what_is_impossible():
    errors = np.full(100, 0.5)
    errors[::2] = -0.5
    shown = judged(errors, np.tile([2.0, -2.0], 50))
    assert shown["rmse"] == 0.5
    assert shown["r_squared"] == 1 - 0.25 / 4
    row = {"config": "c", "method": "m", "inputs": "x1", "null": False, "floor": 0.7, "ceiling": 0.86, **shown}
    assert [text.split(":")[1].split()[0] for text in impossible([row])] == ["RMSE", "R²"]
    assert [text.split(":")[1].split()[0] for text in impossible([row | {"null": True}])] == ["R²"]
    assert impossible([row | {"rmse": None}]) == [], "without a result there is nothing to judge"


class OfModel:
    """A source of one causal model."""

    def __init__(self, model):
        self._model = model

    def model(self, config):
        return self._model


@pytest.mark.statistical
@pytest.mark.parametrize(
    "model",
    [
        common_cause((4,), mi=1.0).with_missing({"x1": 0.3}),
        common_cause((4,), mi=1.0).with_target({"function": {"name": "exponential"}}),
        common_cause((4,), mi=1.0).with_target({"function": {"name": "exponential"}}).with_missing({"x1": 0.3}),
    ],
)
def test_limits_are_those_of_the_best_predictor_also_where_the_information_does_not_tell_them(model):
    task = Task("c", ("x1",), 0, 1, RECIPE)
    known = limits(OfModel(model), task)
    rows = model.sample(40_000, seed=3)
    squares = (rows.y - model.decode(rows, "x1")) ** 2
    error = squares.std() / math.sqrt(len(squares))
    print(squares.mean(), known["floor"] ** 2, error)
    assert abs(squares.mean() - known["floor"] ** 2) < 4.0 * error
    assert known["ceiling"] == model.r2_ceiling("x1").value
    assert known["ceiling"] == pytest.approx(1.0 - (known["floor"] / known["sigma"]) ** 2)
    assert abs(known["ceiling"] + math.expm1(-2.0 * known["information"])) > 0.02, "1 - e^(-2 I) is another number"
    null = limits(OfModel(model), dataclasses.replace(task, null=True))
    assert (null["floor"], null["ceiling"]) == (known["sigma"], 0.0)


def test_limits_of_a_class_are_refused():
    of_classes = common_cause((4,), mi=1.0).with_target({"classes": {"quantiles": 3}})
    with pytest.raises(ValueError, match="no number"):
        limits(OfModel(of_classes), Task("c", ("x1",), 0, 1, RECIPE))


@pytest.mark.statistical
def test_the_standard_errors_are_those_of_repetitions():
    generator, rows, repetitions = np.random.default_rng(0), 200, 4_000
    found = []
    for _ in range(repetitions):
        y = 3.0 * generator.standard_normal(rows)
        noise = generator.standard_normal(rows)
        found.append(judged(0.2 * y + noise, y))
    for name, truth in (("rmse", math.sqrt(1.0 + 0.36)), ("r_squared", 1.0 - 1.36 / 9.0)):
        values, errors = (np.array([one[key] for one in found]) for key in (name, f"{name}_error"))
        print(name, values.mean(), truth, values.std(), errors.mean())
        assert values.mean() == pytest.approx(truth, rel=0.01)
        assert errors.mean() == pytest.approx(values.std(), rel=0.05)
    nothing = judged(y - y.mean(), y)
    assert nothing["r_squared"] == 0.0
    assert nothing["r_squared_error"] == pytest.approx(0.0, abs=1e-12), "predicting the mean is exactly R² = 0"
    far = y + 100.0
    assert judged(far - far.mean(), far)["r_squared"] == pytest.approx(0.0), "where the mean is, is no merit"
    assert judged(far, far)["r_squared"] < -100.0


def test_a_network_that_diverges_is_recorded_and_counted(source, tmp_path):
    wild = dataclasses.replace(RECIPE, learning_rate=1e30)
    tame = dataclasses.replace(RECIPE, steps=5)
    for kind in ("regression", "ssl"):
        cells = [
            cell
            for training in (wild, tame)
            for cell in downstream_cells(source, ["level-1.2"], kind, seeds=1, training=training)
        ]
        records = run_downstream(source, cells, tmp_path, workers=1, progress=False)
        failed = [record["result"].get("error", "") for record in records]
        assert any("lower the learning rate" in text for text in failed)
        rows = downstream_rows(records)
        summary = summarize_downstream(rows)
        assert sum(row["failed"] for row in summary) == sum(map(bool, failed))
        assert downstream_table(rows).to_pylist() == rows
        assert "(1 failed)" in downstream_markdown(summary)
        (alone,) = summarize_downstream([next(row for row in rows if row["error"] and not row["null"])])
        assert (alone["rmse"], alone["r_squared_error"], alone["seeds"], alone["failed"]) == (None, None, 0, 1)
        assert impossible([alone]) == []
        assert " – (1 failed) |" in downstream_markdown([alone])
        assert write_downstream_plots([alone], tmp_path) == []


def test_the_probe_is_a_ridge_regression():
    generator = np.random.default_rng(0)
    embedded = [generator.standard_normal((n, 3)) for n in (400, 100, 50)]
    targets = [rows @ [1.0, -2.0, 0.5] + 3.0 for rows in embedded]
    assert np.abs(probe(embedded, targets)).max() < 1e-2


def test_vicreg_is_its_three_terms():
    """Two embeddings of four rows, by hand: they differ by 1 in one coordinate, which varies by less than 1."""
    first = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [3.0, 0.6], [-3.0, 0.6]])
    second = first + torch.tensor([0.0, 1.0])
    deviation = math.sqrt(4 * 0.09 / 3 + 1e-4)
    assert float(vicreg(first, second)) == pytest.approx(25 * 0.5 + 2 * 25 / 2 * (1 - deviation) / 2, rel=1e-6)
    twice = torch.stack([first[:, 0], first[:, 0]], dim=1)  # one number twice: covariance 12 on both places beside
    assert float(vicreg(twice, twice)) == pytest.approx(2 * 2 * 12.0**2 / 2)


def test_wrong_requests_are_refused(source):
    task = Task("level-0.4", ("x1",), 0, 1, RECIPE)
    cases = [
        (lambda: downstream_cells(source, ["*"], "sorting", seeds=1, training=RECIPE), "task must be one of"),
        (lambda: run_ssl(source, task, "contrastive"), "needs two modalities or more, got x1"),
        (lambda: run_ssl(source, task, "guessing"), "method must be one of"),
        (lambda: downstream_cells(source, ["*"], "ssl", seeds=9, training=RECIPE), "for each of 9 seeds"),
    ]
    for call, match in cases:
        with pytest.raises(ValueError, match=match):
            call()
