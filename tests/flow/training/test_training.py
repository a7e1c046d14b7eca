"""The trainer: examples addressed by (seed, step), resuming bit for bit, refusals."""

import dataclasses
import itertools
import json
import shutil
import threading
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.training import trainer as training
from mmmi_hf.flow.training.images import LabelledImages, load_images
from mmmi_hf.flow.training.recipe import TrainingRecipe, draws_of_step, flow_matching_batch
from mmmi_hf.flow.training.trainer import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset folder of 24 grey 6×6 images with three classes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (6, 6), dtype=np.uint8)) for _ in range(24)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    table = datasets.Dataset.from_dict({"image": images, "label": [i % 3 for i in range(24)]}, features=features)
    table.to_parquet(folder / "train.parquet")
    return str(folder)


def tiny(data, **changes):
    fields = {
        "dataset": data,
        "image_size": 8,
        "block_out_channels": (8, 8),
        "attention": (False, False),
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "steps": 6,
        "batch_size": 8,
        "checkpoint_every": 2,
        "sample_every": 6,
        "mixed_precision": "no",
    }
    return TrainingRecipe(**{**fields, **changes})


def test_a_run_leaves_a_pipeline_and_what_its_card_needs(data, tmp_path):
    recipe = tiny(data)
    folder = train(recipe, tmp_path / "run", cpu=True, progress=False)
    pipeline = FlowMatchingPipeline.from_pretrained(folder)
    assert pipeline.latent_shape == (1, 8, 8)
    assert pipeline.num_classes == 3
    facts = json.loads((tmp_path / "run/training.json").read_text())
    assert facts["images_seen"] == 48
    assert facts["class_names"] == ["a", "b", "c"]
    assert facts["digest"] == pipeline.digest
    assert (tmp_path / "run/samples/step-000006.png").is_file()
    assert {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()} <= {
        ".json",
        ".jsonl",
        ".png",
        ".safetensors",
    }


