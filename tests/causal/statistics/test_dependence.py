"""Undeclared dependence: residuals have the declared law, honest data pass, single copied numbers are found."""

import math

import numpy as np
import pytest
from scipy import fft, stats

from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities, independent, two_telescopes
from mmmi_hf.causal.statistics.dependence import CROSSWISE, FEWEST_CROSSWISE, _geometry, _spanned
from mmmi_hf.causal.statistics.law_tests.latents import law_tests, refused
from mmmi_hf.causal.statistics.p_values import largest_cosine, likest_rows, unit
from mmmi_hf.causal.statistics.regressions import Regressions

MODEL = common_cause((1, 8, 8), mi=1.0)
MATRIX = np.random.default_rng(0).standard_normal((14, 20))
MODELS = {
    "common cause": common_cause((1, 4, 4), mi=1.0),
    "two telescopes": two_telescopes((3, 4, 4)),
    "ten modalities": decaying_modalities((5,), modalities=10, alpha=1.6, beta=1.1),
    "shared noise": CausalModel([1.0], [[0.5], [0.5]], [[1.0, 0.5], [0.5, 1.0]], shape=(1, 3, 3)),
    "shared noise, no cause": CausalModel([1.0], [[0.0], [0.0]], [[1.0, 0.5], [0.5, 1.0]], shape=(1, 3, 3)),
    "dense": CausalModel.from_matrix(MATRIX, [(1, 3, 3), (4,)]),
    "dense, one shape": CausalModel.from_matrix(MATRIX[:13], [(2, 3), (2, 3)]),
    "different shapes": common_cause([(1, 3, 3), (4,)], mi=0.7),
    "vectors": common_cause((7,), mi=0.5, modalities=3),
    "scalars": common_cause((1,), mi=0.5),
    "null": independent((1, 3, 3)),
    "loud": common_cause((1, 3, 3), mi=7.0),
}
ALL_KINDS = pytest.mark.parametrize("kind", ["whiten", "rms", "none"])


def outcome(model, n, seed, kind="whiten", change=None):
    latents = model.sample(n, seed=seed, standardize=kind)
    z, y = {name: values.copy() for name, values in latents.z.items()}, latents.y.copy()
    if change is not None:
        change(z, y)
    return law_tests(model, z, y, kind, np.random.default_rng([seed, 1]))


@pytest.mark.statistical
@ALL_KINDS
@pytest.mark.parametrize("name", MODELS)
def test_residuals_are_independent_normals_given_the_other_block(name, kind):
    """Against samples: every covariance of (first, residual) within 5 standard errors."""
    model, n = MODELS[name], 20_000
    latents = model.sample(n, seed=3, standardize=kind)
    regressions = Regressions(model)
    blocks = regressions.whitened(latents.z, kind)
    blocks = {"y": latents.y[:, None] / math.sqrt(model.variance_y), **blocks}
    largest, count = 0.0, 0
    names = list(blocks)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            regression = regressions.between(first, second)
            if regression is None:
                continue
            joint = np.concatenate([blocks[first], regression.residual(blocks[first], blocks[second])], axis=1)
            size = joint.shape[1]
            error = np.sqrt((1.0 + np.eye(size)) / n)
            largest = max(largest, float(np.abs((joint.T @ joint / n - np.eye(size)) / error).max()))
            count += size * (size + 1) // 2
    print(f"{name}, {kind}: largest z = {largest:.1f} of {count}")
    assert largest < 5
    assert count or (name == "loud" and kind != "whiten")


@pytest.mark.statistical
@ALL_KINDS
def test_honest_latents_of_every_model_are_refused_as_seldom_as_stated(kind):
    level, refusals, count = 0.1, 0, 0
    for i, model in enumerate(MODELS.values()):
        for repetition in range(10 if len(model.modalities) < 10 else 3):
            refusals += bool(refused(outcome(model, 20, 100 * i + repetition, kind), level))
            count += 1
    z = (refusals / count - level) / math.sqrt(level * (1 - level) / count)
    print(f"{kind}: {refusals} of {count} at {level}, z = {z:.1f}")
    assert z < 3


