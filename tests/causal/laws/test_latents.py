"""Latents: rows addressed bit for bit, exact whitening, sampled moments, decoding."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings

from mmmi_hf.causal import (
    CausalModel,
    InvalidQueryError,
    Latents,
    common_cause,
    decaying_modalities,
    latents,
    templates,
    two_telescopes,
)
from tests.causal.causal_oracles import SEEDS, dense_rows, random_model

FEW = settings(max_examples=25, deadline=None)
KINDS = ["whiten", "rms", "none"]


def matrix_model(seed: int = 0) -> CausalModel:
    return CausalModel.from_matrix(np.random.default_rng(seed).normal(size=(1 + 4 + 3, 11)), [(2, 2), (3,)])


MODELS = {
    "common": lambda: common_cause((1, 9, 9), mi=1.0),
    "telescopes": lambda: two_telescopes((3, 8, 8), eta_2=0.5),
    "decaying": lambda: decaying_modalities((300,), modalities=4, alpha=1.3, beta=1.2),
    "shapes": lambda: CausalModel([1.0, 2.0], [[1.0, 0.5], [0.0, 1.0]], np.eye(2), shape=[(4,), (2, 3)]),
    "matrix": matrix_model,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_rows_are_the_same_alone_and_among_others(name, kind):
    model = MODELS[name]()
    whole = model.sample(260, seed=5, standardize=kind)
    parts = [
        (slice(100, 200), model.sample(100, seed=5, start=100, standardize=kind)),
        (slice(259, 260), model.sample(1, seed=5, start=259, standardize=kind)),
        (slice(0, 1), model.sample(1, seed=5, standardize=kind)),
        (slice(7, 7), model.sample(0, seed=5, start=7, standardize=kind)),
        ([255, 3, 3, 90], model.sample_rows([255, 3, 3, 90], seed=5, standardize=kind)),
    ]
    for rows, part in parts:
        assert part.y.tobytes() == whole.y[rows].tobytes()
        for modality in model.modalities:
            assert part.z[modality].tobytes() == whole.z[modality][rows].tobytes()
    assert whole.z["x1"].dtype == np.float64
    assert whole.z["x1"].shape == (260, *model.shapes["x1"])
    assert (whole.start, whole.seed, whole.standardize, len(whole)) == (0, 5, kind, 260)


def test_chunks_do_not_change_rows(monkeypatch):
    model = two_telescopes((3, 8, 8), eta_2=0.5)
    whole = model.sample(50, seed=5)
    monkeypatch.setattr("mmmi_hf.causal.laws.structured.latents._CHUNK_NUMBERS", 1000)
    again = model.sample(50, seed=5)
    assert all(again.z[name].tobytes() == whole.z[name].tobytes() for name in model.modalities)


def test_other_processes_and_numbers_of_threads_draw_the_same_rows():
    program = (
        "import hashlib; from mmmi_hf.causal import two_telescopes\n"
        "part = two_telescopes((3, 32, 32), eta_2=0.5).sample(3, seed=9, start=40)\n"
        "print(hashlib.sha256(b''.join(part.z[n].tobytes() for n in ('x1', 'x2')) + part.y.tobytes()).hexdigest())"
    )
    here = two_telescopes((3, 32, 32), eta_2=0.5).sample(64, seed=9)
    expected = hashlib.sha256(b"".join(here.z[n][40:43].tobytes() for n in ("x1", "x2")) + here.y[40:43].tobytes())
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        found = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
        )
        assert found.stdout.strip() == expected.hexdigest()


def test_the_address_of_a_source_depends_on_nothing_else():
    """û_j of (seed, row) is the same whichever other causes, sources, modalities and shapes there are."""
    alone = CausalModel([1.0], [[0.0]], [[0.0, 1.0]], shape=(6,)).sample(3, seed=1, standardize="none")
    both = CausalModel([1.0, 1.0], [[0.0, 0.0]] * 2, np.eye(2), shape=[(50,), (6,)]).sample(
        3, seed=1, standardize="none"
    )
    np.testing.assert_array_equal(both.z["x2"], alone.z["x1"])
    normals = np.random.Generator(np.random.Philox(key=[1, 0], counter=[0, 0, 2, 2])).standard_normal(6)
    np.testing.assert_array_equal(alone.z["x1"][2], normals)
    scalars = np.random.Generator(np.random.Philox(key=[1, 0], counter=[0, 0, 2, 0])).standard_normal(2)
    assert both.y[2] == scalars.sum()


def test_seeds_and_rows_differ():
    model = common_cause((5,))
    values = [model.sample(2, seed=seed).z["x1"] for seed in (0, 1, 2**63 - 1)]
    assert len({row.tobytes() for each in values for row in each}) == 6
    model.sample(1, seed=0, start=2**63 - 1)


@FEW
@given(SEEDS)
def test_whitened_covariance_is_the_identity(seed):
    model = random_model(np.random.default_rng(seed))
    matrix, rows = dense_rows(model)
    for name in model.modalities:
        columns = matrix[rows[name]].T.reshape(-1, *model.shapes[name])
        mapped = model.standardize_latents(columns, name, "whiten").reshape(len(columns), -1)
        np.testing.assert_allclose(mapped.T @ mapped, np.eye(mapped.shape[1]), atol=1e-11)
        scaled = model.standardize_latents(columns, name, "rms").reshape(len(columns), -1)
        assert np.trace(scaled.T @ scaled) == pytest.approx(mapped.shape[1], rel=1e-12)
        covariance = matrix[rows[name]] @ matrix[rows[name]].T
        root = model.standardize_latents(np.eye(len(covariance)).reshape(-1, *model.shapes[name]), name, "whiten")
        root = root.reshape(len(covariance), -1)
        np.testing.assert_allclose(root, root.T, atol=1e-12)
        np.testing.assert_allclose(root @ covariance @ root, np.eye(len(covariance)), atol=1e-11)


@FEW
@given(SEEDS)
def test_whitening_keeps_the_information(seed):
    model = random_model(np.random.default_rng(seed), least=2)
    matrix, rows = dense_rows(model)
    for name in model.modalities:
        columns = matrix[rows[name]].T.reshape(-1, *model.shapes[name])
        matrix[rows[name]] = model.standardize_latents(columns, name, "whiten").reshape(len(columns), -1).T
    whitened = CausalModel.from_matrix(matrix, list(model.shapes.values()))
    for query in (("x1", "y"), ("x1", "x2"), ("x1", "x2", "y")):
        assert whitened.mutual_information(*query) == pytest.approx(
            model.mutual_information(*query), rel=1e-9, abs=1e-26
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_standardising_what_was_drawn_and_back(name, kind):
    model = MODELS[name]()
    raw, mapped = (model.sample(4, seed=6, standardize=each) for each in ("none", kind))
    np.testing.assert_array_equal(mapped.y, raw.y)
    for modality in model.modalities:
        np.testing.assert_allclose(
            model.standardize_latents(raw.z[modality], modality, kind), mapped.z[modality], atol=1e-12
        )
        back = model.unstandardize_latents(mapped.z[modality], modality, kind)
        np.testing.assert_allclose(back, raw.z[modality], rtol=1e-12, atol=1e-12)


def test_sampling_is_the_structural_equation():
    model = two_telescopes((2, 3), eta_1=0.7, eta_2=0.2, rho_hat_1=0.5)
    drawn = model.sample(3, seed=8, standardize="none")
    for row in range(3):
        normals = [
            np.random.Generator(np.random.Philox(key=[8, 0], counter=[0, 0, row, stream])).standard_normal(count)
            for stream, count in ((0, 2), (1, 6), (2, 6))
        ]
        causes, first, second = normals
        assert drawn.y[row] == pytest.approx(model.eta @ causes, rel=1e-14)
        expected = sum(causes[k] * model.template(0, k) for k in range(2)) + 0.5 * first.reshape(2, 3)
        np.testing.assert_allclose(drawn.z["x1"][row], expected, atol=1e-13)
        np.testing.assert_allclose(
            drawn.z["x2"][row], causes[0] * model.template(1, 0) + second.reshape(2, 3), atol=1e-13
        )


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["telescopes small", "decaying small", "matrix"])
@pytest.mark.parametrize("kind", KINDS)
def test_sampled_covariance(name, kind):
    model = {
        "telescopes small": lambda: two_telescopes((2, 2), eta_2=0.5),
        "decaying small": lambda: decaying_modalities((3,), modalities=3, alpha=1.5, beta=1.2),
        "matrix": matrix_model,
    }[name]()
    matrix = model.matrix if name == "matrix" else dense_rows(model)[0]
    sizes = [int(np.prod(shape)) for shape in model.shapes.values()]
    rows = dict(zip(model.names, np.split(np.arange(1, len(matrix)), np.cumsum(sizes)[:-1]), strict=False))
    mapped = matrix.copy()
    for modality in model.modalities:
        columns = matrix[rows[modality]].T.reshape(-1, *model.shapes[modality])
        mapped[rows[modality]] = model.standardize_latents(columns, modality, kind).reshape(len(columns), -1).T
    count = 20_000
    drawn = model.sample(count, seed=3, standardize=kind)
    values = np.concatenate([drawn.y[:, None], *(drawn.z[m].reshape(count, -1) for m in model.modalities)], axis=1)
    expected = mapped @ mapped.T
    deviations = np.sqrt(np.diagonal(expected))
    mean_scores = values.mean(axis=0) / deviations * np.sqrt(count)
    errors = np.sqrt((np.outer(deviations**2, deviations**2) + expected**2) / count)
    scores = (values.T @ values / count - expected) / errors
    print(f"largest z: {np.abs(mean_scores).max():.2f} of the means, {np.abs(scores).max():.2f} of the covariances")
    assert np.abs(mean_scores).max() < 5
    assert np.abs(scores).max() < 5


@pytest.mark.statistical
def test_the_decoder_has_its_residual_variance():
    model = two_telescopes((6, 6), eta_2=0.4)
    drawn = model.sample(20_000, seed=2)
    for blocks in ("x1", ["x1", "x2"], ("x2",)):
        decoded = model.decode(drawn, blocks)
        residual = drawn.y - decoded
        variance = model.residual_variance(blocks)
        score = (np.mean(residual**2) / variance - 1) * np.sqrt(len(drawn) / 2)
        overlap = np.mean(residual * decoded) / np.std(residual * decoded) * np.sqrt(len(drawn))
        print(f"{blocks}: z = {score:.2f}, {overlap:.2f}")
        assert abs(score) < 4.5
        assert abs(overlap) < 4.5


def test_decoding_by_regression_on_the_dense_matrix():
    for model in (two_telescopes((2, 3), eta_2=0.4), decaying_modalities((3,), modalities=3, alpha=2.0)):
        matrix, rows = dense_rows(model)
        drawn = model.sample(4, seed=2, standardize="none")
        index = np.concatenate([rows["x2"], rows["x1"]])
        values = np.concatenate([drawn.z[name].reshape(4, -1) for name in ("x2", "x1")], axis=1)
        weights = np.linalg.lstsq(matrix[index].T, matrix[0], rcond=None)[0]
        np.testing.assert_allclose(model.decode(drawn, ["x2", "x1"]), values @ weights, atol=1e-10)
        residual = matrix[0] - weights @ matrix[index]
        assert model.residual_variance(["x2", "x1"]) == pytest.approx(residual @ residual, rel=1e-10)
        assert model.variance_y == pytest.approx(matrix[0] @ matrix[0], rel=1e-14)
        dense = CausalModel.from_matrix(matrix, list(model.shapes.values()))
        np.testing.assert_allclose(dense.decode(drawn, ["x2", "x1"]), values @ weights, atol=1e-10)
        assert dense.residual_variance(["x2", "x1"]) == pytest.approx(residual @ residual, rel=1e-10)
        assert dense.variance_y == pytest.approx(model.variance_y, rel=1e-14)


def test_linear_decoder_is_decode_without_the_target():
    model = common_cause((4, 4), mi=1.0)
    drawn = model.sample(5, seed=1, standardize="rms")
    decode = model.linear_decoder(["x1", "x2"], "rms")
    np.testing.assert_array_equal(decode(drawn.z), model.decode(drawn, ["x1", "x2"]))
    np.testing.assert_allclose(decode({"x1": np.zeros((2, 4, 4)), "x2": np.zeros((2, 4, 4))}), 0.0)


def test_dependent_templates_whiten_exactly():
    """More causes than distinct directions, and more templates than dimensions."""
    base = templates.gaussian((3,))
    model = CausalModel(
        [1.0] * 5,
        [[1.0, 2.0, 0.3, 1.0, 0.0]],
        [[0.4]],
        shape=(3,),
        templates=[[base, -2 * base, "ones", base + 1, base]],
    )
    columns = dense_rows(model)[0][1:].T
    mapped = model.standardize_latents(columns, "x1", "whiten")
    np.testing.assert_allclose(mapped.T @ mapped, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": -1, "seed": 0}, "n is -1, expected an integer 0 ≤ n"),
        ({"n": 1.0, "seed": 0}, "n is 1.0"),
        ({"n": True, "seed": 0}, "n is True"),
        ({"n": 1, "seed": -1}, "seed is -1"),
        ({"n": 1, "seed": 2**63}, "seed is 9223372036854775808"),
        ({"n": 1, "seed": 0, "start": -2}, "start is -2"),
        ({"n": 1, "seed": 0, "standardize": "zca"}, "standardize is 'zca', expected one of whiten, rms, none"),
    ],
)
def test_wrong_draws_are_refused(arguments, message):
    model = common_cause((2,))
    with pytest.raises(InvalidQueryError, match=message):
        model.sample(arguments.pop("n"), **arguments)


def test_other_wrong_requests_are_refused():
    model = common_cause((2,))
    with pytest.raises(InvalidQueryError, match="rows is -1"):
        model.sample_rows([0, -1], seed=0)
    with pytest.raises(InvalidQueryError, match=r"latents of x1 have shape \(3, 4\), expected \(n, 2\)"):
        model.standardize_latents(np.zeros((3, 4)), "x1", "rms")
    with pytest.raises(InvalidQueryError, match="blocks names 'y'"):
        model.decode(model.sample(1, seed=0), "y")
    with pytest.raises(InvalidQueryError, match="standardize is 'zca'"):
        model.linear_decoder("x1", "zca")
    with pytest.raises(InvalidQueryError, match="standardize is 'zca'"):
        model.unstandardize_latents(np.zeros((1, 2)), "x1", "zca")


def test_latents_are_frozen():
    drawn = common_cause((2,)).sample(1, seed=0)
    assert isinstance(drawn, Latents)
    with pytest.raises(AttributeError):
        drawn.seed = 3
    assert latents.STANDARDIZATIONS == ("whiten", "rms", "none")


@pytest.mark.parametrize("mi", [15.0, 20.0, 37.0, 60.0, 160.0])
def test_whitened_latents_of_loud_causes(mi):
    """z' = t̂ ũ + the rest: the cause keeps its unit variance, where I + change cancels to nothing."""
    model = common_cause((1, 4, 4), mi=mi)
    drawn = model.sample(500, seed=1)
    along = drawn.z["x1"].reshape(500, -1).sum(axis=1) / 4.0
    np.testing.assert_allclose(along, drawn.y, atol=6.0 * math.exp(-mi) + 1e-14)
    np.testing.assert_allclose(model.decode(drawn, "x1"), drawn.y, atol=6.0 * math.exp(-mi) + 1e-14)


def test_whitened_latents_of_a_loud_and_a_quiet_cause():
    """A cause far below ε times the loudest keeps its place: E[y | x1] has the variance that the model says."""
    rng = np.random.default_rng(2)
    model = CausalModel([0.0, 1.0], [[1e17, 3.0]], [[1.0]], shape=(6,), templates=rng.normal(size=(1, 2, 6)))
    drawn = model.sample(4000, seed=3)
    z = drawn.z["x1"]
    np.testing.assert_allclose(z.T @ z / 4000, np.eye(6), atol=0.12)
    first, second = (model.template(0, k) for k in range(2))
    clear = second - (second @ first) / (first @ first) * first
    found = np.corrcoef(z @ clear, drawn.y)[0, 1]
    expected = math.sqrt(-math.expm1(-2.0 * model.mutual_information("x1", "y")))
    assert found == pytest.approx(expected, abs=4.0 * (1.0 - expected**2) / math.sqrt(4000))
