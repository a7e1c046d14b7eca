"""Counting latents that a blind inverse does not give back: what is counted, and how a killed run goes on."""

import json
import math

import pytest
import torch

from mmmi_hf.dataset.generation.rows import images_of
from mmmi_hf.flow import load_bijection
from mmmi_hf.flow.bijection import ROUND_TRIP
from mmmi_hf.flow.evaluation.map_share import measure_map_share, read_map_share
from mmmi_hf.flow.evaluation.sample_store import latents_of_class


@pytest.fixture
def path(tmp_path):
    return tmp_path / "shares" / "shirts.json"


def measured(pipeline, path, rows=8, **options):
    given = {"micro_batch": 4, "inverted_together": 4, "progress": False, **options}
    return measure_map_share(pipeline, 1, rows, path, **given)


def test_a_good_map_has_no_bad_rows(tiny_pipeline, path):
    found = measured(tiny_pipeline, path, rows=6)
    assert found == read_map_share(path)
    assert (found.rows, found.failed, found.bad_rows) == (8, 0, ())
    assert found.tolerance == ROUND_TRIP["float32"] == 2e-5
    assert 0.0 < found.largest < 5e-6
    assert found.pipeline == tiny_pipeline.digest


def test_errors_are_those_of_a_round_trip_by_hand(tiny_pipeline, path):
    z = latents_of_class(3, 1, range(4), tiny_pipeline.latent_shape, purpose="map share")
    back = tiny_pipeline.invert(tiny_pipeline(z.float(), 1).images, 1).double()
    by_hand = (back - z).flatten(1).norm(dim=1) / math.sqrt(64)
    assert measured(tiny_pipeline, path, rows=4, seed=3).largest == pytest.approx(float(by_hand.max()))


@pytest.mark.parametrize("threads", [1, 2])
def test_images_are_those_that_generation_makes(tiny_pipeline, path, threads):
    """Bit for bit, in whole micro-batches, whatever part of them is inverted together."""
    seen, before = [], torch.get_num_threads()

    class Seeing(Damaged):
        def invert(self, images, label, on_failure):
            assert torch.get_num_threads() == 1
            seen.append(images)
            return super().invert(images, label, on_failure)

    torch.set_num_threads(threads)
    try:
        measured(Seeing(tiny_pipeline, {}), path, micro_batch=32, inverted_together=12)
    finally:
        torch.set_num_threads(before)
    z = latents_of_class(0, 1, range(32), tiny_pipeline.latent_shape, purpose="map share").float().numpy()
    assert sorted(map(len, seen)) == [8, 12, 12]
    torch.set_num_threads(1)
    try:
        made = {image.tobytes() for image in images_of(tiny_pipeline, 1, z)}
    finally:
        torch.set_num_threads(before)
    assert {image.numpy().tobytes() for part in seen for image in part} == made


class Damaged:
    """The pipeline with an inverse that is wrong in some rows: row number → factor of the latent."""

    def __init__(self, pipeline, factors):
        self._pipeline, self._factors, self.inverted = pipeline, factors, 0

    def __getattr__(self, name):
        return getattr(self._pipeline, name)

    def in_precision(self, dtype):
        assert dtype == torch.float32
        return self

    def __call__(self, *arguments):
        return self._pipeline(*arguments)

    def invert(self, images, label, on_failure):
        assert on_failure == "nan"
        back = self._pipeline.invert(images, label, on_failure=on_failure)
        for place in range(len(back)):
            back[place] *= self._factors.get(self.inverted + place, 1.0)
        self.inverted += len(back)
        return back


def test_bad_rows_are_named(tiny_pipeline, path):
    found = measured(Damaged(tiny_pipeline, {1: 1.000015, 2: math.nan, 5: 1.01}), path)
    assert found.failed == 1
    assert found.bad_rows == (2, 5)
    assert [found.bad_among(rows) for rows in (2, 3, 5, 6)] == [0, 1, 1, 2]
    assert 1e-5 < found.largest < 2e-5


def test_a_killed_run_goes_on_where_it_was(tiny_pipeline, path):
    whole = measured(tiny_pipeline, path.with_name("whole.json"), rows=12)

    class Killed(Exception):
        pass

    class Dying(Damaged):
        def invert(self, images, label, on_failure):
            if self.inverted == 8:
                raise Killed
            return super().invert(images, label, on_failure)

    with pytest.raises(Killed):
        measured(Dying(tiny_pipeline, {}), path, rows=12)
    assert read_map_share(path).rows == 8
    going_on = Damaged(tiny_pipeline, {})
    assert measured(going_on, path, rows=12) == whole
    assert going_on.inverted == 4
    assert measured(Damaged(tiny_pipeline, {}), path, rows=5) == whole


def test_a_file_of_something_else_is_not_continued(tiny_pipeline, path):
    measured(tiny_pipeline, path)
    with pytest.raises(ValueError, match="another file"):
        measured(tiny_pipeline, path, seed=1)
    for other in ({"micro_batch": 8}, {"inverted_together": 2}):
        with pytest.raises(ValueError, match="another file"):
            measured(tiny_pipeline, path, **other)
    with pytest.raises(ValueError, match="another file"):
        measure_map_share(tiny_pipeline, 2, 8, path, micro_batch=4, inverted_together=4, progress=False)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 1},
        {"rows": 1, "failed": 2},
        {"failed": -1},
        {"bad_rows": [4]},
        {"bad_rows": [3, 2]},
        {"bad_rows": [2, 2]},
        {"largest": 1.0},
        {"shipped": [5]},
        {"micro_batch": 0},
        {"unknown": 1},
    ],
)
def test_a_forged_file_is_refused(tiny_pipeline, path, change):
    measured(tiny_pipeline, path, rows=4)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match="measure them again"):
        read_map_share(path)


@pytest.mark.parametrize("numbers", [{"rows": 0}, {"micro_batch": 0}, {"inverted_together": 0}])
def test_numbers_below_one_are_refused(tiny_pipeline, path, numbers):
    with pytest.raises(ValueError, match="at least 1"):
        measure_map_share(tiny_pipeline, 1, **{"rows": 4, "path": path, "micro_batch": 4, **numbers})


@pytest.mark.parametrize("label", [3, -1, None, True, 1.0])
def test_a_class_that_the_map_has_not_is_refused_before_anything_is_shown(tiny_pipeline, path, capsys, label):
    with pytest.raises(ValueError, match=f"the class must be a whole number in 0 … 2, got {label}"):
        measure_map_share(tiny_pipeline, label, 4, path, micro_batch=4)
    assert not path.exists()
    assert capsys.readouterr().err == ""


def test_a_map_without_classes_takes_none(path):
    with pytest.raises(ValueError, match="must be None: this map has no classes, got 0"):
        measure_map_share(load_bijection("asinh", (5,)), 0, 4, path, micro_batch=4, progress=False)


def test_any_bijection_in_any_precision_is_measured_in_float32(tiny_pipeline, path):
    exact = tiny_pipeline.in_precision(torch.float64)
    assert measured(exact, path, rows=4) == measured(tiny_pipeline, path.with_name("same.json"), rows=4)
    formula = load_bijection("asinh", (5,))
    found = measure_map_share(formula, None, 50, path.with_name("formula.json"), micro_batch=50, progress=False)
    assert (found.rows, found.label, found.bad_rows) == (50, None, ())