def test_a_killed_run_ends_with_the_same_weights(data, tmp_path, monkeypatch):
    whole = train(tiny(data), tmp_path / "whole", cpu=True, progress=False)
    original, steps = training.flow_matching_batch, []

    def killed(recipe, images, drawn):
        if len(steps) == 5:
            raise KeyboardInterrupt
        steps.append(drawn)
        return original(recipe, images, drawn)

    monkeypatch.setattr(training, "flow_matching_batch", killed)
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(data), tmp_path / "cut", cpu=True, progress=False)
    monkeypatch.setattr(training, "flow_matching_batch", original)
    cut = train(tiny(data), tmp_path / "cut", cpu=True, progress=False)
    assert FlowMatchingPipeline.from_pretrained(cut).digest == FlowMatchingPipeline.from_pretrained(whole).digest
    steps = [json.loads(line)["step"] for line in (tmp_path / "cut/log.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_killed_run_leaves_the_average_so_far(data, tmp_path, monkeypatch):
    """Every `pipeline_every` steps, with a record that says of which step; the last one is that of a whole run."""
    whole = train(tiny(data), tmp_path / "whole", cpu=True, progress=False)
    recipe, seen = tiny(data, pipeline_every=2, checkpoint_every=6), []
    original = training._Run._make_step

    def killed(run, drawn):
        if (tmp_path / "cut/training.json").exists():
            facts = json.loads((tmp_path / "cut/training.json").read_text())
            seen.append((run.step, facts["steps"], facts["images_seen"]))
            assert facts["digest"] == FlowMatchingPipeline.from_pretrained(tmp_path / "cut/pipeline").digest
        if run.step == 5:
            raise KeyboardInterrupt
        return original(run, drawn)

    monkeypatch.setattr(training._Run, "_make_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "cut", cpu=True, progress=False)
    monkeypatch.setattr(training._Run, "_make_step", original)
    assert seen == [(2, 2, 16), (3, 2, 16), (4, 4, 32), (5, 4, 32)]
    assert not list((tmp_path / "cut").glob("pipeline.*"))
    end = train(recipe, tmp_path / "cut", cpu=True, progress=False)
    assert FlowMatchingPipeline.from_pretrained(end).digest == FlowMatchingPipeline.from_pretrained(whole).digest
    assert json.loads((tmp_path / "cut/training.json").read_text())["steps"] == 6


def test_weights_that_are_not_finite_do_not_replace_the_average_so_far(data, tmp_path, monkeypatch):
    original = training._Run._make_step

    def broken(run, drawn):
        loss = original(run, drawn)
        if run.step == 3:
            next(run.network.parameters()).data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(training._Run, "_make_step", broken)
    with pytest.raises(ArithmeticError, match="is not finite after 4 steps"):
        train(tiny(data, pipeline_every=2, checkpoint_every=6), tmp_path / "run", cpu=True, progress=False)
    assert json.loads((tmp_path / "run/training.json").read_text())["steps"] == 2


def test_a_finished_run_only_writes_its_pipeline_again(data, tmp_path):
    first = FlowMatchingPipeline.from_pretrained(train(tiny(data), tmp_path / "run", cpu=True, progress=False)).digest
    again = train(tiny(data), tmp_path / "run", cpu=True, progress=False)
    assert FlowMatchingPipeline.from_pretrained(again).digest == first


def test_other_folders_are_refused(data, tmp_path):
    train(tiny(data), tmp_path / "run", cpu=True, progress=False)
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        train(tiny(data, steps=7), tmp_path / "run", cpu=True, progress=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no training run"):
        train(tiny(data), tmp_path / "other", cpu=True, progress=False)
    with pytest.raises(ValueError, match="24 images do not fill one batch of 25"):
        train(tiny(data, batch_size=25), tmp_path / "new", cpu=True, progress=False)
    assert not (tmp_path / "new").exists()


def test_going_on_from_a_trained_pipeline(data, tmp_path):
    """The first weights are the pipeline's, a killed run has them too, and the record keeps the whole history."""
    first = train(tiny(data), tmp_path / "first", cpu=True, progress=False)
    still = {"learning_rate": 0.0, "final_learning_rate": 0.0, "weight_decay": 0.0}
    same = train(
        tiny(data, steps=2, initial_pipeline=str(first), **still), tmp_path / "second", cpu=True, progress=False
    )
    digest = FlowMatchingPipeline.from_pretrained(first).digest
    assert FlowMatchingPipeline.from_pretrained(same).digest == digest
    third = train(tiny(data, steps=3, initial_pipeline=str(same)), tmp_path / "third", cpu=True, progress=False)
    assert FlowMatchingPipeline.from_pretrained(third).digest != digest
    facts = json.loads((tmp_path / "third/training.json").read_text())
    second = json.loads((tmp_path / "second/training.json").read_text())
    assert facts["initial"] == {"pipeline": str(same), "digest": digest, "training": second}
    assert second["initial"]["training"] == json.loads((tmp_path / "first/training.json").read_text())
    assert second["initial"]["training"]["initial"] is None
    for text in (json.dumps({"digest": "of another"}), "[]", "{"):
        (tmp_path / "first/training.json").write_text(text)
        (tmp_path / "fourth").mkdir(exist_ok=True)
        again = train(tiny(data, steps=1, initial_pipeline=str(first)), tmp_path / "fourth", cpu=True, progress=False)
        assert json.loads((again.parent / "training.json").read_text())["initial"]["training"] is None
        shutil.rmtree(again.parent)


def test_a_killed_run_does_not_need_its_initial_pipeline_again(data, tmp_path):
    """Nor does another pipeline that came into its place get into the record."""
    first = train(tiny(data, steps=1), tmp_path / "first", cpu=True, progress=False)
    recipe = tiny(data, steps=2, checkpoint_every=1, initial_pipeline=str(first))
    whole = train(recipe, tmp_path / "run", cpu=True, progress=False)
    facts = json.loads((tmp_path / "run/training.json").read_text())
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    assert train(recipe, tmp_path / "run", cpu=True, progress=False) == whole
    assert json.loads((tmp_path / "run/training.json").read_text())["initial"] == facts["initial"]


def test_a_run_that_was_begun_before_a_field_existed(data, tmp_path):
    train(tiny(data, steps=1), tmp_path / "run", cpu=True, progress=False)
    path = tmp_path / "run/recipe.json"
    fields = json.loads(path.read_text())
    del fields["initial_pipeline"]
    path.write_text(json.dumps(fields))
    train(tiny(data, steps=1), tmp_path / "run", cpu=True, progress=False)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attention_head_dim": 8}, "another network or path than the recipe"),
        ({"norm_num_groups": 2}, "another network or path than the recipe"),
        ({"block_out_channels": (8, 16)}, r"another network or path than the recipe \(it makes \(1, 8, 8\) of 3 cl"),
        ({"sigma_min": 0.1}, "another network or path than the recipe"),
        ({"initial_pipeline": "nothing"}, "no pipeline 'nothing'"),
        ({"initial_pipeline": "nobody/nothing"}, "initial_pipeline 'nobody/nothing' cannot be loaded"),
    ],
)
def test_pipelines_that_cannot_be_gone_on_from(data, tmp_path, changes, says):
    first = train(tiny(data, steps=1), tmp_path / "first", cpu=True, progress=False)
    with pytest.raises(ValueError, match=says):
        train(tiny(data, **{"initial_pipeline": str(first)} | changes), tmp_path / "run", cpu=True, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run(data, tmp_path):
    with pytest.raises(ArithmeticError, match="lower the learning rate"):
        train(tiny(data, learning_rate=1e30, warmup_steps=1), tmp_path / "run", cpu=True, progress=False)


def batch_of(recipe, images, step, **place):
    return flow_matching_batch(recipe, images, draws_of_step(recipe, images, step, **place))


def test_a_loss_is_read_before_anything_is_stored(data, tmp_path, monkeypatch):
    """The step whose loss was not finite is named, although losses are read later."""
    original, steps = training._Run._make_step, []

    def broken(run, drawn):
        steps.append(run.step)
        return original(run, drawn) * (float("nan") if run.step == 2 else 1.0)

    monkeypatch.setattr(training._Run, "_make_step", broken)
    with pytest.raises(ArithmeticError, match="the loss is nan at step 2; lower"):
        train(tiny(data, checkpoint_every=6), tmp_path / "run", cpu=True, progress=False)
    assert steps == [0, 1, 2, 3, 4, 5]
    assert not (tmp_path / "run/checkpoint.safetensors").exists()


def test_weights_that_are_not_finite_are_not_stored(data, tmp_path, monkeypatch):
    """The last loss before a checkpoint is that of the weights before the last step."""
    original = training._Run._make_step

    def broken(run, drawn):
        loss = original(run, drawn)
        if run.step == 3:
            next(run.network.parameters()).data.fill_(float("nan"))
        return loss

    monkeypatch.setattr(training._Run, "_make_step", broken)
    with pytest.raises(ArithmeticError, match=r"weights/conv_in\.weight is not finite after 4 steps; lower"):
        train(tiny(data), tmp_path / "run", cpu=True, progress=False)
    with safe_open(tmp_path / "run/checkpoint.safetensors", framework="pt") as stored:
        assert stored.metadata()["step"] == "2"


def test_a_checkpoint_that_float16_cannot_hold_becomes_no_pipeline(data, tmp_path):
    """Neither at once nor by a second call, which has no step to make."""
    train(tiny(data), tmp_path / "run", cpu=True, progress=False)
    shutil.rmtree(tmp_path / "run/pipeline")
    path = tmp_path / "run/checkpoint.safetensors"
    with safe_open(path, framework="pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        metadata = stored.metadata()
    tensors["average/conv_in.weight"].fill_(1e6)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ArithmeticError, match=r"average/conv_in\.weight is not finite after 6 steps"):
        train(tiny(data), tmp_path / "run", cpu=True, progress=False)
    assert not (tmp_path / "run/pipeline").exists()


def test_a_sheet_is_not_drawn_before_the_losses_are_read(data, tmp_path, monkeypatch):
    original = training._Run._make_step
    monkeypatch.setattr(training._Run, "_make_step", lambda run, drawn: original(run, drawn) * float("nan"))
    with pytest.raises(ArithmeticError, match="the loss is nan at step 0"):
        train(tiny(data, sample_every=1, checkpoint_every=6), tmp_path / "run", cpu=True, progress=False)


def test_what_was_not_logged_yet_is_after_a_resume(data, tmp_path, monkeypatch):
    """So that the record of a resumed run is that of the undisturbed one, wherever it was killed."""
    monkeypatch.setattr(training, "LOG_EVERY", 3)
    train(tiny(data), tmp_path / "whole", cpu=True, progress=False)
    original = training._Run._make_step

    def killed(run, drawn):
        if run.step == 5:
            raise KeyboardInterrupt
        return original(run, drawn)

    monkeypatch.setattr(training._Run, "_make_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(data), tmp_path / "cut", cpu=True, progress=False)
    monkeypatch.setattr(training._Run, "_make_step", original)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    train(tiny(data), tmp_path / "cut", cpu=True, progress=False)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("whole", "cut")
    ]
    assert losses[0] == losses[1]


def test_every_process_stops_at_a_loss_of_any(data, tmp_path, monkeypatch):
    """What `gather` brings: the losses of two processes, one after the other."""
    recipe = tiny(data, steps=2, checkpoint_every=2)
    monkeypatch.setattr(Accelerator, "gather", lambda self, losses: torch.cat([losses, losses * float("inf")]))
    with pytest.raises(ArithmeticError, match="the loss is inf at step 0"):
        train(recipe, tmp_path / "run", cpu=True, progress=False)
    assert not (tmp_path / "run/checkpoint.safetensors").exists()


def test_the_logged_loss_is_the_mean_since_the_last_line(data, tmp_path, monkeypatch):
    original, losses = training._Run._make_step, []

    def kept(run, drawn):
        losses.append(original(run, drawn))
        return losses[-1]

    monkeypatch.setattr(training._Run, "_make_step", kept)
    monkeypatch.setattr(training, "LOG_EVERY", 3)
    train(tiny(data), tmp_path / "run", cpu=True, progress=False)
    logged = [json.loads(line)["loss"] for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    values = [float(loss) for loss in losses]
    assert logged == pytest.approx([sum(values[:3]) / 3, sum(values[3:]) / 3], abs=1e-6)


def test_convolutions_are_chosen_in_steps_only(data, tmp_path, monkeypatch):
    original, seen = training._Run._make_step, []

    def looked_at(run, drawn):
        seen.append(torch.backends.cudnn.benchmark)
        return original(run, drawn)

    monkeypatch.setattr(training._Run, "_make_step", looked_at)
    monkeypatch.setattr(training._Run, "draw", lambda run, path: seen.append(torch.backends.cudnn.benchmark))
    train(tiny(data, steps=1), tmp_path / "run", cpu=True, progress=False)
    assert seen == [True, False]


def images_of(count=32):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return LabelledImages(pixels, torch.arange(count) % 3, ("a", "b", "c"))


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
    images = LabelledImages(images.pixels, torch.arange(32), tuple(map(str, range(32))))
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
        ({"steps": 0}, "steps must be at least 1"),
        ({"pipeline_every": -1}, "pipeline_every must be 0 .at the end only. or more, got -1"),
        ({"sigma_min": 0.0}, "sigma_min must lie strictly between 0 and 1"),
        ({"image_size": 10}, "must be a multiple"),
        ({"attention": (True,)}, "attention needs one entry per level: 2"),
        ({"mixed_precision": "int4"}, "mixed_precision must be no, bf16 or fp16"),
        ({"initial_pipeline": 5}, "initial_pipeline must be a name, a folder or a Hub id, got 5"),
        ({"steps": "many"}, "steps must be an integer, got 'many'"),
        ({"learning_rate": "1e-3"}, "learning_rate must be a finite number, got '1e-3'"),
        ({"ema_end": float("nan")}, "ema_end must be a finite number, got nan"),
        ({"block_out_channels": 5}, "block_out_channels must be a list, each an integer, got 5"),
        ({"attention": ("yes", "no")}, "attention must be a list, each true or false, got"),
        ({"compile": "false"}, "compile must be true or false, got 'false'"),
    ],
)
def test_recipes_that_cannot_be_used(data, changes, says):
    with pytest.raises(ValueError, match=says):
        tiny(data, **changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stps: 3", "unknown fields .*stps"),
        ("[1]", "must hold fields"),
        ("[]", "must hold fields"),
        ("", "the field 'dataset' is missing"),
        ("a: [", "cannot be read as YAML"),
        ("steps: 3", "the field 'dataset' is missing"),
    ],
)
def test_recipe_files_that_cannot_be_used(tmp_path, text, says):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        TrainingRecipe.from_yaml(path)


RECIPES = {
    "fashion-mnist/recipe.yaml": 3_870_820,
    "cifar10/recipe.yaml": 11_532_748,
    "cifar10/leg-2.yaml": 11_532_748,
}
"""Every recipe's number of parameters; `leg-*.yaml` are legs that are not trained yet."""


def test_no_committed_recipe_is_left_out():
    files = [path for name in ("recipe*", "leg-*") for path in Path("model_cards").glob(f"*/{name}.yaml")]
    assert set(RECIPES) == {f"{path.parent.name}/{path.name}" for path in files}


def test_the_bundled_recipe_is_readable():
    recipe = TrainingRecipe.from_yaml("model_cards/fashion-mnist/recipe.yaml", steps=5, batch_size=None)
    assert (recipe.steps, recipe.batch_size, recipe.latent_shape) == (5, 128, (1, 32, 32))


@pytest.mark.parametrize(("file", "parameters"), RECIPES.items())
def test_every_committed_recipe_trains(file, parameters, tmp_path, monkeypatch):
    """Two steps with the recipe's own network, data schema and schedule; its weights fit into 32 MB of float16.

    A leg goes on from the released weights of its name.
    """
    recipe = TrainingRecipe.from_yaml(Path("model_cards", file))
    column, size = ("img", (32, 32)) if recipe.channels == 3 else ("image", (28, 28))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (8, *size, recipe.channels), dtype=np.uint8)
    features = datasets.Features({column: datasets.Image(), "label": datasets.ClassLabel(names=list("abcdefghij"))})
    datasets.Dataset.from_dict(
        {column: [Image.fromarray(image.squeeze()) for image in pixels], "label": list(range(8))}, features=features
    ).to_parquet(tmp_path / "data.parquet")
    few = {"dataset": str(tmp_path), "steps": 2, "batch_size": 4, "mixed_precision": "no", "compile": False}
    few["initial_pipeline"] = None if recipe.initial_pipeline is None else Path(file).parent.name
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
    assert padded.pixels.shape == (24, 1, 8, 8)
    assert int(padded.pixels[:, :, 0].sum()) == 0
    assert padded.class_names == ("a", "b", "c")
    assert load_images(data, size=4, channels=3, fit="crop", progress=False).pixels.shape == (24, 3, 4, 4)
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
