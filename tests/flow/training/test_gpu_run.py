"""The script of what CIFAR-10 needs a GPU for: stages, budgets, results; and all of it for a few steps."""

import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from pyarrow import parquet

from mmmi_hf.flow.training.record import TrainingRecord
from mmmi_hf.flow.training.trainer import FirstWeights

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "model_cards" / "cifar10" / "gpu_run.py"


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script as a module, in a working directory of its own."""
    spec = importlib.util.spec_from_file_location("gpu_run", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_run", module)
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    return module


def run_of(script, seconds=60.0):
    return script.Run(Path("out").resolve(), time.monotonic() + seconds, (script.LEG, script.STUDENT))


def states(run):
    return {stage["stage"]: (stage["state"], stage["reason"]) for stage in run.stages}


def test_an_error_in_a_stage_does_not_stop_the_next(script, capsys):
    def broken(run):
        raise ZeroDivisionError("by nothing")

    run = run_of(script)
    stages = [
        script.Stage("broken", 5, 0, broken),
        script.Stage("exit", 60, 0, lambda run: run.program(["-c", "import sys; sys.exit('no such thing')"])),
        script.Stage("off", 5, 0, None, "not yet"),
        script.Stage("late", 5, 61, broken),
        script.Stage("good", 60, 0, lambda run: run.program(["-c", "print(6 * 7)"], into="answer.txt")),
    ]
    assert not run.make(stages)
    found = states(run)
    assert found["broken"] == ("failed", "ZeroDivisionError: by nothing")
    state, reason = found["exit"]
    assert state == "failed"
    assert reason.startswith("StageError: exit 1: python -c ")
    assert reason.endswith("; no such thing")
    assert found["off"] == ("off", "not yet")
    assert found["late"][0] == "left out"
    assert found["good"] == ("done", "")
    assert Path("out/answer.txt").read_text() == "42\n"
    assert json.loads(Path("out/stages.json").read_text()) == run.stages
    assert "42" in capsys.readouterr().out
    assert "no such thing" in Path("out/output.txt").read_text()


def test_a_program_is_killed_with_its_children_when_its_time_is_over(script):
    code = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "open('child', 'w').write(str(child.pid)); time.sleep(600)"
    )
    run = run_of(script)
    ways = [["-c", code], ["-c", "print('never')"]]
    assert not run.make([script.Stage("long", 5, 0, lambda run: run.programs(ways, into="said.txt"))])
    assert states(run)["long"][1].startswith("StageError: time is over: python -c ")
    assert "never" not in Path("out/said.txt").read_text()
    deadline = time.monotonic() + 10
    while _runs(int(Path("child").read_text())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(int(Path("child").read_text()))


def _runs(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_all_programs_of_a_stage_are_tried(script):
    run = run_of(script)
    ways = [["-c", "1 / 0"], ["-c", "print('second')"]]
    assert not run.make([script.Stage("two", 60, 0, lambda run: run.programs(ways, into="said.txt"))])
    assert "ZeroDivisionError" in states(run)["two"][1]
    assert Path("out/said.txt").read_text() == "second\n"


def test_programs_at_the_same_time(script):
    """Each waits for the other; an error in one does not stop the other, and both are told."""
    code = """
