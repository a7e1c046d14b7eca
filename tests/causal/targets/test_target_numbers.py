"""Every quantity of a target by a second route, over random models: .01 to 5 nats, 2 to 50 classes.

1e-10 where quadrature is of one dimension, 1e-8 in two, 1e-6 beyond; Monte Carlo within four standard errors. A few
models of each kind always, many with `-m slow`.
"""

from __future__ import annotations

import dataclasses
import math

import mpmath
import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, NotExactError, categorical_cause, common_cause
from mmmi_hf.causal.shifts import divergence_of_scale
from mmmi_hf.causal.targets.kinds.classes import Classes
from mmmi_hf.causal.targets.kinds.function import Function
from mmmi_hf.causal.targets.line import Line
from tests.causal.causal_oracles import dense_rows
from tests.causal.targets import target_oracles as oracles
from tests.causal.targets.target_oracles import mixing_model, separate_causes

FEW, MANY = 4, 60


def seeds(few=FEW, many=MANY):
    return [*range(few), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(few, many))]


def nats(rng) -> float:
    return float(10.0 ** rng.uniform(-2.0, math.log10(5.0)))


def random_classes(rng, seed: int) -> Classes:
    """Equal, random, or rare and narrow bins, or labels that are often wrong; every other one has 50."""
    count = 50 if seed % 2 else int(rng.integers(2, 51))
    kind = seed % 4 if seed < 8 else int(rng.integers(4))
    if kind == 0:
        return Classes(quantiles=count)
    if kind == 1:
        return Classes(edges=np.sort(rng.uniform(-6.5, 6.5, count - 1)) + 1e-6 * np.arange(count - 1))
    edges = np.sort(rng.normal(size=count - 1)) + 1e-3 * np.arange(count - 1)
    if kind == 2:
        return Classes(edges=edges, flip=float(rng.uniform(0.0, 0.9)))
    noise = 0.6 * np.eye(count) + 0.4 * rng.dirichlet(np.full(count, 0.3), size=count)
    return Classes(edges=edges, noise=noise / noise.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("seed", seeds())
def test_classes(seed):
    rng = np.random.default_rng([1, seed])
    target, level = random_classes(rng, seed), (0.01, 5.0)[seed] if seed < 2 else nats(rng)
    view = target.seen(Line(level))
    expected = oracles.information_of_classes(level, target.edges, target.noise)
    found = view.information()
    print(
        f"{target.classes} classes, {level:.4f} nats: {found.value} beside {expected}, stated error {found.error:.1e}"
    )
    assert abs(found.value - expected) < 1e-10
    assert found.error < 1e-10
    weights, values = view.pointwise_law()
    assert weights @ values == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("seed", seeds(4, 40))
def test_accuracies_of_classes(seed):
    rng = np.random.default_rng([2, seed])
    count, level = (50, 5.0) if seed == 0 else (int(rng.integers(2, 51)), nats(rng))
    target = Classes(edges=np.sort(rng.normal(size=count - 1)) + 1e-3 * np.arange(count - 1))
    found, expected = target.seen(Line(level)).accuracy(), oracles.accuracy_of_classes(level, target.edges)
    print(f"{count} classes, {level:.4f} nats: {found.value} beside {expected}, stated error {found.error:.1e}")
    assert abs(found.value - expected) < 1e-10
    assert found.error < 1e-10


@pytest.mark.parametrize("seed", seeds(3, 30))
def test_parities_of_two_and_three(seed):
    rng = np.random.default_rng([3, seed])
    count = 2 + seed % 2
    levels, flip = [nats(rng) for _ in range(count)], float(rng.choice([0.0, 0.1, 0.45, 0.9]))
    model = separate_causes(levels, {"parity": {"causes": list(range(count)), "flip": flip}})
    names = list(model.modalities)
    expected = oracles.product_of_parity(levels, flip)
    print(f"{levels}, flip {flip}: {model.mutual_information(names, 'y')} beside {expected}")
    assert abs(model.mutual_information(names, "y") - expected) < 1e-9
    assert model.mutual_information(names[:-1], "y") == 0.0
    assert model.mutual_information(names[-1], "y") == 0.0


@pytest.mark.parametrize("levels", [[2.5, 2.5, 2.5], [5.0, 0.01, 5.0], [1.0, 2.0]])
def test_the_law_of_the_pointwise_information_of_parities(levels):
    """Floors of certificates rest on it, also where three modalities tell much of a cause each."""
    model = separate_causes(levels, {"parity": {"causes": list(range(len(levels))), "flip": 0.05}})
    names = list(model.modalities)
    weights, values = model.pointwise_law(names)
    mean = float(weights @ values)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert mean == pytest.approx(model.mutual_information(names, "y"), abs=1e-9)
    assert weights @ values**2 - mean**2 == pytest.approx(model.pointwise_variance(names, "y"), abs=1e-9)
    latents = model.sample(8192, seed=3)
    found = model.pointwise_mutual_information(latents, names, "y")
    for level in np.quantile(found, [0.05, 0.3, 0.6]):
        expected = float(weights[values <= level].sum())
        score = (np.mean(found <= level) - expected) / math.sqrt(expected * (1.0 - expected) / len(found))
        print(f"{levels}: P(i <= {level:.3f}) = {expected:.4f}, z = {score:+.2f}")
        assert abs(score) < 4.0


@pytest.mark.parametrize("flip", [0.0, 0.1])
def test_pointwise_information_of_parities_far_out(flip):
    """As of latents that were recovered from 8-bit views: p(y | x) of 1e-200 is no 0, by mpmath."""
    levels = [2.5, 1.5]
    model = separate_causes(levels, {"parity": {"causes": [0, 1], "flip": flip}})
    latents = model.sample(6, seed=1)
    far = dataclasses.replace(latents, z={name: 3.0 * z for name, z in latents.z.items()}, y=1 - latents.y)
    names = list(model.modalities)
    found = model.pointwise_mutual_information(far, names, "y")
    means = model.law.posterior_of_causes(tuple(names))
    with mpmath.workdps(800):
        for row in range(6):
            even = mpmath.mpf(1)
            for level, mean in zip(levels, causes_given(model, means, far, row), strict=True):
                negative = mpmath.ncdf(-mpmath.mpf(mean) * mpmath.exp(level))
                even = even * negative + (1 - even) * (1 - negative)
            even = (1 - 2 * mpmath.mpf(flip)) * even + flip
            chance = 1 - even if far.y[row] else even
            expected = float(mpmath.log(2 * chance))
            print(row, found[row], expected)
            assert found[row] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.min() < (-20.0 if flip == 0.0 else -1.0)


def causes_given(model, posterior, latents, row):
    """E[ũ_k | x] of a row."""
    plain = {name: model.unstandardize_latents(z, name, latents.standardize) for name, z in latents.z.items()}
    return posterior.mean({name: z.reshape(len(z), -1) for name, z in plain.items()})[row]


def test_two_causes_that_modalities_mix_have_a_law_too():
    model = mixing_model(3, 2).with_target({"parity": {"causes": [0, 1]}})
    weights, values = model.pointwise_law(["x1", "x2"])
    assert weights @ values == pytest.approx(model.mutual_information(["x1", "x2"], "y"), abs=1e-9)


@pytest.mark.parametrize("seed", seeds(2, 20))
def test_parities_of_four(seed):
    """By its series, whose terms fall fast where labels are often wrong."""
    rng = np.random.default_rng([4, seed])
    levels, flip = [nats(rng) for _ in range(4)], float(rng.uniform(0.1, 0.4))
    model = separate_causes(levels, {"parity": {"causes": [0, 1, 2, 3], "flip": flip}})
    names = list(model.modalities)
    k, product = np.arange(1, 120), 1.0
    for level in levels:
        scale = math.sqrt(math.expm1(2.0 * level))
        t, mass = oracles.legendre(np.unique([*np.linspace(0, 9, 19), *(np.geomspace(0.05, 8, 16) / scale)]))
        product = product * np.array(
            [2.0 * mass @ (1.0 - 2.0 * oracles.norm.sf(scale * t)) ** (2 * each) for each in k]
        )
    expected = float(((1.0 - 2.0 * flip) ** (2 * k) * product / (2 * k * (2 * k - 1))).sum())
    print(f"{levels}, flip {flip:.3f}: {model.mutual_information(names, 'y')} beside {expected}")
    assert abs(model.mutual_information(names, "y") - expected) < 1e-9
    for size in (1, 2, 3):
        assert model.mutual_information(names[:size], "y") == 0.0


@pytest.mark.parametrize("seed", seeds(3, 24))
def test_tables_of_two_and_three(seed):
    rng = np.random.default_rng([6, seed])
    count = 2 + seed % 2
    levels, labels = [nats(rng) for _ in range(count)], int(rng.integers(2, 5))
    table = [*range(labels), *rng.integers(0, labels, 2**count - labels).tolist()]
    target = {
        "boolean": {"causes": list(range(count)), "table": rng.permutation(table).tolist(), "flip": 0.1 * (seed % 3)}
    }
    model = separate_causes(levels, target)
    names = list(model.modalities)
    chances = model.target.chances.reshape((2,) * count + (-1,))
    expected = oracles.information_of_table(levels, chances)
    print(f"{levels}: {model.mutual_information(names, 'y')} beside {expected}")
    assert abs(model.mutual_information(names, "y") - expected) < (1e-8 if count == 2 else 1e-6)


@pytest.mark.parametrize("seed", seeds(3, 24))
def test_folded_functions(seed):
    rng = np.random.default_rng([7, seed])
    level, frequency = nats(rng), float(rng.uniform(0.3, 4.0))
    for target, turning in (
        ({"name": "absolute"}, None),
        ({"name": "square"}, None),
        ({"name": "sine", "frequency": frequency}, frequency),
    ):
        found = Function(**target).seen(Line(level)).information()
        expected = oracles.information_of_fold(level, turning)
        print(f"{target}, {level:.4f} nats: {found.value} beside {expected}, stated error {found.error:.1e}")
        assert abs(found.value - expected) < 1e-8


@pytest.mark.parametrize("seed", seeds(4, 30))
def test_categorical_causes(seed):
    """Categories that hardly differ, that all but tell themselves apart, and labels that are wrong."""
    rng = np.random.default_rng([5, seed])
    count, far = int(rng.integers(2, 6)) if seed % 2 else int(rng.integers(6, 20)), (0.05, 1.0, 6.0, 15.0)[seed % 4]
    means = far * rng.normal(size=(2, count))
    means *= min(1.0, 55.0 / float(np.ptp(means, axis=1).max()))
    probabilities = rng.dirichlet(np.full(count, 2.0)) * 0.98 + 0.02 / count
    probabilities /= probabilities.sum()
    flip = {"flip": 0.2} if seed % 3 else {}
    model = categorical_cause((2,), means=means.tolist(), probabilities=probabilities.tolist()).with_target(
        {"category": {"categories": count, **flip}}
    )
    chances = model.target.chances
    for place, name in enumerate(("x1", "x2")):
        expected = oracles.information_of_category(means[[place]], probabilities, chances, 0.25)
        assert abs(model.mutual_information(name, "y") - expected) < 1e-10
    both, expected = (
        model.mutual_information(["x1", "x2"], "y"),
        oracles.information_of_category(means, probabilities, chances, 2.0),
    )
    print(
        f"{count} categories, {far}: {both} beside {expected}, error {model.information_error(['x1', 'x2'], 'y'):.1e}"
    )
    assert abs(both - expected) < 1e-8


@pytest.mark.parametrize("dof", [2.1, 3.0, 8.0, 50.0])
def test_student_scales_and_margins(dof):
    """Pointwise values of a common scale by the density of the multivariate Student law, margins by what they are."""
    model = mixing_model(2, 2)
    own = CausalModel(
        model.eta,
        model.weights,
        np.eye(2),
        shape=(4,),
        templates=[[model.template(i, k) for k in range(2)] for i in range(2)],
    )
    scaled = own.with_common_scale(dof)
    drawn = scaled.sample(6000, seed=4)
    for blocks in ("x1", ["x1", "x2"]):
        found = scaled.pointwise_mutual_information(drawn, blocks, "y")
        score = (found.mean() - scaled.mutual_information(blocks, "y")) / (found.std() / math.sqrt(len(found)))
        print(f"dof {dof}, {blocks}: z = {score:+.2f}")
        assert abs(score) < 4.0
    margin = Function(name="student", dof=dof)
    view = margin.seen(Line(0.8))
    assert view.information().value == 0.8
    if dof < 3.0:
        with pytest.raises(NotExactError, match="from 3 degrees of freedom on"):
            view.r2_ceiling()
        return
    t, mass = oracles.legendre(np.linspace(-12.0, 12.0, 25), 20)
    inner = margin.function.of((Line(0.8).rho * t[:, None] + Line(0.8).sine * t).ravel()).reshape(len(t), -1) @ mass
    assert view.r2_ceiling().value == pytest.approx(float(mass @ inner**2) / margin.function.variance, abs=1e-8)


@pytest.mark.parametrize("scale", [0.1, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_shifts(scale, seed):
    """KL by determinants of dense matrices, and by Monte Carlo of the ratio of densities."""
    model = mixing_model(seed, 2)
    matrix, rows = dense_rows(model)
    part = matrix[np.concatenate([rows[name] for name in ("x1", "x2")])]
    for cause in range(2):
        observed = part @ part.T
        done = observed + (scale**2 - 1.0) * np.outer(part[:, cause], part[:, cause])
        ratio = np.linalg.solve(observed, done)
        expected = 0.5 * (np.trace(ratio) - len(part) - np.linalg.slogdet(ratio)[1])
        found = divergence_of_scale(model, cause, scale, ["x1", "x2"])
        assert abs(found - expected) < 1e-10 * max(1.0, expected)
        factor = np.linalg.cholesky(done)
        draws = np.random.default_rng(seed).normal(size=(20_000, len(part))) @ factor.T
        logs = 0.5 * (
            np.einsum(
                "ni,ij,nj->n",
                draws,
                np.linalg.solve(observed, np.eye(len(part))) - np.linalg.solve(done, np.eye(len(part))),
                draws,
            )
            - np.linalg.slogdet(ratio)[1]
        )
        assert abs(logs.mean() - found) < 4.0 * logs.std() / math.sqrt(len(logs)) + 1e-12


def test_what_is_nothing_is_exactly_nothing():
    """The null has no information of any kind of target, and no rounding of it."""
    null = CausalModel([1.0, 1.0, 1.0], np.zeros((3, 3)), np.eye(3), shape=(4,))
    for target in (
        {"classes": {"quantiles": 50}},
        {"classes": {"edges": [-3.0, 0.1, 2.0], "flip": 0.3}},
        {"parity": {"causes": [0, 1, 2]}},
        {"boolean": {"causes": [0, 1, 2], "table": [0, 0, 0, 1, 0, 1, 1, 1]}},
        {"several": {"coefficients": [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]}},
        {"function": {"name": "square"}},
        {"function": {"name": "sine", "frequency": 3.0}},
        {"function": {"name": "student", "dof": 2.1}},
    ):
        model = null.with_target(target)
        for blocks in ("x1", ["x1", "x2"], ["x1", "x2", "x3"]):
            assert model.mutual_information(blocks, "y") == 0.0
            assert model.with_missing({"x1": 0.3}).mutual_information(blocks, "y") == 0.0
        if model.classes is not None:
            assert model.bayes_accuracy(["x1", "x2"]).value == float(model.class_prior.max())
    for count in (2, 3, 4):
        parity = separate_causes([3.0] * count, {"parity": {"causes": list(range(count))}})
        names = list(parity.modalities)
        for left_out in names:
            rest = [name for name in names if name != left_out]
            assert parity.mutual_information(rest, "y") == 0.0
            assert not parity.pointwise_mutual_information(parity.sample(20, seed=1), rest, "y").any()


@pytest.mark.parametrize("levels", [[0.01, 1.0, 0.5], [5.0, 2.5, 5.0], [0.3, 0.3, 0.3]])
def test_accuracies_of_three_causes(levels):
    """The parity as a table has a closed accuracy, labels of each sign their product, the majority is counted."""
    causes = {"causes": [0, 1, 2]}
    model = separate_causes(levels, {"parity": {**causes, "flip": 0.1}})
    names = list(model.modalities)
    table = model.with_target({"boolean": {**causes, "table": [0, 1, 1, 0, 1, 0, 0, 1], "flip": 0.1}})
    assert table.bayes_accuracy(names).value == pytest.approx(model.bayes_accuracy(names).value, abs=1e-10)
    majority = model.with_target({"boolean": {**causes, "table": [0, 0, 0, 1, 0, 1, 1, 1]}})
    best = majority.class_posterior(majority.sample(40_000, seed=3), names).max(axis=1)
    found = majority.bayes_accuracy(names)
    score = (best.mean() - found.value) / (best.std() / math.sqrt(len(best)))
    print(f"{levels}: {found}, z = {score:+.2f}")
    assert abs(score) < 4.0
    assert found.error < 1e-7


def test_a_common_cause_of_many_levels_keeps_its_accuracy():
    for level in (0.01, 0.3, 5.0):
        model = common_cause((4,), mi=level).with_target({"classes": {"quantiles": 2}})
        rho = math.sqrt(-math.expm1(-2.0 * level))
        assert model.bayes_accuracy("x1").value == pytest.approx(0.5 + math.asin(rho) / math.pi, abs=1e-12)