def p_of_cosine(a, v):
    return largest_cosine(np.array([unit(a.T[:1])[0] @ unit(v.T[:1])[0]]), len(a), "")[0]


@pytest.mark.statistical
@pytest.mark.parametrize("n", [5, 30])
def test_uncorrected_p_values_are_uniform(n):
    generator = np.random.default_rng(n)
    found = {"cosine": [], "span": [], "geometry": [], "row": []}
    for _ in range(1000):
        a, v = generator.exponential(size=(n, 1)), generator.standard_normal((n, 3))
        found["cosine"].append(p_of_cosine(a, v))
        found["span"].append(_spanned(a, v)[0][0])
        found["row"].append(likest_rows(unit(a.T), unit(v.T[:1]))[0])
        found["geometry"].append(min(1.0, _geometry(a, v)))
    for name, values in found.items():
        if name == "geometry":  # a bound
            z = (np.mean(np.array(values) < 0.05) - 0.05) / math.sqrt(0.05 * 0.95 / 1000)
            print(f"{name}, {n}: z = {z:.1f}")
            assert z < 3
        else:
            p_value = stats.kstest(values, "uniform").pvalue
            print(f"{name}, {n}: p = {p_value:.3f}")
            assert p_value > 0.001


def in_cosines(values):
    return fft.dctn(values, axes=(-2, -1), norm="ortho")


def from_cosines(values):
    return fft.idctn(values, axes=(-2, -1), norm="ortho")


def y_in_a_pixel(z, y):
    z["x1"][:, 0, 3, 3] = y / y.std()


def y_in_a_coefficient(z, y):
    spectrum = in_cosines(z["x1"])
    spectrum[:, 0, -2, -1] = y
    z["x1"] = from_cosines(spectrum)


def pixel_copied(z, y):
    z["x2"][:, 0, 3, 3] = z["x1"][:, 0, 3, 3]


def pixel_copied_elsewhere(z, y):
    z["x2"][:, 0, 3, 3] = z["x1"][:, 0, 5, 2]


def pixel_doubled(z, y):
    z["x1"][:, 0, 3, 3] = z["x1"][:, 0, 5, 2]


def coefficients_copied(z, y):
    first, second = in_cosines(z["x1"]), in_cosines(z["x2"])
    half = first.shape[-1] // 2
    second[..., half:, half:] = first[..., half:, half:]
    z["x2"] = from_cosines(second)


def turned_copy(z, y):
    flat = z["x1"].reshape(len(y), -1)
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((flat.shape[1],) * 2))[0]
    z["x2"] = (flat @ turn).reshape(z["x2"].shape)


def rows_repeated(z, y):
    half = len(y) // 2
    for values in z.values():
        noise = np.random.default_rng(5).standard_normal(values[half:].shape)
        values[half:] = values[:half] + 0.05 * values.std() * noise


FOUND_BY = {
    y_in_a_pixel: "coordinates and y",
    y_in_a_coefficient: "coordinates and y",
    pixel_copied: "coordinates of two modalities",
    pixel_copied_elsewhere: "coordinates crosswise",
    pixel_doubled: "coordinates crosswise",
    coefficients_copied: "coordinates of two modalities",
    turned_copy: "geometry of two modalities",
    rows_repeated: "likeness of rows",
}


@pytest.mark.statistical
@ALL_KINDS
@pytest.mark.parametrize("change", FOUND_BY, ids=lambda change: change.__name__)
def test_copied_numbers_are_found_without_the_seed(change, kind):
    for seed in range(5):
        assert FOUND_BY[change] in {test.name for test in refused(outcome(MODEL, 64, seed, kind, change))}


