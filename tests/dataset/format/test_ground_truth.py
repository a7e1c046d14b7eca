"""Names and values of the reported quantities."""

import math

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InfiniteInformationError
from mmmi_hf.causal.quantities import reported_values
from mmmi_hf.dataset.format.ground_truth import BOUNDS, SCHEMA, ground_truth_table


def test_the_quantities_of_one_common_cause(small_config):
    values = reported_values(small_config.model)
    s = math.e**2 - 1  # I = ½ ln(1 + s) = 1 nat
    both = 0.5 * math.log(1 + 2 * s)
    shared = 0.5 * math.log((1 + s) ** 2 / (1 + 2 * s))
    assert values["I(x1;y)"] == pytest.approx(1.0, rel=1e-12)
    assert values["I(x1,x2;y)"] == pytest.approx(both, rel=1e-12)
    assert values["I(x1;x2)"] == pytest.approx(shared, rel=1e-12)
    assert values["I(x1;x2|y)"] == pytest.approx(0.0, abs=1e-12)
    assert values["TC(x1,x2,y)"] == pytest.approx(shared + both, rel=1e-12)
    assert values["II(x1;x2;y)"] == pytest.approx(shared, rel=1e-12)
    assert values["O(x1,x2,y)"] == pytest.approx(values["TC(x1,x2,y)"] - values["DTC(x1,x2,y)"], rel=1e-12)
    assert values["redundant(x1,x2;y)"] == pytest.approx(1.0, rel=1e-12)
    assert values["synergistic(x1,x2;y)"] == pytest.approx(both - 1, rel=1e-12)


def test_a_single_modality_has_no_pairs():
    values = reported_values(CausalModel([1.0], [[1.0]], [[1.0]], shape=(4,)))
    assert list(values) == ["I(x1;y)", "TC(x1,y)", "DTC(x1,y)", "O(x1,y)"]


def test_the_null_is_exactly_zero():
    values = reported_values(CausalModel([1.0], np.zeros((3, 1)), np.eye(3), shape=(1, 4, 4)))
    assert set(values.values()) == {0.0}


def test_an_infinite_quantity_is_an_error():
    model = CausalModel([1.0], [[1.0], [0.5]], [[1.0], [1.0]], shape=(4,))
    with pytest.raises(InfiniteInformationError):
        reported_values(model)


def test_the_table_repeats_the_quantities(small_config):
    table = ground_truth_table(small_config)
    assert table.schema.equals(SCHEMA)
    assert dict(zip(table["quantity"].to_pylist(), table["value"].to_pylist(), strict=True)) == reported_values(
        small_config.model
    )
    assert all(table[name].null_count == table.num_rows for name in (*BOUNDS, "confidence", "rows_inverted"))
