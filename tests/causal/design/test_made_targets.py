"""Wanted accuracy or information of a y that a target makes."""

import pytest

from mmmi_hf.causal import InfeasibleError, InvalidModelError, design
from mmmi_hf.dataset.releases.model_spec import build_model

TWO = {"classes": {"quantiles": 2}}


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ({"bayes_accuracy(x1;y)": 0.8}, TWO),
        ({"bayes_accuracy(x1,x2;y)": 0.8}, TWO),
        ({"I(x1;y)": 0.2, "I(x2;y)": 0.4, "I(x1;x2)": 1.0}, {"classes": {"quantiles": 5, "flip": 0.1}}),
        ({"I(x1;y)": 0.1, "I(x2;y)": 0.1, "I(x1,x2;y)": 0.4}, TWO),  # synergy, by a cause of opposite sign
        ({"bayes_log_loss(x1;y)": 0.4, "bayes_accuracy(x2;y)": 0.6}, TWO),
        ({"r2_ceiling(x1;y)": 0.5}, {"function": {"name": "square"}}),
        ({"I(x1,x2;y)": 0.4}, {"parity": {"causes": [0, 1]}}),
        ({"bayes_accuracy(x1,x2,x3;y)": 0.7}, {"parity": {"causes": [0, 1, 2]}}),
    ],
)
def test_wanted_values_are_met(wanted, target):
    found = design.for_target((1, 4, 4), wanted, target)
    for name, value in wanted.items():
        assert found.achieved[name] == pytest.approx(value, abs=1e-9)
    assert build_model(found.spec).digest == found.model.digest


@pytest.mark.parametrize(
    ("wanted", "target", "error", "says"),
    [
        ({"bayes_accuracy(x1;y)": 0.3}, TWO, InfeasibleError, "the nearest value is 0.5"),
        ({"I(x1;y)": 0.8}, TWO, InfeasibleError, "runs from 0 to 0.693"),
        ({"I(x1;x2|y)": 0.8}, TWO, InvalidModelError, "cannot be designed"),
        ({"r2_ceiling(x1;y)": 0.8}, TWO, InvalidModelError, "no R²"),
        ({"I(x1;y)": 0.1, "bayes_accuracy(x1;y)": 0.8}, TWO, InvalidModelError, "both say what x1 tells of y: "),
        ({"bayes_accuracy(x1;y)": 0.8, "bayes_accuracy(x1,x2;y)": 0.7}, TWO, InfeasibleError, "x1,x2;y. = 0.8$"),
        (
            {"I(x1,x2;y)": 0.1},
            {"several": {"coefficients": [[1, 0]]}},
            InvalidModelError,
            "by hand, with target: {several",
        ),
        ({"I(x1;y)": 0.1}, {"parity": {"causes": [0, 1]}}, InvalidModelError, "fewer than all"),
        ({"I(x1,x2;y)": 0.1}, {"parity": {"causes": [1, 0]}}, InvalidModelError, "designed with causes"),
        ({"I(x1;y)": 0.1}, {"boolean": {"causes": [0], "table": [0, 1]}}, InvalidModelError, "no function of one"),
    ],
)
def test_what_cannot_be_had_is_refused(wanted, target, error, says):
    with pytest.raises(error, match=says):
        design.for_target((1, 4, 4), wanted, target)
