"""Probes of encoders that never saw y: what is shared where y sits, the limits, numbers and classes."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from mmmi_hf import CausalModel, common_cause
from mmmi_hf.benchmark import Training
from mmmi_hf.benchmark.downstream.plots import write_downstream_plots
from mmmi_hf.benchmark.downstream.probing import METHODS, aligned_information, class_probe, same_laws
from mmmi_hf.benchmark.downstream.regression import Task
from mmmi_hf.benchmark.downstream.sharing_figure import sharing_figure, shows_sharing
from mmmi_hf.benchmark.downstream.ssl import Contrastive
from mmmi_hf.benchmark.downstream.tasks import (
    downstream_cells,
    downstream_rows,
    downstream_table,
    impossible,
    largest_error,
    probed_table,
    run_downstream,
    summarize_downstream,
)
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.common.yaml_files import parse_file
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from tests.support import ROOT, bare, generate

SHARING = sorted((ROOT / "model_cards" / "benchmark" / "sharing").glob("*.yaml"))
RECIPE = Training(encoder="mlp", width=32, embedding=4, batch_size=64, steps=400, learning_rate=5e-3, patience=5)
NATS = 0.5 * math.log(2.0)


def joint(eta, weights, mixing, templates):
    """Covariance of (y, x1, x2), written out; templates: M × K of (d,)."""
    size = len(templates[0][0])
    causes = [np.asarray(eta)[None, :]]
    causes += [np.asarray(own).T * row for row, own in zip(weights, templates, strict=True)]
    noise = np.kron(np.asarray(mixing) @ np.asarray(mixing).T, np.eye(size))
    full = np.concatenate(causes) @ np.concatenate(causes).T
    full[1:, 1:] += noise
    return full


def gaussian(covariance, a, b):
    """I(a; b) by log-determinants."""
    determinant = [np.linalg.slogdet(covariance[np.ix_(each, each)])[1] for each in (a, b, [*a, *b])]
    return 0.5 * (determinant[0] + determinant[1] - determinant[2])


def at_y(covariance, size):
    """I(E[y | x1]; x2): y in its covariance gives way to E[y | x1]."""
    first, second = range(1, 1 + size), range(1 + size, 1 + 2 * size)
    weights = np.linalg.solve(covariance[np.ix_(first, first)], covariance[first, 0])
    rows = np.zeros((1 + size, len(covariance)))
    rows[0, first], rows[1:, second] = weights, np.eye(size)
    return gaussian(rows @ covariance @ rows.T, [0], list(range(1, 1 + size)))


def written_out(fields):
    """The covariance that a configuration's numbers say; halves of 8 × 8, y's on the left."""
    model, left = fields["causal_model"], np.zeros((8, 8))
    left[:, :4] = 1.0
    halves = {180: left.ravel(), 0: 1.0 - left.ravel()}
    templates = [
        [np.zeros(64) if each is None else halves[each["half_plane"]["angle"]] for each in row]
        for row in model["templates"]
    ]
    return joint(model["eta"], model["weights"], model["mixing"], templates)


@pytest.mark.parametrize("path", SHARING, ids=lambda path: path.stem)
def test_the_configurations_of_the_card_have_the_information_that_their_names_say(path):
    fields = parse_file(path).data
    config, covariance = MMMIConfig(**fields), written_out(fields)
    first, second = list(range(1, 65)), list(range(65, 129))
    kind, who, rest = ["", *path.stem.split("-", 1)] if "class" not in path.stem else path.stem.split("-", 2)
    if who == "spread":
        who, *_, total = rest.split("-")
    else:
        where, _, total = rest.split("-")
        assert aligned_information(config.model, "x1", "x2") == pytest.approx(float(where), abs=1e-9)
    assert gaussian(covariance, [0], first) == pytest.approx(NATS, abs=1e-12)
    assert gaussian(covariance, first, second) == pytest.approx(float(total), abs=1e-9)
    assert (gaussian(covariance, [0], second) > 0.1) == (who == "both")
    assert aligned_information(config.model, "x1", "x2") == pytest.approx(at_y(covariance, 64), abs=1e-9)
    plain = config.model.with_target(None)
    assert plain.mutual_information("x1", "y") == pytest.approx(NATS, abs=1e-12)
    assert plain.r2_ceiling("x1").value == pytest.approx(0.5, abs=1e-12)
    assert config.model.mutual_information("x1", "x2") == pytest.approx(float(total), abs=1e-9)
    assert config.rows >= 8000
    if kind == "class":
        assert config.model.bayes_accuracy("x1").value == pytest.approx(0.5 + math.asin(math.sqrt(0.5)) / math.pi)


def test_whether_x2_knows_y_is_nothing_that_an_encoder_could_see():
    """Noise in the place of y, or y itself: the same law of x1, x2, and the same of x1, y."""
    one, other = (
        written_out(parse_file(path).data) for path in SHARING if path.stem in ("alone-0.3-of-2", "both-0.3-of-2")
    )
    white = [_whitened(each) for each in (one, other)]
    assert np.abs(white[0][1:, 1:] - white[1][1:, 1:]).max() < 1e-9
    assert np.abs(white[0][0, 1:65] - white[1][0, 1:65]).max() < 1e-9
    assert np.abs(white[0][0, 65:] - white[1][0, 65:]).max() > 0.1


def _whitened(covariance):
    root = np.eye(129)
    for at in (slice(1, 65), slice(65, 129)):
        values, vectors = np.linalg.eigh(covariance[at, at])
        root[at, at] = (vectors / np.sqrt(values)) @ vectors.T
    return root @ covariance @ root.T


@pytest.mark.parametrize("mixing", [[[1.0, 0.0, 0.0], [0.0, 0.7, 0.0]], [[1.0, 0.0, 0.6], [0.0, 0.7, -0.9]]])
def test_what_sits_where_y_does_is_that_of_the_covariance(mixing):
    generator = np.random.default_rng(5)
    eta, weights = [1.0, -0.5, 0.0], generator.standard_normal((2, 3))
    templates = generator.standard_normal((2, 3, 6))
    model = CausalModel(eta, weights, mixing, shape=(6,), templates=[list(row) for row in templates])
    covariance = joint(eta, weights, mixing, templates)
    truth = at_y(covariance, 6)
    assert aligned_information(model, "x1", "x2") == pytest.approx(truth, rel=1e-10)
    assert truth < model.mutual_information("x1", "x2")
    of_classes = model.with_target({"classes": {"quantiles": 3}})
    assert aligned_information(of_classes, "x1", "x2") == aligned_information(model, "x1", "x2")
    dense = CausalModel.from_matrix(np.linalg.cholesky(covariance), [(6,), (6,)])
    assert aligned_information(dense, "x1", "x2") == pytest.approx(truth, rel=1e-9)


def test_it_is_at_most_what_is_shared_and_not_known_of_every_law():
    model = common_cause((4,), mi=1.0)
    assert aligned_information(model, "x1", "x2") == pytest.approx(model.mutual_information("x1", "x2"))
    blind = CausalModel([1.0, 0.0], [[0.0, 1.0], [0.0, 1.0]], np.eye(2), shape=(4,))
    assert aligned_information(blind, "x1", "x2") == 0.0
    for other in (
        model.with_common_scale(5.0),
        model.with_missing({"x1": 0.3}),
        model.with_target({"parity": {"causes": [0]}}),
        model.with_target({"function": {"name": "square"}}),
    ):
        assert aligned_information(other, "x1", "x2") is None


@pytest.mark.parametrize("function", [{"name": "uniform"}, {"name": "log_normal", "sigma": 0.5}])
def test_what_x1_tells_of_a_monotone_function_is_what_it_tells_of_the_number(function):
    model = common_cause((4,), mi=1.0)
    made = model.with_target({"function": function})
    assert aligned_information(made, "x1", "x2") == aligned_information(model, "x1", "x2")


def test_of_a_square_e_of_y_given_x1_tells_less_of_x2_than_its_number_does():
    """Why it is not known: E[u² | x1] has lost the sign. A histogram of ρ = .8 beside the closed form."""
    generator, rho = np.random.default_rng(0), 0.8
    first = generator.standard_normal(400_000)
    second = rho * first + math.sqrt(1.0 - rho**2) * generator.standard_normal(len(first))
    told, of_square = (_of_histogram(each, second) for each in (first, first**2))
    truth = -0.5 * math.log1p(-(rho**2))
    print("of u", told, "of its square", of_square, "exact, of u", truth)
    assert told == pytest.approx(truth, abs=0.03)
    assert of_square < truth - 0.2


def _of_histogram(a, b):
    """I(a; b) of 24 x 24 cells, in nats."""
    spans = [np.quantile(each, [0.0005, 0.9995]) for each in (a, b)]
    counts = np.histogram2d(a, b, bins=24, range=spans)[0]
    return stats.entropy(counts.sum(0)) + stats.entropy(counts.sum(1)) - stats.entropy(counts.ravel())


def test_what_rows_add_to_the_infonce_value_is_its_loss():
    rows = [torch.from_numpy(np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)) for _ in range(2)]
    network = Contrastive(rows, Task("c", ("x1", "x2"), 0, 1, RECIPE))
    with torch.no_grad():
        embedded = [network.embed(index, block) for index, block in enumerate(rows)]
        told = network.information(*embedded)
        assert float(told.mean()) == pytest.approx(math.log(50) - float(network.of_pair(*embedded)), abs=1e-5)
        network.log_scale.fill_(math.log(1e7))
        same = network.information(embedded[0], embedded[0])
    assert same.numpy() == pytest.approx(np.full(50, math.log(50)), abs=1e-3), "rows that tell each other apart: ln n"


def test_the_class_probe_is_a_linear_classifier():
    generator = np.random.default_rng(0)
    embedded = [torch.from_numpy(generator.standard_normal((n, 2)).astype(np.float32)) for n in (600, 200, 200)]
    labels = [(rows[:, 0] - rows[:, 1] > 0.3).long() for rows in embedded]
    logs = class_probe(embedded, labels, Task("c", ("x1", "x2"), 0, 1, RECIPE), 2)
    assert np.exp(logs).sum(axis=1) == pytest.approx(np.ones(200))
    assert (logs.argmax(axis=1) == labels[2].numpy()).mean() > 0.9


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """y's place is shared, or noise beside it, as much: numbers and classes of the same rows."""
    out = tmp_path_factory.mktemp("sharing") / "data"
    at, beside = np.eye(4)[0], np.eye(4)[1]
    models = {
        "at": CausalModel([1.0, 0.0], [[3.0, 0.0], [3.0, 0.0]], np.eye(2), shape=(4,), templates=[[at, None]] * 2),
        "beside": CausalModel(
            [1.0, 0.0], [[3.0, 3.0], [0.0, 3.0]], np.eye(2), shape=(4,), templates=[[at, beside]] * 2
        ),
    }
    for name, model in models.items():
        generate(bare(name, model, rows=2000, seed=7), out, certify=False)
        of_classes = model.with_target({"classes": {"quantiles": 2}})
        generate(bare(f"class-{name}", of_classes, rows=2000, seed=7), out, certify=False)
    return Source.open(str(out))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("task", "configs", "score", "limit"),
    [("ssl", ["at", "beside"], "r_squared", "ceiling"), ("ssl-classes", ["class-*"], "accuracy", "bayes_accuracy")],
)
def test_what_is_shared_where_y_sits_is_kept(source, tmp_path, task, configs, score, limit):
    cells = downstream_cells(source, configs, task, seeds=1, training=RECIPE)
    rows = downstream_rows(run_downstream(source, cells, tmp_path / "out", workers=1, progress=False))
    assert downstream_table(rows).to_pylist() == rows
    summary = summarize_downstream(rows)
    assert impossible(summary) == []
    found = {(row["config"].removeprefix("class-"), row["method"]): row for row in summary if not row["null"]}
    for key, row in found.items():
        print(key, row[score], row[f"{score}_error"], row[limit], row["estimate"], row["shared"])
    assert {method for _, method in found} == set(METHODS)
    for method in ("contrastive", "vicreg", "masked"):
        at, beside = found["at", method], found["beside", method]
        assert at["shared"] == pytest.approx(at["aligned"])
        assert (beside["aligned"], beside["other"]) == (0.0, 0.0)
        if method == "contrastive":
            for row in (at, beside):
                assert -0.5 < row["estimate"] < row["shared"] + 3 * row["estimate_error"]
                assert row["estimate"] > found[row["config"].removeprefix("class-"), "untrained"]["estimate"]
        else:
            assert at["estimate"] is None
        assert at[score] > beside[score] + 3 * math.hypot(at[f"{score}_error"], beside[f"{score}_error"])
    for where in ("at", "beside"):
        assert found[where, "raw"][score] > 0.8 * found[where, "raw"][limit], (
            "controls: the rows and the probe allow it"
        )
    headings, table = probed_table(summary, facts=True)
    assert headings[1:4] == ["I(x1; x2)", "I(x2; y)", "at y"]
    assert [len(row) for row in table] == [len(headings)] * 3, "two configurations and a null"
    assert largest_error(summary) > 0.0
    assert shows_sharing(summary)
    shown = sharing_figure(summary, "").axes[0]
    points = [line.get_xdata() for line in shown.lines if line.get_marker() in ("o", "^")]
    places = {found[where, "masked"]["aligned"] for where in ("at", "beside")}
    assert {float(x[0]) for x in points if len(x)} == places, "nothing is to be set apart"
    (path,) = write_downstream_plots(summary, tmp_path)
    before = path.read_bytes()
    write_downstream_plots(summary, tmp_path)
    assert path.read_bytes() == before


