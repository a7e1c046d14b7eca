"""Recipes, images and the draws of a step: addressed by (seed, step), and every refusal."""

import dataclasses
import itertools
import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from mmmi_hf.flow.evaluation.classifier import ClassifierSettings
from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.training import trainer as training
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe
from mmmi_hf.flow.training.images import LabelledImages, load_images
from mmmi_hf.flow.training.recipe import SignalRecipe, TrainingRecipe, draws_of_step, flow_matching_batch, read_recipe
from mmmi_hf.flow.training.trainer import train
from tests.flow.training.recipes import signals_of, tiny


def images_of(count=32):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return LabelledImages(pixels, torch.arange(count) % 3, ("a", "b", "c"))


def batch_of(recipe, images, step, **place):
    return flow_matching_batch(recipe, images, draws_of_step(recipe, images, step, **place))


def test_the_velocity_leads_from_the_latent_to_the_image(data):
    recipe, images = tiny(data, patch_size=1), images_of()
    x_t, t, labels, velocity = batch_of(recipe, images, 3)
    ends = x_t + (1 - t)[:, None, None, None] * velocity
    order = [int((images.batch(torch.arange(32))[0] - end + 0.0).flatten(1).norm(dim=1).argmin()) for end in ends]
    latents = (x_t - t[:, None, None, None] * images.batch(torch.tensor(order))[0]) / (1 - 0.98 * t)[
        :, None, None, None
    ]
    torch.testing.assert_close(ends, images.batch(torch.tensor(order))[0] + 0.02 * latents, atol=1e-4, rtol=1e-4)
    assert labels.tolist() == [row % 3 for row in order]


def test_an_epoch_sees_every_image_once(data):
    recipe, images = tiny(data), images_of()
    images = LabelledImages(images.values, torch.arange(32), tuple(map(str, range(32))))
    seen = torch.cat([batch_of(recipe, images, step)[2] for step in range(4)])
    assert sorted(seen.tolist()) == list(range(32))


def test_processes_share_a_step_without_overlap(data):
    recipe, images = tiny(data), images_of()
    whole = batch_of(recipe, images, 5)
    halves = [batch_of(recipe, images, 5, rank=rank, world_size=2) for rank in range(2)]
    for index, tensor in enumerate(whole):
        for rank in range(2):
            torch.testing.assert_close(tensor[rank::2], halves[rank][index], rtol=0, atol=0)


ROWS = [29, 18, 15, 23, 1, 31, 22, 30]
Z = [0.152985, -0.357248, -1.667749]
T = [0.896343, 0.4792, 0.096877, 0.877264]
FLIP = [False, False, False, True, False, False, False, True]
"""Of step 5 of the tiny recipe with 32 images: as the first version drew them."""


def test_the_draws_of_a_step_are_these(data):
    """Fixed values: a run that was begun by an earlier version goes on with the same examples."""
    drawn = draws_of_step(tiny(data), images_of(), 5)
    assert drawn.rows.tolist() == ROWS
    assert drawn.z[0, 0, 0, :3].tolist() == pytest.approx(Z, abs=1e-6)
    assert drawn.t[:4].tolist() == pytest.approx(T, abs=1e-6)
    assert drawn.flip.tolist() == FLIP


def test_flips_mirror_about_half_of_the_images(data):
    images = images_of(64)
    plain = batch_of(tiny(data, batch_size=64, patch_size=1), images, 0)[3]
    flipped = batch_of(tiny(data, batch_size=64, patch_size=1, horizontal_flips=True), images, 0)[3]
    changed = (plain != flipped).flatten(1).any(dim=1).sum()
    assert 16 < int(changed) < 48


