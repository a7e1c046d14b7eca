"""The trainer: examples addressed by (seed, step), resuming bit for bit, refusals."""

import json
import shutil
import threading

import pytest
import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file

from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.training import trainer as training
from mmmi_hf.flow.training.trainer import train
from tests.flow.training.recipes import tiny

pytestmark = pytest.mark.usefixtures("few_samples")


@pytest.fixture(scope="module")
def finished(data, few_samples, tmp_path_factory):
    """The folder of a run of `tiny(data)`, to be left as it is."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert train(tiny(data), folder, cpu=True, progress=False) == folder / "pipeline"
    return folder


def test_a_run_leaves_a_pipeline_and_what_its_card_needs(finished):
    pipeline = FlowMatchingPipeline.from_pretrained(finished / "pipeline")
    assert pipeline.latent_shape == (1, 8, 8)
    assert pipeline.num_classes == 3
    facts = json.loads((finished / "training.json").read_text())
    assert facts["images_seen"] == 48
    assert facts["class_names"] == ["a", "b", "c"]
    assert facts["digest"] == pipeline.digest
    assert (finished / "samples/step-000006.png").is_file()
    assert {path.suffix for path in finished.rglob("*") if path.is_file()} <= {
        ".json",
        ".jsonl",
        ".png",
        ".safetensors",
    }


def test_a_killed_run_ends_with_the_same_weights(data, finished, tmp_path, monkeypatch):
    whole = finished / "pipeline"
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


def test_a_finished_run_only_writes_its_pipeline_again(data, finished, tmp_path):
    again = train(tiny(data), shutil.copytree(finished, tmp_path / "run"), cpu=True, progress=False)
    first = FlowMatchingPipeline.from_pretrained(finished / "pipeline")
    assert FlowMatchingPipeline.from_pretrained(again).digest == first.digest


def test_other_folders_are_refused(data, finished, tmp_path):
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        train(tiny(data, steps=7), finished, cpu=True, progress=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no training run"):
        train(tiny(data), tmp_path / "other", cpu=True, progress=False)
    with pytest.raises(ValueError, match="24 images do not fill one batch of 25"):
        train(tiny(data, batch_size=25), tmp_path / "new", cpu=True, progress=False)
    assert not (tmp_path / "new").exists()


def test_going_on_from_a_trained_pipeline(data, finished, tmp_path):
    """The first weights are the pipeline's, a killed run has them too, and the record keeps the whole history."""
    first = shutil.copytree(finished, tmp_path / "first") / "pipeline"
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
    assert "initial" not in second["initial"]["training"]
    for text in (json.dumps({"digest": "of another"}), "[]", "{"):
        (tmp_path / "first/training.json").write_text(text)
        (tmp_path / "fourth").mkdir(exist_ok=True)
        again = train(tiny(data, steps=1, initial_pipeline=str(first)), tmp_path / "fourth", cpu=True, progress=False)
        assert json.loads((again.parent / "training.json").read_text())["initial"].keys() == {"pipeline", "digest"}
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
        ({"attention_head_dim": 8}, "another network, path or companding than the recipe"),
        ({"norm_num_groups": 2}, "another network, path or companding than the recipe"),
        (
            {"block_out_channels": (8, 16)},
            r"another network, path or companding than the recipe \(it makes \(1, 8, 8\) of 3 cl",
        ),
        ({"sigma_min": 0.1}, "another network, path or companding than the recipe"),
        ({"initial_pipeline": "nothing"}, "no pipeline 'nothing'"),
        ({"initial_pipeline": "nobody/nothing"}, "initial_pipeline 'nobody/nothing' cannot be loaded"),
    ],
)
def test_pipelines_that_cannot_be_gone_on_from(data, finished, tmp_path, changes, says):
    first = str(finished / "pipeline")
    with pytest.raises(ValueError, match=says):
        train(tiny(data, **{"initial_pipeline": first} | changes), tmp_path / "run", cpu=True, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_stops_the_run(data, tmp_path):
    with pytest.raises(ArithmeticError, match="lower the learning rate"):
        train(tiny(data, learning_rate=1e30, warmup_steps=1), tmp_path / "run", cpu=True, progress=False)


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
