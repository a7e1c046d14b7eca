"""Inverse design by closed forms: values met, refusals with the nearest value, and what is recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmi_hf.causal import InfeasibleError, InvalidModelError, InvalidQueryError, design, templates
from mmmi_hf.causal.design.results import checked
from mmmi_hf.causal.quantities import read
from tests.causal.causal_oracles import dense_information

SHAPE = (1, 4, 4)
nats = st.floats(0.0, 8.0)


def holds(made, wanted):
    """Every wanted value, by the model's own information, to 1e-9 of max(1, |value|)."""
    assert made.wanted == wanted
    for name, value in wanted.items():
        found = read(name).of(made.model)
        assert found == made.achieved[name]
        assert abs(found - value) <= 1e-9 * max(1.0, abs(value)), (name, value, found)


@st.composite
def requests(draw):
    """Values for every I(xi;y), and for some pairs at least what y induces."""
    count = draw(st.integers(1, 4))
    target = draw(st.lists(nats, min_size=count, max_size=count))
    wanted = {f"I(x{i + 1};y)": value for i, value in enumerate(target)}
    for i in range(count):
        for j in range(i + 1, count):
            least = design.induced_pair_information(target[i], target[j])
            kind = draw(st.sampled_from(["none", "pair", "given", "exact", "reversed"]))
            if kind in ("pair", "reversed"):
                a, b = (i, j) if kind == "pair" else (j, i)
                wanted[f"I(x{a + 1};x{b + 1})"] = least + draw(nats)
            elif kind == "given":
                wanted[f"I(x{i + 1};x{j + 1}|y)"] = draw(nats)
            elif kind == "exact":
                wanted[f"I(x{i + 1};x{j + 1})"] = least
    return wanted


@settings(max_examples=60, deadline=None)
@given(requests())
def test_feasible_requests_are_met(wanted):
    holds(design.for_values(SHAPE, wanted, modalities=max(2, len([n for n in wanted if ";y)" in n]))), wanted)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_quantities_of_a_model_that_exists_can_be_had_at_once(seed):
    """Values of a random member of the family, of which any few are asked for: the rest is then found, not refused."""
    rng = np.random.default_rng(seed)
    target = np.where(rng.random(3) < 0.25, 0.0, rng.exponential(0.7, size=3))
    excess = np.where(rng.random((3, 3)) < 0.3, 0.0, rng.exponential(0.5, size=(3, 3)))
    values = {}
    for blocks in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        names = ",".join(f"x{i + 1}" for i in blocks)
        values[f"I({names};y)"] = 0.5 * math.log1p(sum(math.expm1(2 * target[i]) for i in blocks))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        values[f"I(x{i + 1};x{j + 1}|y)"] = float(excess[i, j])
        values[f"I(x{i + 1};x{j + 1})"] = design.induced_pair_information(target[i], target[j]) + float(excess[i, j])
    wanted = {str(name): values[name] for name in rng.choice(sorted(values), size=rng.integers(2, 6), replace=False)}
    holds(design.for_values(SHAPE, wanted), wanted)


def test_a_choice_made_for_one_value_gives_way_to_another():
    wanted = {"I(x1,x2;y)": 1.05, "I(x1;x2)": 0.01}
    made = design.for_values(SHAPE, wanted)
    holds(made, wanted)
    assert "found by a search" in made.choices[0]


def test_equal_information_with_and_without_y_is_not_lost_to_rounding():
    wanted = {"I(x1;y)": 0.3704099238656141, "I(x1;x2)": 0.12311232610394665, "I(x1;x2|y)": 0.12311232610394665}
    holds(design.for_values(SHAPE, wanted), wanted)
    assert design.for_values(SHAPE, wanted).parameters["I(x2;y)"] == 0.0


def test_what_a_search_cannot_find_is_refused_with_values_that_can_be_had():
    wanted = {"I(x1,x2;y)": 0.2, "I(x2,x3;y)": 0.2, "I(x1;x3)": 3.0, "I(x1;x3|y)": 1.0, "I(x2;y)": 0.1}
    with pytest.raises(InfeasibleError, match="beside the other wanted values") as refused:
        design.for_values(SHAPE, wanted)
    nearest = refused.value.nearest
    assert {name for name in wanted if nearest[name] != wanted[name]} == {"I(x1,x2;y)", "I(x2,x3;y)", "I(x1;x3)"}
    holds(design.for_values(SHAPE, nearest), nearest)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 8.0), st.floats(0.01, 8.0), st.floats(0.0, 0.99))
