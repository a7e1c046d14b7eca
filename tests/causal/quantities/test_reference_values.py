"""Printed reference values of the four stories, to 1e-9 relative, and the closed forms of Appendix B."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities, two_telescopes
from tests.causal.causal_oracles import appendix_b, dense_information

IMAGE = (3, 32, 32)


def close(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("x1", "y", 4.0152047810652),
        ("x1", "x2", 3.6687125511304),
        (["x1", "x2"], "y", 4.3616970110001),
    ],
)
def test_common_cause(a, b, expected):
    close(common_cause(IMAGE).mutual_information(a, b), expected)


@pytest.mark.parametrize(
    ("decay", "a", "b", "expected"),
    [
        (1.2, "x1", "y", 3.4359638596575),
        (1.2, "x10", "y", 1.8081755769088),
        (1.2, "x1", "x2", 5731.3677716364),
        (1.2, "x1", "x10", 710.69607838376),
        (1.6, "x1", "x2", 2613.2984035249),
    ],
)
def test_decaying_modalities(decay, a, b, expected):
    close(decaying_modalities(IMAGE, modalities=10, alpha=decay, beta=decay).mutual_information(a, b), expected)


def telescope_templates() -> tuple[np.ndarray, np.ndarray]:
    """Two templates with the printed norms and inner product."""
    norm, product = 773.3628, 633.8707
    mass, atmosphere = np.zeros(3072), np.zeros(3072)
    mass[:2] = math.sqrt(norm / 2)
    atmosphere[:2] = product / math.sqrt(2 * norm)
    atmosphere[7] = math.sqrt(norm - product**2 / norm)
    return mass.reshape(IMAGE), atmosphere.reshape(IMAGE)


def test_two_telescopes():
    mass, atmosphere = telescope_templates()
    for target, etas in (("mass", {}), (None, {"eta_1": 1.0, "eta_2": 0.0})):
        hole = two_telescopes(IMAGE, target=target, mass_templates=mass, atmosphere_template=atmosphere, **etas)
        close(hole.mutual_information("x1", "y"), 2.7716010614265)
        close(hole.mutual_information("x2", "y"), 3.3260202488092)
        close(hole.mutual_information("x1", "x2"), 2.6295191323451)
    air = two_telescopes(IMAGE, target="atmosphere", mass_templates=[mass, mass], atmosphere_template=atmosphere)
    close(air.mutual_information("x1", "y"), 2.7716010614265)
    close(air.mutual_information("x1", "x2"), 2.6295191323451)
    assert air.mutual_information("x2", "y") == 0.0
    both = two_telescopes((4, 4), eta_2=0.5)
    close(both.mutual_information(["x1", "x2"], "y"), dense_information(both, ["x1", "x2"], "y"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(0, 2), st.sampled_from([1, 2, 5, 768, 3072]))
def test_appendix_b(seed, causes, extra, size):
    rng = np.random.default_rng(seed)
    eta, weights = rng.normal(size=causes), rng.normal(size=(2, causes))
    mixing = np.concatenate([np.eye(2), np.zeros((2, extra))], axis=1) + 0.3 * rng.normal(size=(2, 2 + extra))
    model = CausalModel(eta, weights, mixing, shape=(size,))
    expected = appendix_b(model, size)
    close(model.mutual_information("x1", "y"), expected["I(x1;y)"])
    close(model.mutual_information("x2", "y"), expected["I(x2;y)"])
    close(model.mutual_information("x1", "x2"), expected["I(x1;x2)"])
    close(model.mutual_information(["x1", "x2"], "y"), expected["I(x1,x2;y)"])
    close(model.mutual_information("x1", "x2", "y"), expected["I(x1;x2|y)"])


@pytest.mark.parametrize("loud", [1e-3, 0.1, 1.0, 30.0])
def test_common_cause_closed_form(loud):
    model = common_cause((1, 16, 16), rho_tilde=[loud, 2 * loud], rho_hat=[1.0, 3.0])
    s1, s2 = 256 * loud**2, 256 * 4 * loud**2 / 9
    close(model.mutual_information("x1", "y"), 0.5 * math.log1p(s1))
    close(model.mutual_information("x2", "y"), 0.5 * math.log1p(s2))
    close(model.mutual_information("x1", "x2"), 0.5 * math.log1p(s1 * s2 / (1 + s1 + s2)))
    close(model.mutual_information(["x1", "x2"], "y"), 0.5 * math.log1p(s1 + s2))


def test_decays_against_dense():
    model = decaying_modalities((4, 4), modalities=5, alpha=1.3, beta=0.8, rho_tilde=0.7, rho_hat=[1, 2, 3, 1, 0.5])
    for query in (("x1", "x5"), ("x3", "y"), (["x1", "x2"], ["x4", "x5"]), ("x1", "x2", ["x3", "y"])):
        close(model.mutual_information(*query), dense_information(model, *query))
