"""Signals: read from any data set of labelled lists, trained on by the trainer of images, and every refusal."""

import dataclasses
import json
import re
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch

from mmmi_hf.flow import FlowMatchingPipeline, View, round_trip
from mmmi_hf.flow.computing.layouts import Companding
from mmmi_hf.flow.training.distillation import distill
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe
from mmmi_hf.flow.training.recipe import SignalRecipe, TrainingRecipe, draws_of_step, flow_matching_batch, read_recipe
from mmmi_hf.flow.training.record import TRAINING, TrainingRecord
from mmmi_hf.flow.training.signals import LabelledSignals, load_signals
from mmmi_hf.flow.training.trainer import train
from mmmi_hf.flow.training.trajectories import Guide
from tests.flow.training.recipes import signals_of, tiny_signals


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of 24 signals of 64 whole numbers, three classes."""
    folder = tmp_path_factory.mktemp("signals")
    rows = np.random.default_rng(0).integers(-9, 9, (24, 64), dtype=np.int16)
    signals_of(list(rows)).to_parquet(folder / "train.parquet")
    return str(folder)


def stored(folder, rows, **options):
    signals_of(rows, **options).to_parquet(folder / "train.parquet")
    return {"source": str(folder), "signal_column": "signal", "length": 4, "progress": False}


def test_numbers_are_kept_and_multiplied_by_the_gain(data):
    found = load_signals(data, signal_column="signal", length=64, gain=0.25, progress=False)
    assert (found.values.dtype, found.values.shape, found.class_names) == (torch.int16, (24, 64), ("a", "b", "c"))
    floats, labels = found.batch(torch.tensor([1, 5]))
    assert torch.equal(floats, found.values[[1, 5]].float() / 4)
    assert labels.tolist() == [1, 2]


def test_signals_are_cut_and_filled_to_one_length(tmp_path):
    rows = [np.arange(1.0, n + 1, dtype=np.float32) for n in (6, 4, 2)]
    found = load_signals(**stored(tmp_path, rows))
    assert found.values.tolist() == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 0, 0]]
    assert found.values.dtype == torch.float32


def test_large_numbers_do_not_wrap(tmp_path):
    rows = [np.array([70000, -70000, 0, 1], dtype=np.int32)] * 3
    assert load_signals(**stored(tmp_path, rows)).values[0].tolist() == [70000, -70000, 0, 1]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signal_column": "sound"}, r"has no column 'sound'; it has \['label', 'signal'\]"),
        ({"signal_column": "label"}, "column 'label' of .* must hold lists of numbers, got ClassLabel"),
    ],
)
def test_columns_that_are_no_signals(tmp_path, changes, says):
    wanted = stored(tmp_path, [np.zeros(4, np.float32)] * 3)
    with pytest.raises(ValueError, match=says):
        load_signals(**{**wanted, **changes})


def test_lists_of_texts_are_no_signals(tmp_path):
    features = datasets.Features({"signal": datasets.List(datasets.Value("string")), "label": datasets.Value("int64")})
    datasets.Dataset.from_dict({"signal": [["a"]], "label": [0]}, features=features).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="must hold lists of numbers, got List"):
        load_signals(str(tmp_path), signal_column="signal", length=4, progress=False)


@pytest.mark.parametrize(("value", "says"), [(np.nan, "NaN or infinity in 'signal'"), (None, "numbers missing")])
def test_numbers_that_are_none(tmp_path, value, says):
    features = datasets.Features({"signal": datasets.List(datasets.Value("float32")), "label": datasets.Value("int64")})
    rows = {"signal": [[1.0, 2.0], [value, 2.0]], "label": [0, 1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=f"row 1 of .* {says}"):
        load_signals(str(tmp_path), signal_column="signal", length=4, progress=False)


def test_the_network_sees_the_transform_of_signal_and_noise(data):
    recipe = tiny_signals(data, sigma_min=0.1)
    examples = recipe.load(progress=False)
    drawn = draws_of_step(recipe, examples, 2)
    x_t, t, labels, velocity = flow_matching_batch(recipe, examples, drawn)
    assert x_t.shape == velocity.shape == (8, 4, 4, 4)
    target, expected_labels = examples.batch(drawn.rows)
    end = recipe.layout.to_state(x_t + (1 - t)[:, None, None, None] * velocity)
    torch.testing.assert_close(end, target + 0.1 * drawn.z, atol=1e-5, rtol=1e-5)
    assert torch.equal(labels, expected_labels)


def test_a_flow_to_compressed_frequencies_learns_where_it_ends(data):
    recipe = tiny_signals(data, sigma_min=0.1, companding=Companding(0.1, 1.5))
    examples = recipe.load(progress=False)
    drawn = draws_of_step(recipe, examples, 2)
    x_t, t, _, velocity = flow_matching_batch(recipe, examples, drawn)
    end = recipe.layout.to_state(x_t + (1 - t)[:, None, None, None] * velocity) - 0.1 * drawn.z
    torch.testing.assert_close(recipe.layout.made(end), examples.batch(drawn.rows)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.usefixtures("few_samples")
@pytest.mark.parametrize("companding", [None, Companding(0.1, 1.5)])
def test_sounds_are_trained_stored_distilled_and_inverted(data, tmp_path, companding):
    recipe = tiny_signals(data, companding=companding)
    assert hash(recipe)
    folder = train(recipe, tmp_path / "run", cpu=True, progress=False)
    pipe = FlowMatchingPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    assert (pipe.latent_shape, pipe.view, pipe.class_names) == ((64,), View("sound", 4.0, 8000), ("a", "b", "c"))
    assert json.loads((folder / "model_index.json").read_text())["sound"] == recipe.sound
    assert (tmp_path / "run/samples/step-000006.png").is_file()
    record = TrainingRecord.read(tmp_path / "run" / TRAINING)
    assert record.recipe == recipe
    assert record.digest == pipe.digest
    found = round_trip(pipe, per_class=2)
    assert found.failures == 0
    assert found.relative_error_max < 2e-5
    learner = DistillationRecipe(
        teacher=str(folder), nodes=(0, 4, 8), trajectories=512, steps=4, journey_steps=2, batch_size=4,
        penalty=1.0, penalty_every=2, mixed_precision="no", sample_every=4,
    )  # fmt: skip
    student = FlowMatchingPipeline.from_pretrained(distill(learner, tmp_path / "student", cpu=True, progress=False))
    assert (student.view, len(student.scheduler), student.latent_shape) == (pipe.view, 2, (64,))
    again = tiny_signals(data, initial_pipeline=str(folder), seed=1, steps=2, companding=companding)
    leg = train(again, tmp_path / "leg", cpu=True, progress=False)
    other = dataclasses.replace(again, companding=Companding(1.0, 1.0))
    with pytest.raises(ValueError, match="has another network, path or companding than the recipe"):
        train(other, tmp_path / "other", cpu=True, progress=False)
    assert FlowMatchingPipeline.from_pretrained(leg).layout.companding == recipe.companding
    strange = tmp_path / "strange"
    FlowMatchingPipeline(pipe.unet, pipe.scheduler, 2, list("abc"), other.sound).save_pretrained(strange)
    with pytest.raises(ValueError, match="has another companding than the teacher"):
        distill(
            dataclasses.replace(learner, initial_pipeline=str(strange)), tmp_path / "third", cpu=True, progress=False
        )


def test_a_guide_moves_what_the_teacher_moves(data):
    scheduler = FlowMatchingPipeline.from_pretrained("fashion-mnist").scheduler
    plain, other = (
        FlowMatchingPipeline(recipe.network(3), scheduler, 2, None, recipe.sound)
        for recipe in (tiny_signals(data), tiny_signals(data, companding=Companding(0.1, 1.5)))
    )
    with pytest.raises(ValueError, match=r"guide and teacher must have the same latents, classes, .* and companding"):
        Guide(other, 2.0).check(plain)


def test_what_layouts_do_not_touch_is_no_part_of_the_map(data):
    """The rate and the range of the view change nothing but the view; the transform does change the map."""
    recipe = tiny_signals(data)

    def made(sound):
        scheduler = FlowMatchingPipeline.from_pretrained("fashion-mnist").scheduler
        return FlowMatchingPipeline(recipe.network(3), scheduler, 2, None, sound)

    plain = made(recipe.sound)
    assert made({**recipe.sound, "rate": 1, "half_range": 9.0}).digest == plain.digest
    assert made({**recipe.sound, "companding": {"knee": 0.1, "scale": 1.0}}).digest != plain.digest
    with pytest.raises(ValueError, match=r"unet does not fit its layout: the width of sample_size must be bins / pat"):
        made({**recipe.sound, "bins": 16})
    with pytest.raises(ValueError, match=r"unet does not fit its layout: sound must be null, or have bins"):
        made({"bins": 8})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bins": 12, "block_out_channels": (8,) * 3, "attention": (False,) * 3}, r"× 2\^\(levels − 1\) = 8, got 12"),
        ({"bins": 6}, "sound.bins must be a multiple of 2 × patch_size = 4"),
        ({"length": 48}, r"length must be a multiple of bins × patch_size × 2\^\(levels − 1\) = 32, got 48"),
        ({"attention": (True,)}, "attention needs one entry per level: 2, got 1"),
        ({"rate": 0}, "rate: input should be greater than or equal to 1"),
        ({"gain": 0.0}, "gain: input should be greater than 0"),
        ({"half_range": -1.0}, "half_range: input should be greater than 0"),
    ],
)
def test_recipes_that_cannot_be(changes, says):
    with pytest.raises(ValueError, match=says):
        tiny_signals("x", **changes)


@pytest.mark.parametrize(
    ("companding", "says"),
    [
        ("{knee: 0.1}", "companding.scale: is missing"),
        ("{knee: -1.0, scale: 1.0}", "companding.knee: input should be greater than or equal to 0.000001, got -1.0"),
        ("loud", "companding"),
    ],
)
def test_companding_in_a_file(tmp_path, companding, says):
    written = Path("model_cards/instruments/teacher/recipe.yaml").read_text()
    path = tmp_path / "recipe.yaml"
    path.write_text(written)
    assert read_recipe(path).companding == Companding(0.1, 1.084)
    path.write_text(re.sub("companding: .*", f"companding: {companding}", written))
    with pytest.raises(ValueError, match=says):
        read_recipe(path)


def test_too_few_signals_for_a_batch(data):
    recipe = tiny_signals(data, batch_size=25)
    with pytest.raises(ValueError, match="24 signals do not fill one batch of 25; lower batch_size"):
        recipe.check_data(recipe.load(progress=False))


def test_a_recipe_is_one_of_signals_if_it_names_their_column(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("dataset: x\nsignal_column: wave\nrate: 8000\n")
    assert read_recipe(path, steps=3) == SignalRecipe("x", signal_column="wave", rate=8000, steps=3)
    path.write_text("dataset: x\n")
    assert read_recipe(path) == TrainingRecipe("x")
    path.write_text("dataset: x\nsignal_column: wave\nrate: 8000\nimage_size: 4\n")
    with pytest.raises(
        ValueError, match=r"line 4: image_size: unknown field; a training recipe has attention, .* rate"
    ):
        read_recipe(path)
    path.write_text("[")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_recipe(path)
    with pytest.raises(ValueError, match="there is no file nowhere; give one"):
        read_recipe("nowhere")


def test_examples_move_as_a_whole():
    signals = LabelledSignals(torch.zeros(2, 4), torch.tensor([0, 1]), ("a", "b"), 2.0)
    assert dataclasses.asdict(signals.on(torch.device("meta"))).keys() == dataclasses.asdict(signals).keys()
    assert signals.on(torch.device("meta")).gain == 2.0