def test_less_than_y_induces_is_refused_with_what_y_induces(one, two, part):
    induced = design.induced_pair_information(one, two)
    wanted = {"I(x1;y)": one, "I(x2;y)": two, "I(x1;x2)": part * induced}
    if induced * (1 - part) < 1e-8:
        return
    gains = math.expm1(2 * one), math.expm1(2 * two)
    shared = (math.sqrt(gains[0] * gains[1]) - 1.0) / math.sqrt((1.0 + gains[0]) * (1.0 + gains[1]))
    opposed = -0.5 * math.log1p(-(max(shared, 0.0) ** 2))  # what a second cause of opposite sign tends to
    if abs(part * induced - opposed) < 1e-6 * (1.0 + opposed):
        return
    if part * induced > opposed:
        holds(design.for_values(SHAPE, wanted), wanted)
        return
    with pytest.raises(InfeasibleError) as refused:
        design.for_values(SHAPE, wanted)
    nearest = refused.value.nearest
    assert refused.value.wanted == wanted
    assert nearest == {**wanted, "I(x1;x2)": pytest.approx(induced, rel=1e-12)}
    assert repr(nearest["I(x1;x2)"]) in str(refused.value)
    assert "\n" not in str(refused.value)
    holds(design.for_values(SHAPE, nearest), nearest)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["I(x1;y)", "I(x1;x2)", "I(y;x2)", "I(x1,x2;y)", "I(x1;x2|y)", "I(x3,x1;y)"]), nats)
def test_one_value(name, value):
    made = design.for_values(SHAPE, {name: value})
    holds(made, {name: value})
    assert made.choices


@settings(max_examples=30, deadline=None)
@given(nats, nats, nats)
def test_joint_information(first, second, more):
    """I(x1,x2,x3;y) beside I(x1;y) and I(x2;y): x3 makes up the rest."""
    least = 0.5 * math.log(math.exp(2 * first) + math.exp(2 * second) - 1)
    wanted = {"I(x1;y)": first, "I(x2;y)": second, "I(x1,x2,x3;y)": least + more}
    holds(design.for_values(SHAPE, wanted), wanted)
    too_little = {**wanted, "I(x1,x2,x3;y)": 0.9 * least}
    if least > 0.1:
        with pytest.raises(InfeasibleError, match="at least") as refused:
            design.for_values(SHAPE, too_little)
        assert refused.value.nearest["I(x1,x2,x3;y)"] == pytest.approx(least, rel=1e-12)
        holds(design.for_values(SHAPE, refused.value.nearest), refused.value.nearest)


@settings(max_examples=40, deadline=None)
@given(nats, st.floats(0.0, 5.0), st.one_of(st.none(), st.floats(0.0, 6.0)))
def test_a_pair_with_and_without_y_fixes_what_y_induces(given_y, difference, first):
    wanted = {"I(x1;x2)": given_y + difference, "I(x1;x2|y)": given_y}
    difference = wanted["I(x1;x2)"] - given_y
    if first is not None:
        wanted["I(x2;y)"] = first
    if first is None or first > difference + 1e-3:
        holds(design.for_values(SHAPE, wanted), wanted)
        return
    if first < difference - 1e-3:
        with pytest.raises(InfeasibleError, match="beside") as refused:
            design.for_values(SHAPE, wanted)
        nearest = refused.value.nearest
        assert nearest["I(x1;x2)"] == pytest.approx(given_y + first, abs=1e-6)
        holds(design.for_values(SHAPE, nearest), nearest)


def test_a_pair_below_its_conditional():
    with pytest.raises(InfeasibleError) as refused:
        design.for_values(SHAPE, {"I(x1;x2)": 1.0, "I(x1;x2|y)": 1.5})
    assert refused.value.nearest == {"I(x1;x2)": 1.5, "I(x1;x2|y)": 1.5}


def test_all_that_is_infeasible_is_said_at_once():
    wanted = {"I(x1;y)": 1.0, "I(x2;y)": 1.0, "I(x3;y)": 1.0, "I(x1;x2)": 0.1, "I(x1;x3)": 0.2, "I(x2;x3)": 2.0}
    with pytest.raises(InfeasibleError) as refused:
        design.for_values(SHAPE, wanted)
    induced = design.induced_pair_information(1.0, 1.0)
    assert refused.value.nearest == {**wanted, "I(x1;x2)": induced, "I(x1;x3)": induced}
    assert "I(x1;x2) cannot be 0.1" in str(refused.value)
    assert "I(x1;x3) cannot be 0.2" in str(refused.value)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_whole_matrices(count, seed):
    rng = np.random.default_rng(seed)
    target = rng.uniform(0.0, 3.0, count)
    pairs = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1, count):
            pairs[i, j] = pairs[j, i] = design.induced_pair_information(target[i], target[j]) + rng.uniform(0.0, 3.0)
    model = design.for_matrix((2, 4), pairs, target=target).model
    for i in range(count):
        assert model.mutual_information(f"x{i + 1}", "y") == pytest.approx(target[i], abs=1e-9)
        for j in range(i + 1, count):
            assert model.mutual_information(f"x{i + 1}", f"x{j + 1}") == pytest.approx(pairs[i, j], abs=1e-9)
    assert np.count_nonzero(model.weights, axis=1).tolist() == [count] * count