import pathlib, sys, time
pathlib.Path(sys.argv[1]).touch()
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.05)
sys.exit(f"{sys.argv[1]} is wrong")
"""
    run = run_of(script)
    works = [partial(run.program, ["-c", code, *names], into=f"{names[0]}.txt") for names in (("a", "b"), ("b", "a"))]
    assert not run.make([script.Stage("both", 60, 0, lambda run: run.together(works))])
    reason = states(run)["both"][1]
    assert "a is wrong" in reason
    assert "b is wrong" in reason


def test_a_program_may_have_less_time_than_its_stage(script):
    run = run_of(script)
    sleeping = partial(run.program, ["-c", "import time; time.sleep(600)"], seconds=1)
    assert not run.make([script.Stage("short", 60, 0, lambda run: run.together([sleeping]))])
    assert states(run)["short"][1].startswith("StageError: time is over: python -c ")


def test_an_average_is_kept_while_the_training_goes_on(script, monkeypatch, capsys):
    """In parts, without checkpoints and half-written files; the last line of the training's log is shown."""
    stages = sys.modules["stages"]
    monkeypatch.setattr(stages, "NEWS", 0.2)
    monkeypatch.setattr(stages, "KEPT", 10_000)
    code = """
import pathlib, time
run = pathlib.Path("runs/cifar10")
for folder in ("pipeline", "pipeline.old", "samples"):
    (run / folder).mkdir(parents=True)
    (run / folder / "weights").write_bytes(bytes(25_000))
for name in ("checkpoint.safetensors", "checkpoint.partial"):
    (run / name).write_bytes(bytes(1_000_000))
(run / "log.jsonl").write_text("first\\nsecond\\n")
(run / "training.json").write_text("{}")
while not pathlib.Path("out/cifar10.tar.02").exists():
    time.sleep(0.05)
"""
    run = run_of(script)
    script.LEG.mkdir(parents=True)
    Path("runs/cifar10.yaml").write_text("steps: 1\n")
    log = script.LEG / "log.jsonl"
    assert run.make([script.Stage("leg-2", 60, 0, lambda run: run.program(["-c", code], news=log))])
    parts = sorted(Path("out").glob("cifar10.tar.*"))
    assert len(parts) > 3
    assert not list(Path("out").glob("student.tar.*"))
    assert all(part.stat().st_size <= 10_000 for part in parts)
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as tar:
        files = ("pipeline/weights", "samples/weights", "log.jsonl", "training.json")
        assert set(tar.getnames()) == {"runs/cifar10.yaml", *(f"runs/cifar10/{name}" for name in files)}
    assert "second" in capsys.readouterr().out
    (script.LEG / "pipeline/weights").unlink()
    run.store()
    assert len(list(Path("out").glob("cifar10.tar.*"))) < len(parts)


def test_the_released_weights_are_where_the_recipe_looks_for_them(script):
    """With the record of their training; a shard that is missing is noticed."""
    Path("data").mkdir()
    for shard in range(2):
        parquet.write_table(pa.table({"label": list(range(5))}), f"data/train-{shard:05d}-of-00002.parquet")
    run = run_of(script)
    work = script.stages_of(script.Plan("data", SCRIPT.parent, few=False))[1].work
    with pytest.raises(script.StageError, match="data has 10 training images, not 50000; a shard is missing"):
        work(run)
    script.data("data", 10)(run)
    script.data("owner/name", 10)(run)
    from mmmi_hf.flow.training.recipe import TrainingRecipe

    recipe = TrainingRecipe.from_yaml(SCRIPT.with_name("leg-2.yaml"))
    initial = FirstWeights.of(recipe, 10)
    assert initial.record.training == TrainingRecord.read(SCRIPT.with_name("training.json"))
    assert recipe.steps * recipe.batch_size >= 4_000_000


def test_steps_follow_from_the_speed_and_the_time_left(script, monkeypatch):
    """15,360 images/s, twenty steps a second: as many steps as fit, in recipes that stand beside the runs."""
    plan, run, told = script.Plan("data", SCRIPT.parent, few=False), run_of(script, 500.0), []
    monkeypatch.setattr(script.Run, "program", lambda run, arguments, **options: told.append(arguments))
    for folder in (script.WARM / "leg-2", script.LEG):
        folder.mkdir(parents=True)
        log = [json.dumps({"step": step, "seconds": step / 20, "loss": 1.0}) for step in (25, 50, 75, 100)]
        (folder / "log.jsonl").write_text("\n".join(log))
        (folder / "recipe.json").write_text(json.dumps({"batch_size": 768}))
    plan.teachers(run)
    assert script.images_per_second(script.LEG) == pytest.approx(15_360)
    recipe = yaml.safe_load(Path("runs/cifar10.yaml").read_text())
    assert recipe["steps"] == int(20 * script.LEG_SECONDS)
    assert recipe["compile"]
    assert len(told) == 3
    Path("runs/distillation.yaml").write_text("batch_size: 768\ntrajectories: 1000\npenalty: 0.5\n")
    script.EVALUATION.mkdir()
    (script.EVALUATION / "guidance.json").write_text('{"seconds_per_journey": 0.1}')
    plan.student(run)
    steps = yaml.safe_load(Path("runs/student.yaml").read_text())["steps"]
    left = 500 - script.SPEED_SECONDS - script.START_SECONDS - 100
    assert steps == pytest.approx(20 * left / script.PENALTY_COST, rel=0.02)


