"""The distiller: students on a grid of their own, trajectories that are kept, resuming bit for bit, refusals."""

import copy
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors import safe_open

from mmmi_hf.flow.bundled import RELEASED
from mmmi_hf.flow.diagnostics import step_certificate
from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.training import distillation, trajectories
from mmmi_hf.flow.training.distillation import distill
from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe, draws_of_step
from mmmi_hf.flow.training.trajectories import Guide, journey, load_trajectories, make_trajectories
from tests.flow.training.recipes import untrained

pytestmark = pytest.mark.usefixtures("few_samples")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(trajectories, "SHARD", 8)


@pytest.fixture
def any_precision():
    """Accelerate keeps the first precision of a process; a command of its own has one only."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="session")
def teacher(tiny_pipeline, tmp_path_factory):
    """The folder of a teacher of 4 midpoint steps, with journeys bent enough for Euler steps to go astray."""
    folder = tmp_path_factory.mktemp("teacher")
    bent = copy.deepcopy(tiny_pipeline)
    bent.unet.conv_out.weight.data *= 4
    bent.save_pretrained(folder)
    return str(folder)


SELDOM = {"checkpoint_every": 100, "sample_every": 100}


def tiny(teacher, **changes):
    fields = {
        "nodes": (0, 2, 3, 4),
        "trajectories": 16,
        "steps": 6,
        "journey_steps": 2,
        "batch_size": 8,
        "checkpoint_every": 2,
        "sample_every": 6,
        "mixed_precision": "no",
    }
    return DistillationRecipe(teacher, **{**fields, **changes})


def run(recipe, folder, **options):
    return distill(recipe, folder, cpu=True, progress=False, **options)


def test_a_student_makes_the_same_journey_in_fewer_evaluations(teacher, tmp_path):
    folder = run(tiny(teacher), tmp_path / "run")
    student, master = FlowMatchingPipeline.from_pretrained(folder), FlowMatchingPipeline.from_pretrained(teacher)
    master.scheduler.set_timesteps()
    assert student.scheduler.times == tuple(master.scheduler.times[k] for k in (0, 2, 3, 4))
    assert student.scheduler.config.solver == "euler"
    assert student.class_names == ("shirt", "shoe", "bag")
    facts = json.loads((tmp_path / "run/training.json").read_text())
    assert facts["digest"] == student.digest
    assert facts["teacher"] == {"pipeline": teacher, "digest": master.digest}
    assert "initial" not in facts
    assert (facts["num_images"], facts["images_seen"], facts["network_rows"]) == (16, 48, 32 + 3 * 16)
    assert facts["recipe"]["nodes"] == [0, 2, 3, 4]
    assert (tmp_path / "run/samples/step-000006.png").is_file()


def test_a_teacher_may_stop_at_times_of_the_recipe(teacher, tmp_path):
    times = (0.0, 0.1, 0.3, 0.4, 0.8, 1.0)
    folder = run(tiny(teacher, teacher_times=times, nodes=(0, 1, 3, 5)), tmp_path / "run")
    assert FlowMatchingPipeline.from_pretrained(folder).scheduler.times == (0.0, 0.1, 0.4, 1.0)
    assert load_trajectories(tmp_path / "run/trajectories").times == times
    master = FlowMatchingPipeline.from_pretrained(teacher)
    facts = json.loads((tmp_path / "run/training.json").read_text())
    assert facts["teacher"]["digest"] == master.digest, "that of the teacher as it is elsewhere"
    with pytest.raises(ValueError, match="nodes must end with 5"):
        run(tiny(teacher, teacher_times=times), tmp_path / "other")


def test_learning_brings_the_student_nearer_to_its_teacher(teacher, tmp_path):
    """Of the same latents, the ones that it learned from: a handful of steps on a handful of trajectories."""

    def distance(folder):
        stored = load_trajectories(tmp_path / "store")
        student = FlowMatchingPipeline.from_pretrained(folder)
        images = student(stored.nodes[:, 0].float(), stored.labels).images
        return float((images - stored.nodes[:, -1].float()).norm())

    still = {"learning_rate": 0.0, "final_learning_rate": 0.0}
    eager = {"learning_rate": 3e-3, "warmup_steps": 1, "ema_start": 0.5, "ema_end": 0.5}
    store = tmp_path / "store"
    before = distance(run(tiny(teacher, steps=1, journey_steps=0, **still), tmp_path / "still", trajectories=store))
    for kind, steps, journeys in (("segments", 80, 0), ("journeys", 40, 40)):
        recipe = tiny(teacher, steps=steps, journey_steps=journeys, **SELDOM, **eager)
        assert distance(run(recipe, tmp_path / kind, trajectories=store)) < 0.7 * before


def test_the_penalty_makes_steps_gentler(teacher, tmp_path):
    """Of one long step of a student that learns nothing else but to be gentle there."""
    fields = {"nodes": (0, 4), "steps": 12, "journey_steps": 0, "warmup_steps": 1, **SELDOM}
    eager = {"learning_rate": 1e-3, "ema_start": 0.5, "ema_end": 0.5}
    gentle = {"penalty": 100.0, "smallest_stretch": 0.9, "penalty_every": 1, "penalty_rows": 2}
    store, seen = tmp_path / "store", []
    for name, penalty in (("free", {}), ("gentle", gentle)):
        folder = run(tiny(teacher, **fields, **eager, **penalty), tmp_path / name, trajectories=store)
        seen.append(step_certificate(FlowMatchingPipeline.from_pretrained(folder), samples=3).smallest_stretch)
    assert seen[1] > seen[0] + 0.1


def test_the_penalty_is_computed_in_float32(teacher, tmp_path, monkeypatch, any_precision):
    """Finite differences mean nothing in bfloat16, which the rest of the step is made in."""
    original, seen = distillation._Distillation.euler, []

    def kept(self, *arguments, exact=False):
        result = original(self, *arguments, exact=exact)
        if exact:
            with torch.no_grad():
                seen.append(float((original(self, *arguments) - result).abs().max()))
        return result

    monkeypatch.setattr(distillation._Distillation, "euler", kept)
    changes = {"steps": 1, "journey_steps": 0, "penalty": 1.0, "mixed_precision": "bf16"}
    run(tiny(teacher, **changes), tmp_path / "run")
    assert all(0 < difference < 0.1 for difference in seen)
    assert seen


def test_a_killed_run_ends_with_the_same_weights(teacher, tmp_path, monkeypatch):
    whole = run(tiny(teacher), tmp_path / "whole")
    original, steps = distillation._Distillation.loss, []

    def killed(self, drawn):
        if len(steps) == 5:
            raise KeyboardInterrupt
        steps.append(drawn)
        return original(self, drawn)

    monkeypatch.setattr(distillation._Distillation, "loss", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tiny(teacher), tmp_path / "cut")
    monkeypatch.setattr(distillation._Distillation, "loss", original)
    cut = run(tiny(teacher), tmp_path / "cut")
    assert FlowMatchingPipeline.from_pretrained(cut).digest == FlowMatchingPipeline.from_pretrained(whole).digest
    assert [drawn.whole for drawn in steps] == [False, False, False, False, True]


def test_going_on_from_a_student(teacher, tmp_path):
    first = run(tiny(teacher), tmp_path / "first")
    still = {"learning_rate": 0.0, "final_learning_rate": 0.0, "nodes": (0, 4), "journey_steps": 1, "steps": 1}
    second = run(tiny(teacher, initial_pipeline=str(first), **still), tmp_path / "second")
    old, new = (FlowMatchingPipeline.from_pretrained(folder) for folder in (first, second))
    assert all(torch.equal(a, b) for a, b in zip(old.unet.parameters(), new.unet.parameters(), strict=True))
    assert new.scheduler.times == (0.0, 1.0)
    facts = json.loads((tmp_path / "second/training.json").read_text())
    record = json.loads((tmp_path / "first/training.json").read_text())
    assert facts["initial"] == {"pipeline": str(first), "digest": old.digest, "training": record}


def test_trajectories_are_the_teachers_and_are_made_once(teacher, tmp_path, monkeypatch):
    master = FlowMatchingPipeline.from_pretrained(teacher)
    make_trajectories(master, tmp_path / "store", count=9, seed=3, batch_size=4, progress=False)
    stored = load_trajectories(tmp_path / "store")
    assert len(stored) == 16
    assert stored.times == master.scheduler.times
    assert stored.labels.tolist() == [row % 3 for row in range(16)]
    images = master(stored.nodes[:, 0].float(), stored.labels, batch_size=4).images
    assert torch.equal(stored.nodes[:, -1], images.half())
    assert len(load_trajectories(tmp_path / "store", 9)) == 9
    files = {path: path.read_bytes() for path in (tmp_path / "store").glob("*.safetensors")}
    lost = sorted(files)[0]
    lost.unlink()
    make_trajectories(master, tmp_path / "store", count=16, seed=3, batch_size=4, progress=False)
    assert {path: path.read_bytes() for path in files} == files


def test_trajectories_in_bfloat16_are_near_those_in_float32(teacher, tmp_path):
    master = FlowMatchingPipeline.from_pretrained(teacher)
    for bf16 in (False, True):
        make_trajectories(master, tmp_path / str(bf16), count=8, bf16=bf16, progress=False)
    exact, rounded = (load_trajectories(tmp_path / str(bf16)).nodes.float() for bf16 in (False, True))
    assert torch.equal(exact[:, 0], rounded[:, 0])
    assert 0 < float((exact - rounded).norm() / exact.norm()) < 0.02


def test_other_stores_are_refused(teacher, tmp_path):
    master = FlowMatchingPipeline.from_pretrained(teacher)
    make_trajectories(master, tmp_path / "store", count=8, progress=False)
    with pytest.raises(ValueError, match="holds trajectories of another teacher, guide, seed or precision"):
        make_trajectories(master, tmp_path / "store", count=8, seed=1, progress=False)
    with pytest.raises(ValueError, match="holds 8 trajectories, not 9"):
        load_trajectories(tmp_path / "store", 9)
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="holds no trajectories"):
        load_trajectories(tmp_path / "other")
    (tmp_path / "other/file").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no trajectories"):
        make_trajectories(master, tmp_path / "other", count=8, progress=False)


@pytest.fixture(scope="session")
def guide(tiny_pipeline, tmp_path_factory):
    """The folder of another pipeline than the teacher, of the same kind."""
    folder = tmp_path_factory.mktemp("guide")
    worse = copy.deepcopy(tiny_pipeline)
    worse.unet.conv_out.weight.data *= -1
    worse.save_pretrained(folder)
    return str(folder)


def test_a_guided_journey_is_led_away_from_the_guide(teacher, guide, tmp_path):
    """One midpoint step, written out, of v_guide + w (v_teacher - v_guide); w = 1 is the teacher's own journey."""
    master, worse = (FlowMatchingPipeline.from_pretrained(folder) for folder in (teacher, guide))
    z, labels = torch.randn(3, *master.latent_shape, generator=torch.Generator().manual_seed(0)), torch.arange(3)
    master.scheduler.set_timesteps()
    t, end = master.scheduler.times[:2]

    def velocity(x, time):
        with torch.no_grad():
            good, bad = (pipeline.velocity(labels)(x, time) for pipeline in (master, worse))
        return bad + 1.5 * (good - bad)

    half = z + (end - t) / 2 * velocity(z, t)
    expected = z + (end - t) * velocity(half, (t + end) / 2)
    led = journey(master, z, labels, guide=Guide(worse, 1.5), bf16=False)
    torch.testing.assert_close(led[:, 1], expected, rtol=1e-5, atol=1e-5)
    own = journey(master, z, labels, bf16=False)
    torch.testing.assert_close(journey(master, z, labels, guide=Guide(worse, 1.0), bf16=False), own)
    assert float((led[:, -1] - own[:, -1]).norm() / own[:, -1].norm()) > 0.01
    late = journey(master, z, labels, guide=Guide(worse, 1.5, master.scheduler.times[2]), bf16=False)
    torch.testing.assert_close(late[:, :3], own[:, :3])
    assert float((late[:, 3] - own[:, 3]).norm()) > 1e-3