def test_a_matrix_without_a_target_and_of_unlike_shapes():
    made = design.for_matrix([(1, 3, 3), (5,), (2, 2)], [[9, 1, 0], [1, 9, 2], [0, 2, 9]])
    values = {name: made.model.mutual_information(*name) for name in [("x1", "x2"), ("x1", "x3"), ("x2", "x3")]}
    assert list(values.values()) == pytest.approx([1.0, 0.0, 2.0], abs=1e-12)
    assert made.model.mutual_information(["x1", "x2", "x3"], "y") == 0.0


def test_values_at_the_ends():
    for wanted in ({"I(x1;y)": 0.0, "I(x2;y)": 0.0}, {"I(x1;y)": 160.0, "I(x2;y)": 160.0, "I(x1;x2)": 160.0}):
        holds(design.for_values(SHAPE, wanted), wanted)
    for value, nearest in ((-0.5, 0.0), (161.0, 160.0), (math.inf, 160.0)):
        with pytest.raises(InfeasibleError) as refused:
            design.for_values(SHAPE, {"I(x1;y)": value})
        assert refused.value.nearest == {"I(x1;y)": nearest}
        holds(design.for_values(SHAPE, refused.value.nearest), refused.value.nearest)


def test_what_is_recorded():
    made = design.for_values(SHAPE, {"I(x1;y)": 1.0, "I(x2;x3)": 0.5})
    assert made.family == "orthogonal templates"
    assert made.parameters == {"I(x1;y)": 1.0, "I(x2;y)": 0.0, "I(x3;y)": 0.0, "I(x2;x3|y)": 0.5}
    assert any("I(x2;y), I(x3;y) not asked for: set to 0" in choice for choice in made.choices)
    assert any("2 pair(s)" in choice for choice in made.choices)
    assert made.spec["templates"][0] == ["ones", None]
    assert design.for_values(SHAPE, {"I(x1;x2)": 1.0}).family == "one common cause"


@pytest.mark.parametrize(
    ("one", "two"), [(1e-9, 2.0), (1e-3, 1e-3), (0.7, 0.7), (3.0, 0.2), (30.0, 31.0), (160.0, 160.0)]
)
def test_what_y_induces(one, two):
    """Against 1 - (1 - e^{-2a})(1 - e^{-2b}) = e^{-2a} + e^{-2b} - e^{-2(a+b)}, in 60 digits."""
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 200
        a, b = ((Decimal(-2) * Decimal(value)).exp() for value in (one, two))
        expected = float(-(a + b - a * b).ln() / 2)
    assert design.induced_pair_information(one, two) == pytest.approx(expected, rel=1e-13)
    assert design.induced_pair_information(two, one) == design.induced_pair_information(one, two)


def test_orthonormal_templates():
    one, two = design.orthonormal_templates([templates.ring((4, 4)), templates.ones((4, 4))])
    np.testing.assert_allclose(one, templates.ring((4, 4)) / np.linalg.norm(templates.ring((4, 4))), rtol=1e-14)
    assert [np.sum(one * two), np.sum(two * two)] == pytest.approx([0.0, 1.0], abs=1e-15)
    with pytest.raises(InvalidModelError, match=r"patterns\[1\] is a combination"):
        design.orthonormal_templates([np.ones(3), 2 * np.ones(3)])
    with pytest.raises(InvalidModelError, match=r"patterns\[1\] has shape \(2,\)"):
        design.orthonormal_templates([np.ones(3), np.ones(2)])


