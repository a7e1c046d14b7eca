"""Sample quality on images whose answer is known: real images as samples, noise as samples, two copies of an image."""

import pytest
import torch

from mmmi_hf.flow.bijection import View
from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.evaluation.quality import classification_accuracy_score, draw_sheets, sample_quality, values_of
from mmmi_hf.flow.evaluation.record import Rows
from mmmi_hf.flow.training.images import LabelledImages, to_float

VIEW = View("image", 1.0)
QUICK = ClassifierSettings(
    widths=(8, 8, 16), epochs=5, batch_size=32, learning_rate=0.1, max_shift=1, mixed_precision=False
)


def _bars(per_class, seed):
    """Class 0 shows a vertical bar, class 1 a horizontal one; balanced, uint8."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 80, (2 * per_class, 1, 8, 8), generator=draw, dtype=torch.uint8)
    labels = torch.arange(2).repeat_interleave(per_class)
    places = torch.randint(1, 7, (2 * per_class,), generator=draw)
    for image, label, place in zip(images, labels, places, strict=True):
        if label:
            image[:, place] = 255
        else:
            image[:, :, place] = 255
    return LabelledImages(images, labels, ("vertical", "horizontal"))


@pytest.fixture(scope="module")
def train():
    return _bars(160, 0)


@pytest.fixture(scope="module")
def test():
    return _bars(60, 1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def _as_samples(images):
    return to_float(images.values).reshape(2, -1, 1, 8, 8)


def test_real_images_as_samples_score_like_real_images(train, test, cache):
    report = sample_quality(_as_samples(_bars(60, 2)), train, test, QUICK, cache, progress=False)
    accuracy = report.accuracy
    assert accuracy.test_images.overall.value > 0.95
    assert accuracy.samples.overall.value > 0.95
    assert accuracy.samples.overall.images == 120
    low, high = accuracy.samples.overall.interval_95
    assert low < accuracy.samples.overall.value <= high
    assert set(accuracy.samples.per_class) == {"vertical", "horizontal"}
    assert report.frechet.ratio < 6
    assert report.frechet.rows == Rows(samples=120, training_images=120, test_images=120)
    assert report.precision_recall.samples.precision > 0.8


def test_noise_as_samples_scores_worse_everywhere(train, test, cache):
    noise = 2 * torch.randn(2, 50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    good = sample_quality(_as_samples(_bars(50, 2)), train, test, QUICK, cache, progress=False)
    bad = sample_quality(noise, train, test, QUICK, cache, progress=False)
    assert bad.accuracy.samples.overall.value < 0.75
    assert bad.frechet.ratio > 5 * good.frechet.ratio
    assert bad.precision_recall.samples.precision < 0.5
    assert bad.precision_recall.rows == 100, "the larger sets are thinned to the smallest"
    assert values_of(noise, VIEW).share_clipped > 0.3
    assert bad.accuracy.test_images == good.accuracy.test_images


def test_swapped_classes_are_seen(train, test, cache):
    swapped = _as_samples(_bars(40, 2)).flip(0)
    report = sample_quality(swapped, train, test, QUICK, cache, progress=False)
    assert report.accuracy.samples.overall.value < 0.05


def test_classification_accuracy_score_tells_good_from_mislabelled_samples(train, test, cache):
    good = classification_accuracy_score(_as_samples(_bars(150, 2)), train, test, QUICK, cache, progress=False)
    assert good.samples.value > 0.9
    assert good.training_images.value > 0.9
    assert good.images == Rows(samples=300, training_images=300)
    bad = classification_accuracy_score(_as_samples(_bars(150, 2)).flip(0), train, test, QUICK, cache, progress=False)
    assert bad.samples.value < 0.1
    assert bad.training_images == good.training_images


def test_a_copy_of_a_training_image_is_found(train, tmp_path):
    samples = _as_samples(_bars(12, 2))
    report = draw_sheets(samples, train, VIEW, None, tmp_path)
    assert report.smallest_neighbour_distance > 0.1
    copied = to_float(train.values[[*range(12), *range(200, 212)]]).reshape(2, 12, 1, 8, 8)
    assert draw_sheets(copied, train, VIEW, None, tmp_path).smallest_neighbour_distance == 0
    assert {path.name for path in tmp_path.iterdir()} == {"samples.png", "neighbours.png"}


def test_a_class_without_test_images_has_no_accuracy(train, cache):
    only = _bars(20, 1)
    half = LabelledImages(only.values[:20], only.labels[:20], only.class_names)
    report = sample_quality(_as_samples(_bars(20, 2)), train, half, QUICK, cache, progress=False)
    assert report.accuracy.test_images.per_class["horizontal"].value is None


def test_values_beyond_a_view_are_counted_beyond_half_a_level():
    half = 1 / 255
    samples = torch.tensor([0.0, 1.0 + 0.9 * half, 1.0 + 1.1 * half, -3.0]).reshape(1, 4, 1, 1, 1)
    found = values_of(samples, VIEW)
    assert (found.smallest, found.share_clipped) == (-3.0, 0.5)
    assert values_of(2 * samples, View("image", 2.0)).share_clipped == 0.5
    assert values_of(samples.reshape(1, 1, 4), View("sound", 1.0, 8000)).share_clipped == 0.75
