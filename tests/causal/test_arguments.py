"""Numbers, shapes and coefficients: what is none is refused by name, and NumPy's numbers are numbers."""

from __future__ import annotations

import json
import struct
import time
import zlib

import numpy as np
import pytest

from mmmi_hf.causal import (
    BeyondFloat64Error,
    CausalModel,
    InvalidModelError,
    InvalidQueryError,
    common_cause,
    decaying_modalities,
    templates,
)

GOOD = {"eta": [1.0], "weights": [[1.0], [2.0]], "mixing": [[1.0, 0.0], [0.0, 1.0]], "shape": (2, 2)}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda wrong: CausalModel(**{**GOOD, "eta": [wrong]}), "eta"),
        (lambda wrong: CausalModel(**{**GOOD, "weights": [[1.0], [wrong]]}), "weights"),
        (lambda wrong: CausalModel(**{**GOOD, "mixing": [[wrong, 0.0], [0.0, 1.0]]}), "mixing"),
        (lambda wrong: CausalModel(**GOOD, templates=[[[[1.0, wrong], [1.0, 1.0]]], ["ones"]]), r"templates\[0\]\[0\]"),
        (lambda wrong: CausalModel.from_matrix([[1.0, wrong], [0.0, 1.0]], [(1,)]), "A"),
        (lambda wrong: common_cause((2,), mi=wrong), "mi"),
        (lambda wrong: common_cause((2,), mi=[1.0, wrong]), "mi"),
        (lambda wrong: common_cause((2,), rho_hat=wrong), "rho_hat"),
        (lambda wrong: common_cause((2,), modalities=wrong), "modalities"),
        (lambda wrong: common_cause((2, wrong)), "shape"),
        (lambda wrong: decaying_modalities((2,), alpha=wrong), "alpha"),
        (lambda wrong: templates.gaussian((4, 4), width=wrong), "width"),
        (lambda wrong: templates.gaussian((4, 4), centre=[1.0, wrong]), "centre"),
        (lambda wrong: templates.half_plane((4, 4), angle=wrong), "angle"),
        (lambda wrong: templates.checkerboard((4, 4), period=wrong), "period"),
        (lambda wrong: templates.single_component((4, 4), index=wrong), "index"),
        (lambda wrong: templates.random_field((4, 4), seed=wrong), "seed"),
        (lambda wrong: CausalModel(**GOOD).sample(2, seed=wrong), "seed"),
    ],
)
@pytest.mark.parametrize("wrong", [True, "1", np.True_, None], ids=repr)
def test_what_is_no_number_is_refused_by_name(make, field, wrong):
    if wrong is None and field in ("mi", "width", "centre", "index"):
        pytest.skip("None means the default here")
    with pytest.raises((InvalidModelError, InvalidQueryError), match=rf"^{field}") as refused:
        make(wrong)
    assert "\n" not in str(refused.value)


def test_numbers_of_numpy_are_numbers():
    made = common_cause((np.int64(2), np.int32(3)), mi=np.float32(1.0), modalities=np.int64(3))
    assert made.digest == common_cause((2, 3), mi=1.0, modalities=3).digest
    drawn = made.sample(np.int64(4), seed=np.uint64(5), start=np.int16(2))
    np.testing.assert_array_equal(drawn.y, made.sample(4, seed=5, start=2).y)
    np.testing.assert_array_equal(
        templates.checkerboard((4, 4), period=np.int8(4)), templates.checkerboard((4, 4), period=4)
    )
    assert templates.single_component((4,), index=np.int64(2))[2] == 1.0
    assert CausalModel(np.array([1], dtype=np.int8), GOOD["weights"], GOOD["mixing"], shape=(2, 2)).eta[0] == 1.0


def test_great_shapes_and_long_lists_are_refused_at_once():
    begin = time.perf_counter()
    text = json.loads(common_cause((2,)).to_json())
    text["shapes"] = [[300_000_000]] * 2
    text["templates"] = [{"name": "ones", "shape": [300_000_000]}]
    with pytest.raises(InvalidModelError, match="more than 16777216 entries"):
        CausalModel.from_json(json.dumps(text))
    with pytest.raises(InvalidModelError, match="each at most 1024"):
        CausalModel([1.0] * 250_000, [[1.0] * 250_000], [[1.0]], shape=(2,))
    with pytest.raises(InvalidModelError, match=r"modalities is .* at most 1024"):
        common_cause((2,), modalities=9_223_372_036_854_775_808)
    with pytest.raises(InvalidModelError, match="more than 16777216 entries"):
        templates.gaussian((20_000, 20_000))
    with pytest.raises(InvalidModelError, match=r"A has shape .* each at most 65536"):
        CausalModel.from_matrix(np.ones((2, 70_000)), [(1,)])
    assert time.perf_counter() - begin < 5.0


def test_causes_that_drown_the_noise_of_float64_rows_are_told_before_any_are_made():
    loud = CausalModel([1.0, 0.0], [[1e30, 0.1], [0.1, 1.0]], np.eye(2), shape=(1, 4, 4))
    with pytest.raises(BeyondFloat64Error, match=r"weights\[0\] make the causes of x1 more than 4.5e\+13 times"):
        loud.check_rows()
    with pytest.raises(BeyondFloat64Error):
        loud.pointwise_mutual_information(loud.sample(2, seed=0), "x1", "y")
    honest = CausalModel([1.0, 0.0], [[1e9, 0.1], [0.1, 1.0]], np.eye(2), shape=(1, 4, 4))
    honest.check_rows()
    assert np.isfinite(honest.pointwise_mutual_information(honest.sample(2, seed=0), "x1", "y")).all()
    CausalModel.from_matrix(np.eye(3), [(2,)]).check_rows()


@pytest.mark.parametrize("side", [4097, 20_000])
def test_a_great_picture_is_refused_before_it_is_read(tmp_path, side):
    """A file that says so in its head and has no pixels."""
    head = struct.pack(">II5B", side, side, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    path = tmp_path / "great.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )
    with pytest.raises(InvalidModelError, match="is not a readable image") as refused:
        templates.image(path, (8, 8))
    assert "\n" not in str(refused.value)
    if side == 4097:
        assert "4097 × 4097 pixels" in str(refused.value)
