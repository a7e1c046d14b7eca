"""Quantities by name."""

from __future__ import annotations

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InfiniteInformationError, InvalidQueryError, common_cause
from mmmi_hf.causal.quantities.grammar import Quantity


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("I(x1;y)", lambda m: m.mutual_information("x1", "y")),
        (" I( x1 , x2 ; y )", lambda m: m.mutual_information(["x1", "x2"], "y")),
        ("I(x1;x2|y)", lambda m: m.mutual_information("x1", "x2", given="y")),
        ("TC(x1,x2)", lambda m: m.total_correlation(["x1", "x2"])),
        ("DTC(x1,x2,y)", lambda m: m.dual_total_correlation(["x1", "x2", "y"])),
        ("II(x1;x2;y)", lambda m: m.interaction_information("x1", "x2", "y")),
        ("O(x1,x2,y)", lambda m: m.o_information(["x1", "x2", "y"])),
    ],
)
def test_values_by_name(name, value):
    model = common_cause((2, 2), mi=1.0)
    quantity = Quantity.read(name)
    assert quantity.of(model) == value(model)
    assert str(quantity) == name.replace(" ", "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("H(x1)", "is not a quantity"),
        ("I(x1)", "I takes 2 argument"),
        ("TC(x1|y)", "only I takes a condition"),
        ("I(x1;x9)", "x9"),
        ("I(x1;x1)", "x1"),
        ("I(;y)", "block"),
        ("I(x1;y|)", "lacks a block"),
        ("I(x1,,x2;y)", "lacks a block"),
        ("TC(x1,x2|)", "only I takes a condition"),
    ],
)
def test_names_that_are_wrong(name, says):
    with pytest.raises(InvalidQueryError, match=says):
        Quantity.read(name).of(common_cause((2, 2), mi=1.0))


def test_an_infinite_quantity_is_an_error():
    model = CausalModel([1.0], [[1.0], [0.5]], np.ones((2, 1)), shape=(4,))
    with pytest.raises(InfiniteInformationError):
        Quantity.read("I(x1;x2)").of(model)