def test_a_y_of_another_kind_is_refused_with_the_task_that_fits(source):
    recipe = dataclasses.replace(RECIPE, steps=20)
    for task, config, told, other in (
        ("ssl-classes", "at", "number", "ssl"),
        ("classification", "at", "number", "regression"),
        ("ssl", "class-at", "class", "ssl-classes"),
        ("regression", "class-at", "class", "classification"),
    ):
        with pytest.raises(ValueError, match=f"y of '{config}' is a {told}; ask for --task {other}$"):
            downstream_cells(source, [config], task, seeds=1, training=recipe)


def test_configurations_that_encoders_cannot_tell_apart_are_found(tmp_path):
    """Of the card two pairs; of others those that are the same, where noise is shared everywhere too."""
    paths = [path for path in SHARING if path.stem.endswith("-of-2")]
    for path in paths:
        generate(MMMIConfig(**{**parse_file(path).data, "rows": 30}), tmp_path, certify=False)
    everywhere = CausalModel(
        [1.0], [[0.7], [0.4]], [[1.0, 0.0], [0.6, 0.8]], shape=(4,), templates=[[np.eye(4)[0]]] * 2
    )
    less = CausalModel([1.0], [[0.7], [0.4]], [[1.0, 0.0], [0.5, 0.8]], shape=(4,), templates=[[np.eye(4)[0]]] * 2)
    others = {"a": everywhere, "b": everywhere, "c": less}
    heavy = common_cause((4,), mi=1.0).with_common_scale(5.0)
    others |= {"heavy-a": heavy, "heavy-b": heavy}
    others |= {"class-of-a": everywhere.with_target({"classes": {"quantiles": 2}})}
    for name, model in others.items():
        generate(bare(name, model, rows=30, seed=7), tmp_path, certify=False)
    loud = {"loud-a": everywhere, "loud-b": everywhere}
    for name, model in loud.items():
        generate(bare(name, model, rows=30, seed=7, standardize="rms"), tmp_path, certify=False)
    opened = Source.open(str(tmp_path))
    assert same_laws(opened, [*(path.stem for path in paths), *others, *loud]) == [
        ["alone-0.3-of-2", "both-0.3-of-2"],
        ["class-alone-0.3-of-2", "class-both-0.3-of-2"],
        ["a", "b"],
    ]
