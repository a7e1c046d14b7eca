"""The script of the second leg of CIFAR-10: stages, budgets, results; and all of it for a few steps."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow as pa
import pytest
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
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    return module


def run_of(script, seconds=60.0):
    return script.Run(Path("out").resolve(), time.monotonic() + seconds)


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
    assert "no such thing" in Path("out/log.txt").read_text()


def test_a_program_is_killed_with_its_children_when_its_time_is_over(script):
    code = (
        "import subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
        "open('child', 'w').write(str(child.pid)); time.sleep(600)"
    )
    run = run_of(script)
    ways = [["-c", code], ["-c", "print('never')"]]
    assert not run.make([script.Stage("long", 5, 0, lambda run: run.programs(ways))])
    assert states(run)["long"][1].startswith("StageError: time is over: python -c ")
    assert "never" not in Path("out/log.txt").read_text().replace("print('never')", "")
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


def test_an_average_is_kept_while_the_training_goes_on(script, monkeypatch, capsys):
    """In parts, without checkpoints and half-written files; the last line of the training's log is shown."""
    monkeypatch.setattr(script, "NEWS", 0.2)
    monkeypatch.setattr(script, "KEPT", 10_000)
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
while not pathlib.Path("out/results.tar.02").exists():
    time.sleep(0.05)
"""
    run = run_of(script)
    script.LEG.mkdir(parents=True)
    log = script.LEG / "log.jsonl"
    assert run.make(
        [script.Stage("leg-2", 60, 0, lambda run: run.program(["-c", code.replace("\\\\", "\\")], news=log))]
    )
    parts = sorted(Path("out").glob("results.tar.*"))
    assert len(parts) > 3
    assert all(part.stat().st_size <= 10_000 for part in parts)
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as tar:
        assert set(tar.getnames()) == {
            f"runs/cifar10/{name}" for name in ("pipeline/weights", "samples/weights", "log.jsonl", "training.json")
        }
    assert "second" in capsys.readouterr().out
    (script.LEG / "pipeline/weights").unlink()
    run.store()
    assert len(list(Path("out").glob("results.tar.*"))) < len(parts)


def test_the_released_weights_are_where_the_recipe_looks_for_them(script):
    """With the record of their training; a shard that is missing is noticed."""
    Path("data").mkdir()
    for shard in range(2):
        parquet.write_table(pa.table({"label": list(range(5))}), f"data/train-{shard:05d}-of-00002.parquet")
    run = run_of(script)
    work = script.stages_of("data", None, None)[1].work
    with pytest.raises(script.StageError, match="data has 10 training images, not 50000; a shard is missing"):
        work(run)
    script.data("data", 10)(run)
    script.data("owner/name", 10)(run)
    from mmmi_hf.flow.training.recipe import TrainingRecipe

    recipe = TrainingRecipe.from_yaml(SCRIPT.with_name("leg-2.yaml"))
    initial = FirstWeights.of(recipe, 10)
    assert initial.record.training == TrainingRecord.read(SCRIPT.with_name("training.json"))
    assert recipe.steps * recipe.batch_size >= 4_000_000


def test_the_student_is_off_unless_it_is_told_how(script):
    off, on = (script.stages_of("data", given, None)[3] for given in (None, "-c 'print(1)'"))
    assert off.work is None
    assert "no distiller" in off.why
    run = run_of(script, 300)
    assert run.make([off, on])
    assert "1" in Path("out/log.txt").read_text().splitlines()


def test_what_is_asked_for_must_be_a_stage(tmp_path):
    found = subprocess.run(
        [sys.executable, SCRIPT, "--out", tmp_path / "out", "--only", "data,nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "no stages ['nothing']; give some of ['check', 'data', 'leg-2'" in found.stderr


@pytest.mark.slow
def test_the_rehearsal(tmp_path):
    """Every stage for a few steps on a CPU."""
    out = tmp_path / "out"
    program = [sys.executable, SCRIPT, "--rehearse", "--out", out, "--minutes", "60"]
    assert subprocess.run(program, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}).returncode == 0
    found = {stage["stage"]: stage["state"] for stage in json.loads((out / "stages.json").read_text())}
    assert found == dict.fromkeys(("check", "data", "leg-2", "judge", "speed"), "done") | {"student": "off"}
    speed = (out / "speed-gpu.txt").read_text()
    assert "files identical to those of one" in speed
    assert "strict float32: " in speed
    whole = b"".join(part.read_bytes() for part in sorted(out.glob("results.tar.*")))
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        tar.extractall(tmp_path, filter="data")
    record = json.loads((tmp_path / "runs/cifar10/training.json").read_text())
    evaluation = json.loads((tmp_path / "runs/evaluation/evaluation.json").read_text())
    assert record["steps"] == 4
    assert record["initial"]["training"]["steps"] == 7300
    assert record["digest"] == evaluation["pipeline"]["digest"]
    assert all(path.stat().st_size <= 15 * 2**20 for path in out.glob("*.*"))
    assert len([path for path in out.iterdir() if path.is_file()]) <= 8