@pytest.mark.parametrize("change", [y_in_a_pixel, y_in_a_coefficient, pixel_copied], ids=lambda change: change.__name__)
def test_one_number_of_a_thousand_is_found_without_the_seed(change):
    model = common_cause((1, 32, 32), mi=1.0)
    for seed in range(3):
        assert FOUND_BY[change] in {test.name for test in refused(outcome(model, 64, seed, "whiten", change))}


def test_y_along_a_secret_direction_is_found_with_more_rows_than_coordinates():
    def change(z, y):
        direction = unit(np.random.default_rng(5).standard_normal((1, 64)))[0].reshape(1, 8, 8)
        along = (z["x1"] * direction).sum(axis=(1, 2, 3))
        z["x1"] += (y - along)[:, None, None, None] * direction

    (test,) = (test for test in outcome(MODEL, 80, 0, "whiten", change) if test.name == "coordinates and y")
    assert test in refused([test])
    assert test.where == "x1, all, regressed on"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200])
@pytest.mark.parametrize("block", ["x2", "y"])
@ALL_KINDS
def test_impossible_values_are_refused_and_named(value, block, kind):
    def change(z, y):
        (y if block == "y" else z[block])[3] = value

    (test,) = outcome(MODEL, 16, 0, kind, change)
    assert (test.p_value, test.where) == (0.0, f"{block}, sampled row 3")
    assert refused([test]) == [test]


@ALL_KINDS
@pytest.mark.parametrize("name", MODELS)
def test_rows_and_blocks_of_zeros_are_refused_and_crash_nothing(name, kind):
    def rows(z, y):
        for values in z.values():
            values[:2] = 0.0
        y[:2] = 0.0

    def blocks(z, y):
        z["x1"][:] = 0.0
        y[:] = 0.0

    outcome(MODELS[name], 16, 0, kind, rows)
    assert refused(outcome(MODELS[name], 16, 0, kind, blocks))


def test_residuals_too_small_for_stored_images_are_left_out():
    close = Regressions(CausalModel([1.0], [[1.0], [1.0]], [[1.0, 0.0], [1.0, 0.009]], shape=(3,)))
    assert close.between("x1", "x2") is None
    assert close.between("y", "x1") is not None
    assert Regressions(common_cause((3,), mi=9.5)).between("y", "x1") is None
    assert Regressions(common_cause((3,), mi=20.0)).between("y", "x1") is None


@pytest.mark.parametrize(
    "model",
    [
        common_cause((1, 3, 3), mi=7.0),
        CausalModel.from_matrix(np.diag([1.0, 1e-3, 1.0, 1.0]) + np.eye(4, k=1), [(3,)]),
    ],
    ids=["structured", "dense"],
)
def test_latents_that_whitening_would_magnify_are_compared_by_rows_alone(model):
    regressions = Regressions(model)
    latents = model.sample(64, seed=0, standardize="rms")
    left_out = [name for name in model.modalities if name not in regressions.whitened(latents.z, "rms")]
    names = {test.name for test in outcome(model, 64, 0, "rms")}
    assert "likeness of rows" in names
    assert "x1" in left_out
    rows, deviations = regressions.deviations(latents.z["x1"], "x1", "rms")
    others, _ = regressions.deviations(model.sample(20_000, seed=1, standardize="rms").z["x1"], "x1", "rms")
    spread = (others @ rows[:3].T).std(axis=0) / deviations[:3]
    np.testing.assert_allclose(spread, 1.0, atol=5 / math.sqrt(2 * 20_000))


def test_crosswise_comparison_is_left_out_where_it_is_dear():
    d = math.isqrt(CROSSWISE // (6 * FEWEST_CROSSWISE)) + 1
    names = {test.name for test in outcome(independent((d,)), FEWEST_CROSSWISE, 0)}
    assert "coordinates crosswise" not in names
    assert "coordinates of two modalities" in names
