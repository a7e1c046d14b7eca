"""The classifier: it learns, repeats itself bit for bit, keeps its weights, and refuses what does not fit."""

import dataclasses
from pathlib import Path

import pytest
import torch

from mmmi_hf.flow.evaluation.classifier import (
    ClassifierSettings,
    ImageClassifier,
    _augmented,
    cached_classifier,
    classifier_digest,
    judge,
    train_classifier,
)

QUICK = ClassifierSettings(
    widths=(8, 8, 16), epochs=5, batch_size=32, learning_rate=0.1, max_shift=1, mixed_precision=False
)


def _bars(n, seed, channels=1):
    """Two classes: a horizontal and a vertical bar somewhere, in noise; uint8."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 80, (n, channels, 8, 8), generator=draw, dtype=torch.uint8)
    labels = torch.randint(0, 2, (n,), generator=draw)
    places = torch.randint(1, 7, (n,), generator=draw)
    for image, label, place in zip(images, labels, places, strict=True):
        if label:
            image[:, place] = 255
        else:
            image[:, :, place] = 255
    return images, labels


@pytest.mark.parametrize("channels", [1, 3])
def test_it_learns_what_it_has_not_seen(channels):
    model = train_classifier(*_bars(320, 0, channels), 2, QUICK, progress=False)
    images, labels = _bars(200, 1, channels)
    predicted, features = judge(model, images, progress=False)
    assert (predicted == labels).double().mean() > 0.95
    assert features.shape == (200, 16)
    assert features.dtype == torch.float64


def test_bfloat16_training_learns_too():
    images, labels = _bars(160, 0)
    settings = dataclasses.replace(QUICK, epochs=5, mixed_precision=True)
    model = train_classifier(images, labels, 2, settings, progress=False)
    assert all(value.dtype != torch.bfloat16 for value in model.state_dict().values())
    assert (judge(model, images, progress=False)[0] == labels).double().mean() > 0.6


def test_same_seed_same_bits_another_seed_others_and_the_global_stream_is_left_alone():
    data = _bars(64, 0)
    quick = dataclasses.replace(QUICK, epochs=1)
    torch.manual_seed(7)
    first = train_classifier(*data, 2, quick, progress=False).state_dict()
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(after, torch.rand(1))
    again = train_classifier(*data, 2, quick, progress=False).state_dict()
    other = train_classifier(*data, 2, dataclasses.replace(quick, seed=1), progress=False).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_weights_are_kept_by_content(tmp_path, monkeypatch):
    images, labels = _bars(64, 0)
    quick = dataclasses.replace(QUICK, epochs=1)
    made = cached_classifier(tmp_path, images, labels, 2, quick, progress=False)
    monkeypatch.setattr(
        "mmmi_hf.flow.evaluation.classifier.train_classifier", lambda *a, **k: pytest.fail("trained again")
    )
    kept = cached_classifier(tmp_path, images, labels, 2, quick, progress=False)
    probe = _bars(20, 3)[0]
    for a, b in zip(judge(made, probe, progress=False), judge(kept, probe, progress=False), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        cached_classifier(tmp_path, images.flip(0), labels, 2, quick, progress=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_a_cache_that_belongs_to_something_else_is_refused(tmp_path):
    images, labels = _bars(64, 0)
    quick = dataclasses.replace(QUICK, epochs=1)
    cached_classifier(tmp_path, images, labels, 2, quick, progress=False)
    other = classifier_digest(images.flip(0), labels, 2, quick)
    next(tmp_path.iterdir()).rename(tmp_path / f"classifier-{other[:16]}.safetensors")
    with pytest.raises(ValueError, match="does not belong to these images"):
        cached_classifier(tmp_path, images.flip(0), labels, 2, quick, progress=False)


def test_the_digest_sees_settings_images_labels_and_classes():
    images, labels = _bars(8, 0)
    digests = {
        classifier_digest(images, labels, 2, QUICK),
        classifier_digest(images, labels, 3, QUICK),
        classifier_digest(images.flip(0), labels, 2, QUICK),
        classifier_digest(images, 1 - labels, 2, QUICK),
        classifier_digest(images, labels, 2, dataclasses.replace(QUICK, seed=5)),
    }
    assert len(digests) == 5


def test_bytes_and_their_floats_are_judged_alike():
    images = _bars(10, 0)[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ImageClassifier(1, 2).eval()
    for a, b in zip(
        judge(model, images, progress=False), judge(model, images / 127.5 - 1, progress=False), strict=True
    ):
        assert torch.equal(a, b)


def test_augmentation_shifts_by_whole_pixels_and_mirrors_half():
    image = torch.zeros(400, 2, 8, 8)
    image[:, :, 3, 2] = torch.tensor([1.0, 2.0])
    moved = _augmented(image, ClassifierSettings(max_shift=1), torch.Generator().manual_seed(0))
    places = [tuple(place.tolist()) for place in moved[:, 0].flatten(1).argmax(1, keepdim=True)]
    assert {divmod(place[0], 8) for place in places} == {(y, x) for y in (2, 3, 4) for x in (1, 2, 3)}
    assert torch.equal(moved[:, 1], 2 * moved[:, 0]), "channels move together"
    mirrored = _augmented(
        image, ClassifierSettings(max_shift=0, horizontal_flips=True), torch.Generator().manual_seed(0)
    )
    columns = mirrored[:, 0, 3].argmax(1)
    assert set(columns.tolist()) == {2, 5}
    assert abs((columns == 5).double().mean() - 0.5) < 4.5 * 0.5 / 400**0.5
    still = _augmented(image, ClassifierSettings(max_shift=0), torch.Generator().manual_seed(0))
    assert torch.equal(still, image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs: input should be greater than or equal to 1, got 0"),
        ({"epochs": True}, "epochs: input should be a valid integer, got True"),
        ({"batch_size": 8.5}, "batch_size: input should be a valid integer, got 8.5"),
        ({"max_shift": -1}, "max_shift: input should be greater than or equal to 0, got -1"),
        ({"seed": None}, "seed: input should be a valid integer, got None"),
        ({"learning_rate": "2e-1"}, "learning_rate: input should be a valid number, got '2e-1'"),
        ({"learning_rate": float("nan")}, "learning_rate: input should be a finite number, got nan"),
        ({"weight_decay": float("inf")}, "weight_decay: input should be a finite number, got inf"),
        ({"learning_rate": 0}, "learning_rate: input should be greater than 0, got 0"),
        ({"momentum": 1}, "momentum: input should be less than 1, got 1"),
        ({"label_smoothing": 1.0}, "label_smoothing: input should be less than 1, got 1.0"),
        ({"horizontal_flips": "false"}, "horizontal_flips: input should be a valid boolean, got 'false'"),
        ({"mixed_precision": "bf16"}, "mixed_precision: input should be a valid boolean, got 'bf16'"),
        ({"widths": (8, 8)}, r"widths\[2\]: is missing"),
        ({"widths": (8, 0, 8)}, r"widths\[1\]: input should be greater than or equal to 1, got 0"),
        ({"widths": 5}, "widths: input should be a valid tuple, got 5"),
        ({"weight_decay": -1.0}, "weight_decay: input should be greater than or equal to 0, got -1.0"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ClassifierSettings(**settings)


def test_settings_are_read_from_a_file(tmp_path):
    path = tmp_path / "classifier.yaml"
    path.write_text("widths: [8, 16, 24]\nepochs: 3\nhorizontal_flips: true\n")
    wanted = ClassifierSettings(widths=(8, 16, 24), epochs=3, horizontal_flips=True, seed=5)
    assert ClassifierSettings.from_yaml(path, seed=5) == wanted
    path.write_text("seed: 7\n")
    assert ClassifierSettings.from_yaml(path, seed=5) == ClassifierSettings(seed=7)
    for file in Path("model_cards").glob("*/classifier*.yaml"):
        assert ClassifierSettings.from_yaml(file) != ClassifierSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file"),
        ("a: [", r"classifier.yaml, line \d: not valid YAML"),
        ("[1]", "must hold fields of a classifier"),
        ("epoch: 3", "classifier.yaml, line 1: epoch: unknown field; a classifier has .* epochs, "),
        ("epochs: 0", "classifier.yaml, line 1: epochs: input should be greater than or equal to 1"),
        ("learning_rate: 2e-1", "line 1: learning_rate: input should be a valid number, got '2e-1'"),
        ("widths: 5", "widths: input should be a valid array, got 5"),
        ("false", "must hold fields of a classifier, got bool"),
    ],
)
def test_files_of_settings_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "classifier.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        ClassifierSettings.from_yaml(path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(4, 8, 8), torch.zeros(4).long(), "images must be at least two"),
        (torch.zeros(1, 1, 8, 8), torch.zeros(1).long(), "images must be at least two"),
        (torch.zeros(4, 1, 7, 8), torch.zeros(4).long(), "with H and W even"),
        (torch.zeros(4, 1, 8, 8), torch.zeros(3).long(), "one entry per image"),
        (torch.zeros(4, 1, 8, 8), torch.full((4,), 2), "labels must lie in 0 … 1"),
        (torch.zeros(4, 1, 8, 8), torch.full((4,), -1), "labels must lie in 0 … 1"),
    ],
)
def test_images_and_labels_must_go_together(tmp_path, images, labels, message):
    with pytest.raises(ValueError, match=message):
        train_classifier(images, labels, 2, QUICK, progress=False)
    with pytest.raises(ValueError, match=message):
        cached_classifier(tmp_path, images, labels, 2, QUICK, progress=False)
    assert not list(tmp_path.iterdir())
