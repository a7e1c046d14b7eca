"""What counts as a number, here and in NumPy."""

import numpy as np
import pytest

from mmmi_hf.common.numbers import is_finite, is_whole


@pytest.mark.parametrize("value", [0, 3, np.int64(3), np.uint8(3), 10**30])
def test_whole_numbers(value):
    assert is_whole(value)
    assert is_whole(value, 0)
    assert is_finite(value)
    assert not is_whole(value, 10**31)


@pytest.mark.parametrize("value", [True, np.True_, "3", None, [3], 3.0, np.float64(3), np.array([3])])
def test_what_is_no_whole_number(value):
    assert not is_whole(value)


def test_finite_numbers():
    assert all(map(is_finite, [0.5, np.float32(0.5), -1]))
    assert not any(map(is_finite, [float("nan"), float("inf"), "0.5", True, None, 1j, np.array([1.0])]))
