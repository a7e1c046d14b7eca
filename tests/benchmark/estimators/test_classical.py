"""Nearest neighbours, canonical correlations, oracles, the adapter: against independent routes."""

import numpy as np
import pytest
from scipy.special import digamma

from mmmi_hf import CausalModel, common_cause
from mmmi_hf.benchmark import ExactPairs, Pairs, Training, derangement, make_estimator, register_estimator
from mmmi_hf.benchmark.estimator import Estimator
from mmmi_hf.benchmark.neighbours import ksg, subsample_error


def test_ksg_is_its_formula():
    generator = np.random.default_rng(0)
    a = generator.standard_normal((60, 2))
    b = a[:, :1] + generator.standard_normal((60, 1))
    near_a, near_b = (np.abs(x[:, None] - x[None]).max(axis=2) for x in (a, b))
    joint = np.maximum(near_a, near_b)
    radius = np.sort(joint, axis=1)[:, 3]
    counts = [[(row < r).sum() - 1 for row, r in zip(near, radius, strict=True)] for near in (near_a, near_b)]
    value = digamma(3) + digamma(60) - np.mean(digamma(np.add(counts, 1)).sum(axis=0))
    assert ksg(a, b, 3) == pytest.approx(value)
    with pytest.raises(ValueError, match="needs more rows than 3"):
        ksg(a[:3], b[:3], 3)


@pytest.mark.statistical
def test_repeated_and_constant_coordinates_are_no_components():
    generator = np.random.default_rng(3)
    x = generator.standard_normal((900, 1))
    a = np.concatenate([x, x, 2 * x, np.full_like(x, 0.1)], axis=1)
    pairs = Pairs(a, x[:, 0] + 0.5 * generator.standard_normal(900))
    parts = [pairs.take(np.arange(300 * i, 300 * (i + 1))) for i in range(3)]
    found = make_estimator("pca-ksg").fit(*parts[:2]).estimate(parts[2])
    truth = 0.5 * np.log1p(4)
    z = (found.value - truth) / found.standard_error
    print(f"{found.value:.3f} ± {found.standard_error:.3f}, truth {truth:.3f}, z {z:.2f}")
    assert found.details["dimensions"] == [1, 1]
    assert abs(z) < 4


@pytest.mark.parametrize("name", ["ksg", "pca-ksg", "cca", "ba", "infonce"])
def test_blocks_that_tell_nothing_or_leave_float_are_named(name):
    generator = np.random.default_rng(3)
    good = Pairs(generator.standard_normal((100, 2)), generator.standard_normal(100))
    for bad, says in (
        (Pairs(np.ones((100, 2)), good.b), "train: a is the same in all 100 rows"),
        (Pairs(good.a, np.zeros(100)), "train: b is the same in all 100 rows"),
        (Pairs(good.a * 1e200, good.b), r"train: a has values up to .*e\+200, expected 1e-12 … 1e\+12"),
        (Pairs(good.a, good.b * 1e-200), "train: b has values up to .*e-200"),
    ):
        with pytest.raises(ValueError, match=says):
            make_estimator(name).fit(bad, good)
        with pytest.raises(ValueError, match=says.replace("train", "validation")):
            make_estimator(name).fit(good, bad)
    fitted = make_estimator("ksg").fit(good, good)
    with pytest.raises(ValueError, match="test: a is the same"):
        fitted.estimate(Pairs(np.ones((100, 2)), good.b))


@pytest.mark.statistical
def test_ba_bears_coordinates_that_depend_on_each_other():
    generator = np.random.default_rng(2)
    covariance = np.full((3, 3), 0.9) + 0.1 * np.eye(3)
    mix = generator.standard_normal((3, 4))

    def rows(count):
        b = generator.standard_normal((count, 3)) @ np.linalg.cholesky(covariance).T
        return Pairs(b @ mix + generator.standard_normal((count, 4)), b)

    truth = 0.5 * np.linalg.slogdet(np.eye(4) + mix.T @ covariance @ mix)[1]
    recipe = Training(encoder="mlp", width=32, batch_size=128, steps=1000, learning_rate=3e-3)
    found = make_estimator("ba", training=recipe).fit(rows(3000), rows(1000)).estimate(rows(3000))
    print(f"{found.value:.3f} ± {found.standard_error:.3f}, truth {truth:.3f}")
    assert found.value < truth + 3 * found.standard_error
    assert found.value > 0.8 * truth


@pytest.mark.statistical
def test_the_subsample_error_is_the_spread_of_means():
    generator = np.random.default_rng(1)
    found = []
    for _ in range(200):
        rows = generator.standard_normal(600)
        found.append(subsample_error(lambda part, rows=rows: float(rows[part].mean()), 600))
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(1 / np.sqrt(600), rel=0.1)
    assert subsample_error(lambda part: 0.0, 30) is None


