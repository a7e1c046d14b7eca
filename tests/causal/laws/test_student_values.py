"""What a common scale adds, beside published values, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln, psi

from mmmi_hf.causal import CausalModel, InvalidModelError, NotExactError, common_cause
from mmmi_hf.causal.laws.student.radial import Radial


def added(dof, m, n):
    f = [gammaln(x / 2) - x / 2 * psi(x / 2) for x in (dof, dof + m + n, dof + m, dof + n)]
    return f[0] + f[1] - f[2] - f[3]


@pytest.mark.parametrize(("dof", "pair"), [(3.0, 2.68), (5.0, 2.38)])
def test_a_scale_of_whole_images_adds_what_the_formula_says(dof, pair):
    plain = common_cause((1, 32, 32), mi=1.0)
    scaled = plain.with_common_scale(dof)
    gain = scaled.mutual_information("x1", "x2") - plain.mutual_information("x1", "x2")
    assert gain == pytest.approx(added(dof, 1024, 1024), abs=1e-11)
    assert gain == pytest.approx(pair, abs=5e-3)
    assert scaled.mutual_information("x1", "y") - 1.0 == pytest.approx(added(dof, 1024, 1), abs=1e-11)
    few = plain.with_common_scale(dof, 8)
    assert few.mutual_information(["x1", "x2"], "y") == pytest.approx(
        plain.mutual_information(["x1", "x2"], "y") + added(dof, 16, 1), abs=1e-11
    )
    assert scaled.r2_ceiling("x1").value == pytest.approx(plain.r2_ceiling("x1").value, abs=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 8, 1024])
def test_the_radial_map_is_undone(dimensions):
    radial = Radial(dimensions, 5.0)
    squared = np.geomspace(1e-6, 1e6, 200)
    factor = radial.to_normal(squared)
    normal = squared * factor**2
    kept = (normal > 1e-250) & (normal < 700.0 + 2 * dimensions)
    np.testing.assert_allclose(radial.to_student(normal[kept]) * factor[kept], 1.0, rtol=1e-7)


def test_what_is_refused():
    plain = common_cause((4,), mi=1.0)
    for arguments, says in (((2.0,), "dof is 2.0"), ((5.0, 0), "at least 1"), ((5.0, 5), "expected 1 … 4")):
        with pytest.raises(InvalidModelError, match=says):
            plain.with_common_scale(*arguments)
    shared = CausalModel([1.0], [[1.0], [1.0]], [[1.0, 0.0], [0.5, 1.0]], shape=(4,))
    with pytest.raises(InvalidModelError, match="share a vector source"):
        shared.with_common_scale(5.0)
    scaled = plain.with_common_scale(5.0)
    with pytest.raises(NotExactError, match="student model has no common scale"):
        scaled.with_common_scale(5.0)
    with pytest.raises(NotExactError, match="which this student model has not"):
        scaled.with_target({"classes": {"quantiles": 2}})
    with pytest.raises(NotExactError, match="both tell of y"):
        scaled.partial_information_decomposition("x1", "x2")


def test_shifts_are_of_the_size_that_interventions_have():
    from mmmi_hf.causal.shifts.interventions import divergence_of_scale, with_cause_scaled

    plain = common_cause((1, 4, 4), mi=1.0)
    shifted = plain.with_shift(0, 2.0)
    for blocks in ("x1", ["x1", "x2"]):
        assert shifted.shift_divergence(blocks) == pytest.approx(divergence_of_scale(plain, 0, 2.0, blocks), abs=1e-12)
    intervened = with_cause_scaled(plain, 0, 2.0)
    assert shifted.mutual_information("x1", "y") == intervened.mutual_information("x1", "y")
    one, other = (model.sample(5, seed=1, standardize="none") for model in (shifted, intervened))
    np.testing.assert_array_equal(one.z["x1"], other.z["x1"])
    drawn = shifted.sample(4000, seed=2)
    along = drawn.z["x1"].reshape(4000, -1) @ np.full(16, 0.25)
    assert along.var() > 1.5
    assert plain.with_shift(0, 1.0).shift_divergence("x1") == 0.0
    with pytest.raises(NotExactError, match="no intervention"):
        plain.shift_divergence("x1")
    with pytest.raises(InvalidModelError, match="cause is 1"):
        plain.with_shift(1, 2.0)
    for wrong, says in ((0, "divergence_of_value"), (0.0, "divergence_of_value"), (-1.0, "above 0")):
        with pytest.raises(InvalidModelError, match=says):
            plain.with_shift(0, wrong)
    with pytest.raises(NotExactError, match="shifted model has no cause to shift"):
        shifted.with_shift(0, 2.0)


def test_an_intervention_leaves_the_making_of_labels_alone():
    """Signs of a scaled cause are what they were; bins over the standard deviation of y would not be."""
    plain = common_cause((1, 4, 4), mi=1.0)
    shifted = plain.with_shift(0, 2.0)
    for signs in ({"parity": {"causes": [0]}}, {"boolean": {"causes": [0], "table": [1, 0]}}):
        before, after = (m.with_target(signs) for m in (plain, shifted))
        np.testing.assert_array_equal(after.sample(50, seed=1).y, before.sample(50, seed=1).y)
        assert after.mutual_information("x1", "y") > before.mutual_information("x1", "y")
    for model in (shifted, shifted.with_missing({"x1": 0.3})):
        for other in (
            {"classes": {"edges": [1.0]}},
            {"function": {"name": "square"}},
            {"several": {"coefficients": [[1]]}},
        ):
            with pytest.raises(NotExactError, match="another function of the causes"):
                model.with_target(other)