def test_the_schedules():
    recipe = TrainingRecipe(dataset="x", steps=1000, warmup_steps=10)
    rates = [recipe.learning_rate_at(step) for step in range(1000)]
    assert rates[9] == pytest.approx(recipe.learning_rate)
    assert rates[-1] == pytest.approx(recipe.final_learning_rate, rel=1e-2)
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))
    assert recipe.ema_decay_at(0) == pytest.approx(0.1)
    assert recipe.ema_decay_at(1000) == pytest.approx(0.99, abs=0.01)
    assert TrainingRecipe(dataset="x", steps=100_000).ema_decay_at(100_000) == pytest.approx(0.9995)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"steps": 0}, "^steps: input should be greater than or equal to 1, got 0$"),
        ({"pipeline_every": -1}, "pipeline_every: input should be greater than or equal to 0, got -1"),
        ({"sigma_min": 0.0}, "sigma_min: input should be greater than 0, got 0.0"),
        ({"image_size": 10}, "must be a multiple"),
        ({"attention": (True,)}, "attention needs one entry per level: 2"),
        ({"mixed_precision": "int4"}, "mixed_precision: input should be 'no', 'bf16' or 'fp16', got 'int4'"),
        ({"initial_pipeline": 5}, "initial_pipeline: input should be a valid string, got 5"),
        ({"steps": "many"}, "steps: input should be a valid integer, got 'many'"),
        ({"learning_rate": "1e-3"}, "learning_rate: input should be a valid number, got '1e-3'"),
        ({"ema_end": float("nan")}, "ema_end: input should be a finite number, got nan"),
        ({"block_out_channels": 5}, "block_out_channels: input should be a valid tuple, got 5"),
        ({"attention": ("yes", "no")}, r"attention\[0\]: input should be a valid boolean, got 'yes'"),
        ({"compile": "false"}, "compile: input should be a valid boolean, got 'false'"),
        ({"steps": True}, "steps: input should be a valid integer, got True"),
        ({"stps": 3}, "stps: unknown field"),
    ],
)
def test_recipes_that_cannot_be_used(data, changes, says):
    with pytest.raises(ValueError, match=says):
        tiny(data, **changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stps: 3", r"recipe.yaml, line 1: stps: unknown field; a training recipe has .* steps, "),
        ("dataset: x\nsteps: 3\nsteps: 4", r"recipe.yaml, line 3: steps is given twice \(first on line 2\)"),
        ("dataset: x\nsteps: yes", "recipe.yaml, line 2: steps: input should be a valid integer, got True"),
        ("dataset: x\nsplit: 5", "recipe.yaml, line 2: split: input should be a valid string, got 5"),
        ("dataset: x\nattention:\n- true\n- 1", r"line 4: attention\[1\]: input should be a valid boolean, got 1"),
        ("dataset: x\nbatch_size: 9\nimage_size: 10", "line 3: image_size 10 must be a multiple"),
        ("[1]", "must hold fields"),
        ("[]", "must hold fields"),
        ("", "recipe.yaml.*: dataset: is missing"),
        ("a: [", "not valid YAML"),
        ("steps: 3", "recipe.yaml.*: dataset: is missing"),
    ],
)
def test_recipe_files_that_cannot_be_used(tmp_path, text, says):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        TrainingRecipe.from_yaml(path)


def test_a_wrong_argument_is_not_blamed_on_the_file(tmp_path):
    (tmp_path / "recipe.yaml").write_text("dataset: x\nsteps: 3\n")
    with pytest.raises(ValueError, match=r"^steps: input should be greater than or equal to 1, got 0$"):
        TrainingRecipe.from_yaml(tmp_path / "recipe.yaml", steps=0)


RECIPES = {
    "fashion-mnist/recipe.yaml": 3_870_820,
    "cifar10/recipe.yaml": 11_532_748,
    "cifar10/leg-2.yaml": 11_532_748,
    "cifar10/guide.yaml": 3_022_092,
    "instruments/teacher/recipe.yaml": 2_486_465,
    "instruments/guide.yaml": 2_486_465,
}
"""Every recipe's number of parameters."""


def test_no_committed_recipe_is_left_out():
    cards = Path("model_cards")
    files = [path for name in ("recipe*", "leg-*", "guide") for path in cards.rglob(f"{name}.yaml")]
    assert set(RECIPES) == {path.relative_to(cards).as_posix() for path in files}


def test_the_middle_has_attention_unless_the_recipe_says_otherwise():
    for middle in (True, False):
        network = TrainingRecipe("data", middle_attention=middle).network(2)
        assert any(type(module).__name__ == "Attention" for module in network.modules()) is middle