def test_a_student_of_guided_journeys_names_the_guide(teacher, guide, tmp_path):
    recipe = tiny(teacher, guide=guide, guidance=2.0)
    run(recipe, tmp_path / "run")
    facts = json.loads((tmp_path / "run/training.json").read_text())
    digest = FlowMatchingPipeline.from_pretrained(guide).digest
    assert facts["teacher"]["guide"] == {"pipeline": guide, "digest": digest}
    assert facts["recipe"]["guidance"] == 2.0
    with pytest.raises(ValueError, match="holds trajectories of another teacher, guide"):
        run(tiny(teacher), tmp_path / "other", trajectories=tmp_path / "run/trajectories")
    with pytest.raises(ValueError, match="holds trajectories of another teacher, guide"):
        run(dataclasses.replace(recipe, guidance=3.0), tmp_path / "third", trajectories=tmp_path / "run/trajectories")
    later = dataclasses.replace(recipe, guidance_start=0.5)
    with pytest.raises(ValueError, match="holds trajectories of another teacher, guide"):
        run(later, tmp_path / "fourth", trajectories=tmp_path / "run/trajectories")
    assert run(later, tmp_path / "later").is_dir()
    with pytest.raises(ValueError, match="guide 'nobody/nothing' cannot be loaded"):
        run(dataclasses.replace(recipe, guide="nobody/nothing"), tmp_path / "new")
    with pytest.raises(ValueError, match="guide and teacher must have the same latents, classes, sigma_min"):
        run(dataclasses.replace(recipe, guide="fashion-mnist"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_draws_do_not_depend_on_the_number_of_processes(teacher):
    recipe = tiny(teacher)
    whole, parts = draws_of_step(recipe, 3), [draws_of_step(recipe, 3, rank=r, world_size=2) for r in range(2)]
    for name in ("rows", "segments"):
        assert torch.equal(torch.stack([getattr(part, name) for part in parts], 1).flatten(), getattr(whole, name))
    rows = torch.cat([draws_of_step(recipe, step).rows for step in (2, 3)])
    assert sorted(rows.tolist()) == list(range(16))


def test_segments_are_drawn_by_their_weights(teacher):
    recipe = tiny(teacher, segment_weights=(3.0, 0.0, 1.0), batch_size=16)
    drawn = torch.cat([draws_of_step(recipe, step).segments for step in range(200)])
    counts = torch.bincount(drawn, minlength=3)
    assert counts[1] == 0
    assert int(counts[0]) / len(drawn) == pytest.approx(0.75, abs=0.03)


def test_other_folders_and_teachers_are_refused(teacher, tiny_pipeline, tmp_path):
    run(tiny(teacher), tmp_path / "run")
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        run(tiny(teacher, seed=1), tmp_path / "run")
    with pytest.raises(ValueError, match="nodes must end with 4"):
        run(tiny(teacher, nodes=(0, 3)), tmp_path / "short")
    with pytest.raises(ValueError, match="teacher 'nobody/nothing' cannot be loaded"):
        run(tiny("nobody/nothing"), tmp_path / "new")
    with pytest.raises(ValueError, match="has another network than the teacher"):
        run(tiny(teacher, initial_pipeline="fashion-mnist"), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_teacher_that_was_exchanged_is_noticed(tiny_pipeline, tmp_path):
    folder = tmp_path / "teacher"
    tiny_pipeline.save_pretrained(folder)
    run(tiny(str(folder)), tmp_path / "run")
    other = FlowMatchingPipeline.from_pretrained(folder)
    next(other.unet.parameters()).data.zero_()
    other.save_pretrained(folder)
    with pytest.raises(ValueError, match="learned from another teacher"):
        run(tiny(str(folder)), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"guidance_start": 0.5}, "guidance_start must be 0 without a guide, got 0.5"),
        ({"guidance_start": 1.0}, "guidance_start: input should be less than 1, got 1.0"),
        ({"teacher_times": (0.0, 0.5)}, r"teacher_times must rise from 0 to 1, got \[0.0, 0.5\]"),
        ({"teacher_times": (0.5, 1.0)}, r"teacher_times must rise from 0 to 1, got \[0.5, 1.0\]"),
        ({"teacher_times": (0.0, 0.5, 0.5, 1.0)}, "teacher_times must rise from 0 to 1"),
        ({"teacher_times": (0.0, 2.0)}, "teacher_times.1.: input should be less than or equal to 1, got 2.0"),
        ({"steps": 0}, "steps: input should be greater than or equal to 1, got 0"),
        ({"journey_steps": 7}, r"journey_steps must lie in 0 … steps = 6, got 7"),
        ({"segment_weights": (1.0, 1.0)}, "segment_weights must be 3 numbers"),
        ({"segment_weights": (1.0, -1.0, 1.0)}, r"segment_weights\[1\]: input should be greater than or equal to 0"),
        ({"segment_weights": (0.0, 0.0, 0.0)}, "segment_weights must be 3 numbers, not all 0"),
        ({"segment_weights": ("a", "b", "c")}, r"segment_weights\[0\]: input should be a valid number"),
        ({"penalty": -1.0}, "penalty: input should be greater than or equal to 0"),
        ({"smallest_stretch": 1.0}, "smallest_stretch: input should be less than 1, got 1.0"),
        ({"penalty_every": 0}, "penalty_every: input should be greater than or equal to 1"),
        ({"penalty_rows": 0}, "penalty_rows: input should be greater than or equal to 1"),
        ({"nodes": (0,)}, "rising from 0"),
        ({"nodes": (1, 2)}, "rising from 0"),
        ({"nodes": (0, 3, 3)}, "rising from 0"),
        ({"nodes": (0, 0.5)}, r"nodes\[1\]: input should be a valid integer"),
        ({"nodes": 4}, "nodes: input should be a valid tuple"),
        ({"trajectories": 7}, "trajectories must fill one batch of 8, got 7"),
        ({"guide": "folder"}, r"guide and guidance go together.*got guide 'folder' and guidance 1"),
        ({"guidance": 1.5}, r"guide and guidance go together.*got guide None and guidance 1\.5"),
        ({"guidance": -1.0}, "guidance: input should be greater than or equal to 0"),
        ({"teacher": 4}, "teacher: input should be a valid string"),
        ({"initial_pipeline": 4}, "initial_pipeline: input should be a valid string"),
        ({"mixed_precision": "float32"}, "mixed_precision: input should be"),
        ({"learning_rate": "fast"}, "learning_rate: input should be a valid number"),
    ],
)
def test_recipes_that_mean_nothing(changes, says):
    fields = dataclasses.asdict(tiny("teacher")) | changes
    with pytest.raises(ValueError, match=says):
        DistillationRecipe(**fields)


