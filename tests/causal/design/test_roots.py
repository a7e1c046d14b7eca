"""Inverse design by root search: roots found, all of them, and nearest values where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmi_hf.causal import InfeasibleError, InvalidModelError, decaying_modalities, design, two_telescopes
from mmmi_hf.causal.quantities import read

SHAPE = (8,)


def decays(wanted, parameter, **fixed):
    return design.solve("decaying_modalities", SHAPE, wanted, parameter=parameter, **fixed)


def met(made):
    ((name, value),) = made.wanted.items()
    assert abs(read(name).of(made.model) - value) <= 1e-9 * max(1.0, abs(value))
    return made


@settings(max_examples=6, deadline=None)
@given(st.floats(1.05, 3.0), st.floats(1.05, 3.0), st.integers(2, 10), st.sampled_from(["target", "pair"]))
def test_values_of_a_known_model_are_found_again(alpha, beta, i, kind):
    model = decaying_modalities(SHAPE, alpha=alpha, beta=beta)
    name = f"I(x{i};y)" if kind == "target" else f"I(x1;x{i})"
    wanted = {name: read(name).of(model)}
    made = met(decays(wanted, "beta", alpha=alpha))
    met(decays(wanted, "alpha", beta=beta))
    if kind == "target":  # falls monotonically in beta
        assert not made.others


def test_a_quantity_that_is_not_monotone_has_two_roots():
    value = decaying_modalities(SHAPE, alpha=2.5, beta=1.2).mutual_information("x1", "x9")
    first, second = (met(decays({"I(x1;x9)": value}, "alpha", beta=1.2, root=root)) for root in (0, 1))
    roots = first.parameters["alpha"], second.parameters["alpha"]
    assert roots[0] < roots[1]
    assert min(abs(root - 2.5) for root in roots) < 1e-6
    assert first.others == (second.parameters,)
    assert second.others == (first.parameters,)
    assert "is not monotone in alpha: root 1 of 2" in second.choices[0]
    with pytest.raises(InvalidModelError, match=r"root is 2, expected 0 … 1"):
        decays({"I(x1;x9)": value}, "alpha", beta=1.2, root=2)


def test_below_the_minimum_of_a_quantity_that_is_not_monotone():
    with pytest.raises(InfeasibleError, match="lies above that") as refused:
        decays({"I(x1;x9)": 0.05}, "alpha", beta=1.2)
    nearest = refused.value.nearest["I(x1;x9)"]
    scanned = [
        decaying_modalities(SHAPE, alpha=alpha, beta=1.2).mutual_information("x1", "x9")
        for alpha in np.linspace(1.5, 4.0, 400)
    ]
    assert 0.0 <= min(scanned) - nearest < 1e-5
    assert met(decays(refused.value.nearest, "alpha", beta=1.2)).achieved["I(x1;x9)"] == pytest.approx(
        nearest, abs=1e-9
    )
    at = met(decays(refused.value.nearest, "alpha", beta=1.2)).parameters["alpha"]
    for step in (0.99, 1.01):
        assert decaying_modalities(SHAPE, alpha=at * step, beta=1.2).mutual_information("x1", "x9") > nearest


@pytest.mark.parametrize(
    ("name", "value", "parameter", "fixed", "at"),
    [
        ("I(x5;y)", 50.0, "beta", {"alpha": 1.2}, 1.0),
        ("I(x1;x2)", 0.0, "alpha", {"beta": 1.2}, math.inf),
        ("I(x1;y)", 50.0, "alpha", {"beta": 1.2}, None),
        ("I(x3;y)", -1.0, "rho_tilde", {"alpha": 1.2, "beta": 1.2}, 0.0),
    ],
)
def test_beyond_the_ends_of_the_range(name, value, parameter, fixed, at):
    with pytest.raises(InfeasibleError) as refused:
        decays({name: value}, parameter, **fixed)
    assert "\n" not in str(refused.value)
    made = met(decays(refused.value.nearest, parameter, **fixed))
    if at is not None:
        assert made.parameters[parameter] == at


def test_a_wider_range_when_asked_for():
    louder = {"I(x5;y)": 3.0}
    with pytest.raises(InfeasibleError):
        decays(louder, "beta", alpha=1.2)
    made = met(decays(louder, "beta", alpha=1.2, within=(0.1, 1.0)))
    assert 0.1 < made.parameters["beta"] < 1.0
    assert "between 0.1 and 1" in made.choices[-1]


def test_a_quantity_that_does_not_depend_on_the_parameter():
    value = decaying_modalities(SHAPE, alpha=1.2).mutual_information("x1", "y")
    assert "does not depend on beta" in met(decays({"I(x1;y)": value}, "beta", alpha=1.2)).choices[0]
    with pytest.raises(InfeasibleError, match="does not depend on beta") as refused:
        decays({"I(x1;y)": value + 1.0}, "beta", alpha=1.2)
    assert refused.value.nearest["I(x1;y)"] == pytest.approx(value, rel=1e-12)


def test_other_stories_and_quantities():
    made = met(
        design.solve("two_telescopes", (4, 4), {"I(x1;x2|y)": 0.25}, parameter="rho_tilde_1", target="atmosphere")
    )
    assert made.spec["story"] == "two_telescopes"
    met(design.solve("template_ablation", (4, 4), {"TC(x1,x2,y)": 2.0}, parameter="rho_hat"))
    met(design.solve("common_cause", (4, 4), {"O(x1,x2,x3,y)": 1.0}, parameter="rho_tilde", modalities=3))
    ring = design.solve("common_cause", (2, 2), {"I(x1;y)": 1.0}, parameter="rho_tilde", template=np.eye(2))
    assert met(ring).spec is None
    again = two_telescopes((4, 4), target="atmosphere", rho_tilde_1=made.parameters["rho_tilde_1"])
    assert again.digest == made.model.digest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"story": "hydra"}, "story is 'hydra'"),
        ({"parameter": "gamma"}, "parameter is 'gamma', expected one of alpha, beta"),
        ({"wanted": {}}, "wanted has 0 quantities"),
        ({"wanted": {"I(x1;y)": 1.0, "I(x2;y)": 1.0}}, "wanted has 2 quantities"),
        ({"wanted": {"I(x1;y)": "x"}}, "expected a finite number"),
        ({"wanted": {"I(x1;x99)": 1.0}}, "x99"),
        ({"gamma": 2.0}, "gamma is no further argument"),
        ({"beta": 2.0}, "beta is no further argument"),
        ({"within": (2, 1)}, "within is"),
        ({"within": 3}, "within is 3"),
        ({"rho_tilde": -1.0, "rho_hat": 0.0}, "mixing"),
        ({"wanted": {"I(x1;x2)": 1.0}, "parameter": "rho_tilde"}, "is infinite for every rho_tilde"),
    ],
)
def test_searches_that_are_wrong(change, says):
    request = {"story": "decaying_modalities", "wanted": {"I(x5;y)": 1.0}, "parameter": "beta", **change}
    with pytest.raises(ValueError, match=says):
        design.solve(shape=SHAPE, **request)


def test_values_that_float64_does_not_reach_are_refused_with_the_largest_that_was_found():
    """I(x1;x9) is unbounded as alpha falls to 1, and its differences are lost to rounding before."""
    with pytest.raises(InfeasibleError, match="leaves float64 before") as refused:
        design.solve("decaying_modalities", (1, 8, 8), {"I(x1;x9)": 1e9}, parameter="alpha", beta=1.2)
    nearest = refused.value.nearest["I(x1;x9)"]
    assert 500.0 < nearest < 1e9