def test_a_bundled_recipe_is_read_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = TrainingRecipe.from_yaml("cifar10", dataset="data")
    assert (recipe.dataset, recipe.channels) == ("data", 3)
    student = DistillationRecipe.from_yaml("fashion-mnist-2")
    assert (student.teacher, student.initial_pipeline) == ("fashion-mnist", None)
    assert ClassifierSettings.from_yaml("cifar10").widths == (128, 256, 512)
    Path("cifar10").write_text("dataset: mine\n")
    assert TrainingRecipe.from_yaml("./cifar10").dataset == "mine"
    for kind, known in ((TrainingRecipe, "cifar10 or fashion-mnist"), (DistillationRecipe, "fashion-mnist-2")):
        with pytest.raises(
            ValueError, match=rf"^there is no file nowhere; give one \(YAML\), or the bundled .*{known}"
        ):
            kind.from_yaml("nowhere")
    with pytest.raises(ValueError, match=r"there is no file nowhere\.yaml$"):
        TrainingRecipe.from_yaml("nowhere.yaml")


def test_the_bundled_recipe_is_readable():
    recipe = TrainingRecipe.from_yaml("model_cards/fashion-mnist/recipe.yaml", steps=5, batch_size=None)
    assert (recipe.steps, recipe.batch_size, recipe.latent_shape) == (5, 128, (1, 32, 32))


def few_rows_for(recipe):
    """Eight random rows of the data set that a recipe wants."""
    rng, names = np.random.default_rng(0), list("abcdefghij")
    if isinstance(recipe, SignalRecipe):
        return signals_of(rng.integers(-100, 100, (8, recipe.length), dtype=np.int16), names=names)
    column, size = ("img", (32, 32)) if recipe.channels == 3 else ("image", (28, 28))
    pixels = rng.integers(0, 255, (8, *size, recipe.channels), dtype=np.uint8)
    features = datasets.Features({column: datasets.Image(), "label": datasets.ClassLabel(names=names)})
    columns = {column: [Image.fromarray(image.squeeze()) for image in pixels], "label": list(range(8))}
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.mark.parametrize(("file", "parameters"), RECIPES.items())
def test_every_committed_recipe_trains(file, parameters, tmp_path, monkeypatch):
    """Two steps with the recipe's own network, data schema and schedule; its weights fit into 32 MB of float16.

    A leg goes on from the released weights of its name.
    """
    recipe = read_recipe(Path("model_cards", file))
    few_rows_for(recipe).to_parquet(tmp_path / "data.parquet")
    few = {"dataset": str(tmp_path), "steps": 2, "batch_size": 4, "mixed_precision": "no", "compile": False}
    if recipe.initial_pipeline is not None:
        few["initial_pipeline"] = Path(file).parts[0]
    monkeypatch.setattr(training._Run, "draw", lambda run, path: None)
    folder = train(dataclasses.replace(recipe, **few), tmp_path / "run", cpu=True, progress=False)
    facts = json.loads((tmp_path / "run/training.json").read_text())
    shards = [path.stat().st_size for path in folder.rglob("*.safetensors")]
    assert facts["parameters"] == parameters
    assert max(shards) <= 16e6
    assert sum(shards) <= 32e6
    assert FlowMatchingPipeline.from_pretrained(folder).digest == facts["digest"]


def test_images_are_padded_cropped_and_named(data, tmp_path):
    padded = load_images(data, size=8, progress=False)
    assert padded.values.shape == (24, 1, 8, 8)
    assert int(padded.values[:, :, 0].sum()) == 0
    assert padded.class_names == ("a", "b", "c")
    assert load_images(data, size=4, channels=3, fit="crop", progress=False).values.shape == (24, 3, 4, 4)
    with pytest.raises(ValueError, match="does not fit into 4×4"):
        load_images(data, size=4, progress=False)
    with pytest.raises(ValueError, match="channels must be 1 or 3"):
        load_images(data, channels=2, progress=False)
    with pytest.raises(ValueError, match="no column 'picture'"):
        load_images(data, image_column="picture", progress=False)
    table = (
        datasets.load_dataset(data, split="train")
        .add_column("kind", [3] * 24)
        .cast_column("label", datasets.Value("int64"))
    )
    table.to_parquet(tmp_path / "train.parquet")
    assert load_images(str(tmp_path), size=8, progress=False).class_names == ("0", "1", "2")
    (tmp_path / "second").mkdir()
    table.rename_column("label", "other").to_parquet(tmp_path / "second/train.parquet")
    with pytest.raises(ValueError, match="0 ClassLabel columns"):
        load_images(str(tmp_path / "second"), size=8, progress=False)
