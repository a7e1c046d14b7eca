"""Values of categorical causes by adaptive quadrature in mpmath and SciPy, and by their definitions."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import dblquad

from mmmi_hf.causal import CausalModel, InvalidModelError, NotExactError, categorical_cause, common_cause
from mmmi_hf.causal.laws.categorical.categorical_law import CategoricalLaw
from mmmi_hf.causal.laws.categorical.mixture import Mixture

THREE = categorical_cause((2, 2), means=[[-1.2, 0.3, 1.5], [0.4, -1.0, 0.9]], probabilities=[0.5, 0.3, 0.2])


def entropy(p):
    p = np.asarray(p)
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def by_mpmath(means, probabilities, chances):
    """I of one number by adaptive quadrature with 20 digits."""
    mpmath.mp.dps = 20
    prior = np.asarray(probabilities) @ chances

    def information(t):
        density = [p * mpmath.npdf(t, m, 1) for p, m in zip(probabilities, means, strict=True)]
        whole = mpmath.fsum(density)
        joint = [mpmath.fsum(d * c for d, c in zip(density, column, strict=True)) for column in chances.T.tolist()]
        return mpmath.fsum(j * mpmath.log(j / (whole * q)) for j, q in zip(joint, prior, strict=True))

    low, high = min(means) - 10, max(means) + 10
    return float(mpmath.quad(information, np.linspace(low, high, 9).tolist(), maxdegree=5))


def by_grid(means, probabilities, chances):
    """The Bayes accuracy of one number, by a fine sum."""
    t = np.linspace(min(means) - 10.0, max(means) + 10.0, 2_000_001)
    density = np.exp(-0.5 * (t[:, None] - means) ** 2) / math.sqrt(2.0 * math.pi) * probabilities
    return float((density @ chances).max(axis=1).sum() * (t[1] - t[0]))


@pytest.mark.parametrize("seed", range(3))
def test_one_modality_agrees_with_adaptive_quadrature(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 4))
    means = rng.normal(scale=rng.uniform(0.2, 2.5), size=count)
    probabilities = rng.dirichlet(np.full(count, 3.0))
    probabilities /= probabilities.sum()
    model = categorical_cause((3,), means=[means.tolist()], probabilities=probabilities.tolist())
    flip = {"category": {"categories": count, "flip": 0.15}}
    for each in (model, model.with_target(flip)):
        chances = each.target.chances
        information = by_mpmath(means.tolist(), probabilities.tolist(), chances)
        accuracy = by_grid(means, probabilities, chances)
        found, error = each.mutual_information("x1", "y"), each.information_error("x1", "y")
        print(seed, count, found, found - information, error)
        assert abs(found - information) < 1e-10
        assert abs(each.bayes_accuracy("x1").value - accuracy) < 1e-9
        assert each.bayes_log_loss("x1").value == pytest.approx(entropy(each.class_prior) - information, abs=1e-10)


def test_two_modalities_agree_with_adaptive_quadrature():
    means, p = np.array([[-1.2, 0.3, 1.5], [0.4, -1.0, 0.9]]), np.array([0.5, 0.3, 0.2])

    def joint(t, u):
        return p * np.exp(-0.5 * ((t - means[0]) ** 2 + (u - means[1]) ** 2)) / (2.0 * math.pi)

    def information(t, u):
        parts = joint(t, u)
        return float((parts * np.log(parts / (parts.sum() * p))).sum())

    whole = dblquad(information, -9.0, 9.0, -9.0, 9.0, epsabs=1e-10)[0]
    assert abs(THREE.mutual_information(["x1", "x2"], "y") - whole) < 1e-8
    alone = THREE.mutual_information("x1", "y") + THREE.mutual_information("x2", "y")
    assert abs(THREE.mutual_information("x1", "x2") - (alone - whole)) < 1e-8
    assert THREE.mutual_information("x1", "x2", "y") == pytest.approx(0.0, abs=1e-14)
    grid = np.linspace(-9.0, 9.0, 3001)
    t, u = np.meshgrid(grid, grid)
    parts = [q * np.exp(-0.5 * ((t - a) ** 2 + (u - b) ** 2)) for q, a, b in zip(p, *means, strict=True)]
    best = np.max(parts, axis=0).sum() * (grid[1] - grid[0]) ** 2 / (2.0 * math.pi)
    assert abs(THREE.bayes_accuracy(["x1", "x2"]).value - best) < 1e-6


def test_three_dimensions_agree_with_monte_carlo():
    means = [[-1.0, 1.0, 0.0, 0.5], [0.0, 1.0, -1.0, 1.5], [1.0, 0.0, 0.0, -1.0]]
    model = categorical_cause((2,), means=means)
    drawn = model.sample(60_000, seed=3)
    names = ["x1", "x2", "x3"]
    found = model.pointwise_mutual_information(drawn, names, "y")
    score = (found.mean() - model.mutual_information(names, "y")) / (found.std() / math.sqrt(len(found)))
    print(model.mutual_information(names, "y"), model.information_error(names, "y"), score)
    assert abs(score) < 4.0
    assert model.information_error(names, "y") < 1e-6
    with pytest.raises(NotExactError, match="span at most two"):
        model.bayes_accuracy(names)


def test_many_categories_and_a_separated_one():
    many = categorical_cause((2,), means=[np.linspace(-20.0, 20.0, 50).tolist()])
    assert 0.0 < many.mutual_information("x1", "y") < math.log(50)
    assert many.information_error("x1", "y") < 1e-10
    for flip in (0.01, 0.2, 0.4):
        apart = categorical_cause((2,), means=[[-7.5, 7.5]] * 2).with_target(
            {"category": {"categories": 2, "flip": flip}}
        )
        exact = math.log(2.0) - entropy([flip, 1.0 - flip])
        for blocks in ("x1", "x2", ["x1", "x2"]):
            assert abs(apart.mutual_information(blocks, "y") - exact) < 1e-12
        assert apart.bayes_accuracy("x1").value == pytest.approx(1.0 - flip, abs=1e-12)
        assert apart.mutual_information("x1", "x2") == pytest.approx(math.log(2.0), abs=1e-11)


def test_the_bijection_along_the_template_is_undone():
    mixture = Mixture(np.array([-7.5, 0.0, 7.5]), np.array([0.2, 0.3, 0.5]))
    t = np.concatenate([np.linspace(-14.0, 14.0, 400), [-30.0, 30.0]])
    u = mixture.normal(t)
    assert np.all(np.diff(u[:400]) >= 0.0)
    density = np.exp(-0.5 * (t[:, None] - mixture.means) ** 2).max(axis=1)
    clear = density > 1e-5
    np.testing.assert_allclose(mixture.undo(u)[clear], t[clear], atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"probabilities": [0.5, 0.5], "means": [[0.0]]}, "1 columns for 2 probabilities"),
        ({"probabilities": [0.5, 0.4], "means": [[0.0, 1.0]]}, "sum to 1"),
        ({"probabilities": [0.5, 0.5], "means": [[1.0, 1.0]]}, "lie 0.0 apart"),
        ({"probabilities": [0.5, 0.5], "means": [[0.0, 100.0]]}, "lie 100.0 apart"),
        ({"probabilities": [1.0], "means": [[0.0]]}, "1 columns for 1 probabilities"),
    ],
)
def test_causes_that_are_none(arguments, says):
    with pytest.raises(InvalidModelError, match=says):
        CategoricalLaw(**arguments, shape=(2,))


def test_what_is_refused():
    with pytest.raises(InvalidModelError, match="categories is 2, but the cause has 3"):
        THREE.with_target({"category": {"categories": 2}})
    with pytest.raises(NotExactError, match="which this categorical model has not"):
        THREE.with_target({"classes": {"quantiles": 2}})
    with pytest.raises(NotExactError, match="which a categorical model has not"):
        THREE.with_target({"parity": {"causes": [0]}})
    with pytest.raises(NotExactError, match="no categorical cause"):
        common_cause((2,), mi=1.0).with_target({"category": {"categories": 2}})
    with pytest.raises(NotExactError, match="all wrong labels are alike"):
        THREE.with_target(
            {"category": {"categories": 3, "noise": [[0.8, 0.2], [0.3, 0.7], [0.5, 0.5]]}}
        ).bayes_accuracy("x1")
    with pytest.raises(NotExactError, match="without a condition"):
        THREE.pointwise_variance("x1", "y", "x2")
    with pytest.raises(NotExactError, match="no canonical correlations"):
        THREE.canonical_correlations("x1", "x2")


def test_what_single_coordinates_tell_of_a_noisy_label():
    """Unwhitened: a mixture with means τ m. Whitened: a template of one coordinate tells all of it, others nothing."""
    means, probabilities = [-1.2, 0.3, 2.0], [0.5, 0.3, 0.2]
    template = np.array([3.0, -4.0, 0.0])
    law = CategoricalLaw(probabilities, [means], (3,), template)
    model = CausalModel.of_law(law).with_target({"category": {"categories": 3, "flip": 0.1}})
    chances = model.target.chances
    expected = [by_mpmath([tau * m for m in means], probabilities, chances) for tau in (0.6, 0.8)]
    np.testing.assert_allclose(model.information_map("x1", standardize="none"), [*expected, 0.0], atol=1e-12)
    np.testing.assert_allclose(model.information_map("x1", standardize="rms"), [*expected, 0.0], atol=1e-12)
    whitened = model.information_map("x1")
    assert 0.0 < whitened[0] < whitened[1] < model.mutual_information("x1", "y")
    one = categorical_cause((3,), means=[means], probabilities=probabilities, templates=np.array([0.0, 2.0, 0.0]))
    one = one.with_target({"category": {"categories": 3, "flip": 0.1}})
    np.testing.assert_allclose(one.information_map("x1"), [0.0, one.mutual_information("x1", "y"), 0.0], atol=1e-12)