@pytest.mark.statistical
@pytest.mark.parametrize("pair", [("x1", "y"), ("x1", "x2")])
def test_cca_finds_one_direction_among_as_many_as_half_the_rows(pair):
    model = common_cause((1, 10, 10), mi=1.5)
    latents = model.sample(1400, seed=0)
    pairs = Pairs(*(latents.y if name == "y" else latents.z[name] for name in pair))
    train, validation, test = (pairs.take(np.arange(*ends)) for ends in ((0, 400), (400, 900), (900, 1400)))
    found = make_estimator("cca").fit(train, validation).estimate(test)
    truth = model.mutual_information(*pair)
    print(f"{found.value:.3f} ± {found.standard_error:.3f}, truth {truth:.3f}")
    assert 0.6 * truth < found.value < truth + 3 * found.standard_error
    assert found.details["variates"] <= 3


def test_sufficient_statistics_keep_all_the_information():
    model = CausalModel(
        [1.0, 0.5], [[0.6, 0.2], [0.3, 0.9]], np.eye(2), shape=(1, 2, 3), templates=[["ones", "ones"]] * 2
    )
    latents = model.sample(4000, seed=0)
    for pair in (("x1", "y"), ("x1", "x2"), ("y", "x2")):
        a, b = ExactPairs.of(model, latents, *pair).sufficient()
        covariance = np.cov(np.concatenate([a, b], axis=1).T)
        p = a.shape[1]
        keep_a, keep_b = (
            np.linalg.matrix_rank(covariance[:p, :p], tol=1e-6),
            np.linalg.matrix_rank(covariance[p:, p:], tol=1e-6),
        )
        blocks = [covariance[:keep_a, :keep_a], covariance[p : p + keep_b, p : p + keep_b]]
        kept = np.r_[0:keep_a, p : p + keep_b]
        logs = [np.linalg.slogdet(block)[1] for block in (*blocks, covariance[np.ix_(kept, kept)])]
        value, truth = (logs[0] + logs[1] - logs[2]) / 2, model.mutual_information(*pair)
        # of normal rows the variance is the sum of the squared canonical correlations over the rows
        across = covariance[np.ix_(kept[:keep_a], kept[keep_a:])]
        squares = np.trace(np.linalg.solve(blocks[0], across) @ np.linalg.solve(blocks[1], across.T))
        z = (value - truth) / np.sqrt(squares / len(a))
        print(f"{pair}: {value:.4f}, truth {truth:.4f}, z {z:.2f}")
        assert abs(z) < 4


def test_oracles_refuse_what_has_no_small_statistics():
    shared = CausalModel([1.0], [[1.0], [1.0]], [[1.0, 0.5], [0.5, 1.0]], shape=(2,))
    dense = CausalModel.from_matrix(np.random.default_rng(0).standard_normal((5, 5)), [(2,), (2,)])
    for model, match in ((shared, "share a vector source"), (dense, "not one of a matrix")):
        exact = ExactPairs.of(model, model.sample(20, seed=0), "x1", "x2")
        with pytest.raises(ValueError, match=match):
            exact.sufficient()
        assert exact.densities().shape == (20,)


def test_pairs_and_names_are_checked():
    good = np.zeros((5, 2))
    bad = good.copy()
    bad[3, 1] = np.nan
    for a, b, match in (
        (good, np.zeros(4), "a has 5 rows and b 4"),
        (bad, good, r"finite, got NaN or infinity in rows \[3\]"),
        (good, [1.0], "b must be a floating-point array"),
        (good.astype(int), good, "int64 of shape"),
    ):
        with pytest.raises(ValueError, match=match):
            Pairs(a, b)
    with pytest.raises(ValueError, match="cannot be deranged"):
        derangement(1, np.random.default_rng(0))
    for n in (2, 3, 50):
        partner = derangement(n, np.random.default_rng(n))
        assert sorted(partner) == list(range(n))
        assert not np.any(partner == np.arange(n))
    for name, settings, match in (
        ("ksgg", {}, "did you mean"),
        ("zzzz", {}, "expected one of dv"),
        ("ksg", {"k": 3}, "has no setting 'k', expected neighbours"),
        ("ksg", {"neighbours": 0}, "ksg.neighbours: input should be greater than or equal to 1, got 0"),
        ("pca-ksg", {"components": 1.5}, "pca-ksg.components: input should be a valid integer, got 1.5"),
    ):
        with pytest.raises(ValueError, match=match):
            make_estimator(name, **settings)
    with pytest.raises(ValueError, match="registered already"):

        @register_estimator("dv")
        class Another(Estimator):
            pass


def test_an_order_of_their_own_needs_all_coordinates():
    generator = np.random.default_rng(0)
    a = np.zeros((40, 6))
    a[:, 5] = generator.standard_normal(40)
    pairs, order = Pairs(a, np.zeros(40)), generator.permutation(40)
    assert np.array_equal(pairs.shuffled(1).a, pairs.take(order).shuffled(1).a)
    assert not np.array_equal(pairs.shuffled(2).a, pairs.shuffled(1).a)
