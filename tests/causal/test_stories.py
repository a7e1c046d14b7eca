"""Stories: their coefficients, masks and decays, and every refusal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmmi_hf.causal import (
    CausalModel,
    InfiniteInformationError,
    InvalidModelError,
    common_cause,
    decaying_modalities,
    design,
    independent,
    template_ablation,
    templates,
    two_telescopes,
)


def test_common_cause_coefficients():
    model = common_cause((2, 2), rho_tilde=[1, 2, 3], rho_hat=0.5, eta=4, modalities=3, template="checkerboard")
    assert model.names == ("x1", "x2", "x3", "y")
    np.testing.assert_array_equal(model.eta, [4])
    np.testing.assert_array_equal(model.weights, [[1], [2], [3]])
    np.testing.assert_array_equal(model.mixing, 0.5 * np.eye(3))
    np.testing.assert_array_equal(model.template(2, 0), templates.checkerboard((2, 2)))


def test_common_cause_of_wanted_information_in_every_modality():
    shapes = [(1, 8, 8), (50,)]
    model = common_cause(shapes, mi=0.75, rho_hat=[0.5, 3.0], template="ring")
    for name in model.modalities:
        assert model.mutual_information(name, "y") == pytest.approx(0.75, rel=1e-12)
    negative = common_cause((4,), mi=0.75, rho_hat=-2.0)
    assert negative.mutual_information("x1", "y") == pytest.approx(0.75, rel=1e-12)


def test_two_telescopes_coefficients():
    model = two_telescopes((4, 4), target="mass", rho_tilde_1=2, rho_tilde_2=3, rho_hat_1=4, rho_hat_2=5, eta_1=6)
    np.testing.assert_array_equal(model.eta, [6, 0])
    np.testing.assert_array_equal(model.weights, [[2, 3], [2, 0]])
    np.testing.assert_array_equal(model.mixing, np.diag([4, 5]))
    np.testing.assert_array_equal(model.template(0, 0), templates.gaussian((4, 4)))
    np.testing.assert_array_equal(model.template(0, 1), templates.radial_decay((4, 4)))
    assert model.template(1, 1) is None
    pair = two_telescopes(
        (2,), target="atmosphere", mass_templates=["ones", [1.0, 2.0]], atmosphere_template=[3.0, 4.0]
    )
    np.testing.assert_array_equal(pair.eta, [0, 1])
    np.testing.assert_array_equal(pair.template(1, 0), [1, 2])
    single = two_telescopes((2,), mass_templates=[1.0, 2.0])
    np.testing.assert_array_equal(single.template(0, 0), [1, 2])
    np.testing.assert_array_equal(single.eta, [1, 1])


def test_the_atmosphere_is_more_diffuse_than_the_mass():
    model = two_telescopes((1, 32, 32))
    spread = [(model.template(0, k) / model.template(0, k).max() > 0.2).mean() for k in range(2)]
    assert spread[0] < spread[1]


def test_decaying_coefficients_and_masks():
    cause, source = [1, 0, 1], [[1, 0, 1], [1, 1, 1], [0, 1, 1]]
    model = decaying_modalities(
        (3,), modalities=3, alpha=2, beta=4, rho_tilde=3, rho_hat=[1, 2, 5], eta=7, cause_mask=cause, source_mask=source
    )
    np.testing.assert_allclose(model.weights, [[3], [0], [3 / 16]], rtol=1e-15)
    np.testing.assert_allclose(model.mixing, [[1, 0, 1.25], [0.5, 2, 2.5], [0, 1, 5]], rtol=1e-15)
    apart = decaying_modalities((3,), modalities=3, alpha=math.inf)
    np.testing.assert_array_equal(apart.mixing, np.eye(3))
    growing = decaying_modalities((3,), modalities=3, alpha=2, beta=0.5)
    np.testing.assert_array_equal(growing.weights, [[1], [2], [4]])


def test_without_decay_all_sources_are_shared():
    model = decaying_modalities((3,), modalities=3)
    assert model.mutual_information("x1", "y") == pytest.approx(0.5 * math.log1p(1.0))
    with pytest.raises(InfiniteInformationError):
        model.mutual_information("x1", "x2")


def test_a_thousand_modalities_with_strong_decays():
    model = decaying_modalities((2,), modalities=1000, alpha=3.0, beta=3.0)
    assert model.mutual_information("x1000", "y") == 0.0
    assert model.mutual_information("x1", "x1000") >= 0.0


def test_template_ablation_free_and_decayed():
    default = template_ablation((3,))
    np.testing.assert_array_equal(default.weights, [[1], [1]])
    np.testing.assert_array_equal(default.mixing, np.eye(2))
    free = template_ablation(
        (3,), eta=[1, 2], rho_tilde=[[1, 2], [3, 4], [5, 6]], rho_hat=np.eye(3) + 1, templates=[["ones", "ring"]] * 3
    )
    np.testing.assert_array_equal(free.weights, [[1, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(free.mixing, np.eye(3) + 1)
    np.testing.assert_array_equal(free.template(2, 1), templates.ring((3,)))
    decayed = template_ablation((3,), eta=[1, 2], rho_tilde=[4, 8], rho_hat=2, modalities=3, alpha=2, beta=2)
    np.testing.assert_array_equal(decayed.weights, [[4, 8], [2, 4], [1, 2]])
    np.testing.assert_array_equal(decayed.mixing, [[2, 1, 0.5], [1, 2, 1], [0.5, 1, 2]])
    wide = template_ablation(
        (3,), rho_hat=[1, 2, 3], alpha=2, source_mask=[[1, 1, 0], [1, 1, 1]], cause_mask=[[1], [0]]
    )
    np.testing.assert_array_equal(wide.mixing, [[1, 1, 0], [0.5, 2, 1.5]])
    np.testing.assert_array_equal(wide.weights, [[1], [0]])
    inferred = template_ablation((3,), rho_tilde=[1, 2, 3])
    assert inferred.weights.shape == (2, 3)
    np.testing.assert_array_equal(inferred.eta, [1, 1, 1])


def test_independent_coefficients():
    model = independent([(2, 2), (5,)], rho_hat=[1, 2], eta=3)
    np.testing.assert_array_equal(model.eta, [3])
    np.testing.assert_array_equal(model.mixing, np.diag([1, 2]))
    assert dict(model.shapes) == {"x1": (2, 2), "x2": (5,)}


@pytest.mark.parametrize("mi", [0.0, 1e-9, 0.5, 3.0, 100.0])
def test_design_for_pairs(mi):
    s = design.signal_for_pair_information(mi)
    model = common_cause((7,), rho_tilde=math.sqrt(s / 7))
    assert model.mutual_information("x1", "x2") == pytest.approx(mi, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: common_cause((2,), mi=-1), "mi is -1, expected a finite number of nats"),
        (lambda: common_cause((2,), mi=float("inf")), "mi is inf"),
        (lambda: common_cause((2,), mi=float("nan")), "mi is nan"),
        (lambda: common_cause((2,), mi="much"), "mi is 'much'"),
        (lambda: common_cause((2,), mi=171), "mi is 171"),
        (lambda: common_cause((2,), mi=1, rho_tilde=2), "rho_tilde is 2 although mi is 1"),
        (lambda: common_cause((2,), mi=1, template=[[None]] * 2), r"templates\[0\]\[0\] is None"),
        (lambda: common_cause((2,), modalities=0), "modalities is 0, expected an integer of at least 1"),
        (lambda: common_cause((2,), modalities=1.5), "modalities is 1.5"),
        (
            lambda: common_cause((2,), rho_hat=[1, 2, 3]),
            r"rho_hat has shape \(3,\), expected one number or shape \(2,\)",
        ),
        (lambda: common_cause((2,), rho_hat=[[1, 2]]), r"rho_hat has shape \(1, 2\), expected at most 1 axes"),
        (lambda: common_cause((2,), rho_hat="x"), "rho_hat is 'x', expected numbers"),
        (lambda: common_cause((2,), rho_hat=0), r"mixing\[0\] is all zero"),
        (lambda: common_cause((2,), eta=0), "eta is all zero"),
        (lambda: two_telescopes((2,), target="moon"), "target is 'moon', expected 'mass', 'atmosphere' or None"),
        (lambda: two_telescopes((2,), target="mass", eta_1=0), "eta is all zero"),
        (lambda: two_telescopes((0,)), r"shape is \(0,\)"),
        (lambda: decaying_modalities((2,), alpha=0), "alpha is 0, expected a number above 0"),
        (lambda: decaying_modalities((2,), beta=-1), "beta is -1"),
        (lambda: decaying_modalities((2,), alpha="x"), "alpha is 'x'"),
        (lambda: decaying_modalities((2,), rho_tilde=[1, 2]), r"rho_tilde has shape \(2,\), expected one number"),
        (
            lambda: decaying_modalities((2,), modalities=2, cause_mask=[1]),
            r"cause_mask has shape \(1,\), expected \(2,\)",
        ),
        (lambda: decaying_modalities((2,), modalities=2, source_mask=[[1, 0], [0, 0]]), r"mixing\[1\] is all zero"),
        (lambda: template_ablation((2,), eta=[1, 2], rho_tilde=[1, 2, 3]), r"rho_tilde has shape \(3,\)"),
        (lambda: template_ablation((2,), eta=[[1]]), "eta has shape"),
    ],
)
def test_wrong_coefficients_are_refused(build, message):
    with pytest.raises(InvalidModelError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_stories_are_causal_models():
    assert all(isinstance(story((2,)), CausalModel) for story in (common_cause, two_telescopes, independent))