def test_a_model_with_other_values_is_never_returned():
    model = design.for_values(SHAPE, {"I(x1;y)": 1.0}).model
    with pytest.raises(ArithmeticError, match=r"I\(x1;y\) came out as 1"):
        checked(model, "none", {"I(x1;y)": 1.1}, choices=[], parameters={}, spec=None)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({}, "wanted is empty"),
        ({"I(x1;y)": "much"}, "is wanted to be 'much', expected a number"),
        ({"I(x1;y)": math.nan}, "expected a number"),
        ({"H(x1)": 1.0}, "is not a quantity"),
        ({"TC(x1,x2)": 1.0}, "is none of"),
        ({"I(x1;x2|x3)": 1.0}, "is none of"),
        ({"I(x1,x2;x3)": 1.0}, "is none of"),
        ({"I(x1;x1)": 1.0}, "is none of"),
        ({"I(x1,y;x2)": 1.0}, "is none of"),
        ({"I(x1,x1;y)": 1.0}, "is none of"),
        ({"I(;y)": 1.0}, "lacks a block"),
        ({"I(z1;y)": 1.0}, "'z1' is no block"),
        ({"I(x0;y)": 1.0}, "'x0' is no block"),
        ({"I(x1;x2)": 1.0, "I(x2;x1)": 1.0}, "are the same quantity"),
    ],
)
def test_requests_that_are_wrong(wanted, says):
    with pytest.raises(ValueError, match=says) as caught:
        design.for_values(SHAPE, wanted)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: design.for_values(SHAPE, {"I(x3;y)": 1.0}, modalities=2), "modalities is 2, expected .* at least 3"),
        (lambda: design.for_values(SHAPE, {"I(x3;y)": 1.0}, modalities=3.5), "modalities is 3.5"),
        (lambda: design.for_values((1,), {"I(x1;y)": 1.0, "I(x1;x2)": 1.0}), "room for 1 orthogonal templates"),
        (lambda: design.for_matrix(SHAPE, [[1.0]]), "at least two modalities"),
        (lambda: design.for_matrix(SHAPE, [[0, 1], [2, 0]]), r"pairs\[0\]\[1\] is 1.0 but pairs\[1\]\[0\] is 2.0"),
        (lambda: design.for_matrix(SHAPE, "x"), "expected a symmetric matrix"),
        (lambda: design.for_matrix(SHAPE, np.zeros((2, 2)), target=[1, 2, 3]), "target has shape"),
    ],
)
def test_models_that_cannot_be_built(build, says):
    with pytest.raises(InvalidModelError, match=says):
        build()


@pytest.mark.parametrize(
    ("more", "joint", "pair"),
    [({"I(x1,x2;y)": 2.0}, 2.0, 0.434), ({"I(x1;x2)": 0.43380}, 2.0, 0.434), ({"I(x1,x2;y)": 8.18}, 8.18, 0.3796)],
)
def test_synergy_on_demand_by_a_second_cause_of_opposite_sign(more, joint, pair):
    wanted = {"I(x1;y)": 1.0, "I(x2;y)": 1.0, **more}
    for shape in (SHAPE, [(3, 4), (5,)]):
        made = design.for_values(shape, wanted)
        holds(made, wanted)
        assert "opposite sign" in made.family
        assert dense_information(made.model, ["x1", "x2"], "y") == pytest.approx(joint, abs=0.02)
        assert dense_information(made.model, "x1", "x2") == pytest.approx(pair, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 4.0), st.floats(0.0, 4.0), st.floats(0.01, 4.0))
def test_any_more_than_both_know_alone_can_be_had_together(one, two, more):
    least = 0.5 * math.log1p(math.expm1(2 * one) + math.expm1(2 * two))
    wanted = {"I(x1;y)": one, "I(x2;y)": two, "I(x1,x2;y)": least + more}
    if max(one, two) < 1e-3:
        return
    holds(design.for_values(SHAPE, wanted), wanted)


@pytest.mark.parametrize("count", [9999, 10**30, True, 2.0, "3"])
def test_modalities_that_are_no_small_number(count):
    with pytest.raises((InvalidModelError, InvalidQueryError), match=r"modalities is .*expected an integer"):
        design.for_values(SHAPE, {"I(x1;y)": 1.0}, modalities=count)


def test_a_modality_of_a_great_number_is_refused_at_once():
    for name in ("I(x9999;y)", "I(x99999999999999999999;y)"):
        with pytest.raises(InvalidModelError, match=r"modalities is .*expected an integer of at most"):
            design.for_values((1, 4, 4), {name: 1.0})
    made = design.for_values(SHAPE, {"I(x1;y)": np.float64(1.0)}, modalities=np.int64(3))
    assert len(made.model.modalities) == 3
    for value in (True, "1", np.True_):
        with pytest.raises(InvalidModelError, match="expected a number of nats"):
            design.for_values(SHAPE, {"I(x1;y)": value})
