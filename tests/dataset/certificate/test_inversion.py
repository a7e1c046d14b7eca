"""Recovered latents: in any number of threads the same, and what becomes of rows without an inverse."""

import numpy as np
import pytest
import torch

from mmmi_hf.dataset.certificate.inversion import TOGETHER, Stored, recover, recover_all
from mmmi_hf.flow import AsinhBijection
from tests.networks import smaller_flow


@pytest.fixture(scope="module")
def pipeline():
    return smaller_flow(2)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("dtype", "rows"), [(np.float32, 19), (np.float64, 5)])
def test_the_number_of_threads_changes_no_bit(pipeline, threads, dtype, rows):
    latents = np.random.default_rng(0).standard_normal((rows, 1, 8, 8)).astype(dtype)
    images = pipeline.to(torch.from_numpy(latents).dtype)(torch.from_numpy(latents), 1).images.numpy()
    pipeline.to(torch.float32)
    inverted = {}
    for n in (1, 3):
        threads(n)
        told = []
        inverted[n] = recover(pipeline, 1, images, tick=told.append)
        assert torch.get_num_threads() == n
        assert sum(told) == rows
        assert len(told) == -(-rows // TOGETHER[images.dtype.itemsize])
    np.testing.assert_array_equal(inverted[1], inverted[3])
    assert inverted[1].dtype == np.float64
    assert np.abs(inverted[1] - latents).max() < (1e-4 if dtype == np.float32 else 1e-10)


def test_rows_without_an_inverse_are_nan_and_no_others(threads):
    threads(2)
    values = np.full((20, 3), 0.5, dtype=np.float32)
    values[3, 1], values[17, 0] = np.nan, np.inf
    values[9] = 1e4  # its sinh overflows
    found = recover(AsinhBijection((3,)), None, values)
    assert set(np.flatnonzero(np.isnan(found).any(axis=1))) == {3, 9, 17}
    assert np.isnan(found[[3, 9, 17]]).all()


def test_several_are_recovered_at_once_as_each_by_itself(pipeline, threads):
    """Parts of another precision and tolerance run beside each other, and change nothing in each other."""
    threads(2)
    generator = np.random.default_rng(1)
    single, double = generator.standard_normal((9, 1, 8, 8)).astype(np.float32), generator.standard_normal((3, 1, 8, 8))
    asked = [
        Stored(pipeline, 1, double),
        Stored(pipeline, 1, single, missing=np.arange(9) == 4),
        Stored(pipeline, 1, single, tolerance=1e-3),
        Stored(AsinhBijection((3,)), None, np.full((2, 3), 0.5)),
    ]
    told = []
    found = recover_all(asked, told.append)
    assert sum(told) == 9 + 9 + 3 + 2
    for each, recovered in zip(asked, found, strict=True):
        alone = recover(each.bijection, each.class_label, each.values, missing=each.missing, tolerance=each.tolerance)
        np.testing.assert_array_equal(recovered.latents, alone)
        assert recovered.seconds > 0
    assert np.isnan(found[1].latents[4]).all()
    assert np.isfinite(found[2].latents).all()
    assert recover_all([]) == []