def test_recipe_files(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("teacher: fashion-mnist\nnodes: [0, 4, 8]\nsteps: 2000\n")
    recipe = DistillationRecipe.from_yaml(path, steps=3000, batch_size=None)
    assert (recipe.nodes, recipe.steps) == ((0, 4, 8), 3000)
    path.write_text("teacher: fashion-mnist\nnodes: [0, 4, 8]\nsigma_min: 0.1\n")
    with pytest.raises(ValueError, match="line 3: sigma_min: unknown field; a distillation recipe has"):
        DistillationRecipe.from_yaml(path)
    path.write_text("teacher: fashion-mnist\n")
    with pytest.raises(ValueError, match="nodes: is missing"):
        DistillationRecipe.from_yaml(path)


@pytest.mark.parametrize(
    "path", sorted(path for name in ("distillation*", "student") for path in Path("model_cards").glob(f"*/{name}.yaml"))
)
def test_committed_recipes(path, tmp_path, monkeypatch, any_precision):
    """One step of each kind by every recipe of the repository, on a single batch of two trajectories."""
    monkeypatch.setattr(trajectories, "SHARD", 2)
    monkeypatch.setattr(distillation._Distillation, "draw", lambda run, path: None)
    recipe = DistillationRecipe.from_yaml(path)
    few = {"trajectories": 2, "batch_size": 2, "steps": 2, "journey_steps": 1, "compile": False, "sample_every": 100}
    if recipe.teacher not in RELEASED or recipe.guide:  # they do not come with the package
        (of_teacher,) = [
            file for name in ("recipe.yaml", "teacher/recipe.yaml") if (file := path.parent / name).is_file()
        ]
        few["teacher"] = untrained(of_teacher, tmp_path / "teacher")
        few["guide"] = few["teacher"] if recipe.guide else None
    folder = run(dataclasses.replace(recipe, initial_pipeline=None, **few), tmp_path / "run")
    assert len(FlowMatchingPipeline.from_pretrained(folder).scheduler.config.grid) == len(recipe.nodes)
    with safe_open(tmp_path / "run/checkpoint.safetensors", framework="pt") as stored:
        assert stored.metadata()["step"] == "2"