def test_a_student_that_fails_with_its_penalty_is_made_without(script, monkeypatch):
    """Once, from the trajectories that are there; not where it had learned something."""
    plan, run, told = script.Plan("data", SCRIPT.parent, few=True), run_of(script, 500.0), []
    run.until = run.deadline
    Path("runs").mkdir()

    def fails(run, arguments, **options):
        told.append(yaml.safe_load(Path("runs/student.yaml").read_text())["penalty"])
        raise script.StageError("no")

    monkeypatch.setattr(script.Run, "program", fails)
    Path("runs/distillation.yaml").write_text("batch_size: 768\ntrajectories: 1000\npenalty: 0.5\n")
    with pytest.raises(script.StageError):
        plan.student(run)
    assert told == [0.5, 0.0]
    for change in (
        lambda: (script.STUDENT / "pipeline").mkdir(parents=True),
        lambda: Path("runs/distillation.yaml").write_text("penalty: 0\n"),
        lambda: setattr(run, "until", 0.0),
    ):
        told.clear()
        change()
        with pytest.raises(script.StageError):
            plan.student(run)
        assert len(told) == 1
        shutil.rmtree(script.STUDENT, ignore_errors=True)


def test_nothing_is_compiled_where_the_warm_up_could_not(script, monkeypatch):
    plan, run, told = script.Plan("data", SCRIPT.parent, few=False), run_of(script), []
    monkeypatch.setattr(script.Run, "program", lambda run, arguments, **options: told.append(arguments))
    plan.teachers(run)
    for name in ("cifar10", "cifar10-guide", "drawn-up"):
        assert yaml.safe_load(Path(f"runs/{name}.yaml").read_text())["compile"] is False
    assert yaml.safe_load(Path("runs/cifar10.yaml").read_text())["steps"] == int(plan.speed * script.LEG_SECONDS / 768)


def test_what_is_asked_for_must_be_a_stage(tmp_path):
    found = subprocess.run(
        [sys.executable, SCRIPT, "--out", tmp_path / "out", "--only", "data,nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "no stages ['nothing']; give some of ['check', 'data', 'warm-up'" in found.stderr


@pytest.mark.slow
def test_the_rehearsal(tmp_path):
    """Every stage for a few steps on a CPU."""
    out = tmp_path / "out"
    program = [sys.executable, SCRIPT, "--rehearse", "--out", out, "--minutes", "60"]
    assert subprocess.run(program, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode == 0
    found = {stage["stage"]: stage["state"] for stage in json.loads((out / "stages.json").read_text())}
    assert found == dict.fromkeys(("check", "data", "warm-up", "teachers", "student", "speed"), "done")
    speed = (out / "speed-gpu.txt").read_text()
    assert "files identical to those of one" in speed
    assert "strict float32: " in speed
    for name in ("cifar10", "student", "evaluation"):
        whole = b"".join(part.read_bytes() for part in sorted(out.glob(f"{name}.tar.*")))
        with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
            tar.extractall(tmp_path, filter="data")
    teacher, student = (
        json.loads((tmp_path / f"runs/{name}/training.json").read_text()) for name in ("cifar10", "student")
    )
    assert teacher["steps"] == student["steps"] == 4
    assert teacher["initial"]["training"]["steps"] == 7300
    assert student["teacher"]["digest"] == teacher["digest"]
    table = json.loads((tmp_path / "runs/evaluation/guidance.json").read_text())
    assert student["recipe"]["guidance"] == table["guidance"]
    assert table["guidance"] == min(table["table"], key=lambda row: row["frechet_distance"])["guidance"]
    assert list((tmp_path / "runs/evaluation").glob("classifier-*.safetensors"))
    assert all(path.stat().st_size <= 15 * 2**20 for path in out.glob("*.*"))
