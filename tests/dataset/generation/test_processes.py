"""Several processes on one folder: the same files as from one, in any order, whatever dies when."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from tests.support import ROOT, generate

STORY = """\
modalities: [{pipeline: identity}, {pipeline: identity}]
causal_model: {story: common_cause, shape: [1, 4, 4], mi: 0.5}
rows: 400
"""


@pytest.fixture
def faults(tmp_path):
    """What `faults.py` found, one object for each thing that it did and each number of processes."""

    def run(*arguments):
        program = [sys.executable, "-m", "tests.dataset.generation.faults", *map(str, arguments)]
        env = {**os.environ, "TMPDIR": str(tmp_path)}
        shown = subprocess.run(program, capture_output=True, text=True, check=True, timeout=3600, cwd=ROOT, env=env)
        print(shown.stdout)
        return [json.loads(line) for line in shown.stdout.splitlines()]

    return run


def parquet(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def check_orders(found):
    assert found["wrong"] == []
    assert "data/small/train-00000-of-00009.parquet" in found["files"]
    assert not any(name.startswith(".") for name in found["files"])


def test_some_orders_kills_at_some_points_and_two_runs_at_the_same_time(faults):
    """Every order and every number of processes at least once gives the same files; of two runs both succeed; kills
    lose nothing, also where another process of the run lives on, which then completes the set without a rerun.

    In one program, because most of its time goes into imports.
    """
    options = ("--processes", 1, 2, "--every", 60, "--offset", 3, "--count", 5, "--some")
    alone, pair, ordered, both = faults("points", "orders", "together", *options)
    for found in (alone, pair):
        assert found["wrong"] == []
        assert found["killed"] >= 3
    check_orders(ordered)
    assert (both["runs"], both["wrong"]) == (5, [])


@pytest.mark.slow
def test_any_order_on_any_number_of_processes_gives_the_same_files(faults):
    (found,) = faults("orders")
    check_orders(found)


@pytest.mark.slow
def test_kills_at_every_point_lose_nothing(faults):
    # With two processes some die while others draw: pictures at every point of one are enough, and take minutes.
    for found in [*faults("points", "--processes", 1, "--pictures"), *faults("points", "--processes", 2)]:
        assert found["wrong"] == []
        assert found["killed"] >= 60
        assert {"before link", "after link", "in write of manifest", "in write of file", "after row group"} <= set(
            found["kinds"]
        )


@pytest.mark.slow
def test_kills_at_thirty_random_moments_lose_nothing(faults):
    for found in faults("moments", "--processes", 1, 2, "--count", 30, "--pictures"):
        assert found["wrong"] == []
        assert found["killed"] == 30


def launched(story, out, *launcher):
    """`generate` under a launcher, its stderr in a file, as a batch system does it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, *launcher, "-m", "mmmi_hf", "generate", str(story), "--out", str(out), "--no-figures"]
    with (out.parent / "stderr").open("wb") as errors:
        shown = subprocess.run(
            [*program, "--format", "json"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=True,
            timeout=600,
        )
    return json.loads(shown.stdout), (out.parent / "stderr").read_text()


def test_torchrun_gives_the_files_of_one_process(tmp_path):
    story = tmp_path / "story.yaml"
    story.write_text(STORY)
    alone = generate(str(story), tmp_path / "alone")
    summary, said = launched(
        story, tmp_path / "two", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"
    )
    assert summary["world_size"] == 2
    assert summary["rows_made"] == 400
    assert 0 <= summary["network_fraction"] <= 1
    assert json.loads((tmp_path / "two/manifests/story.json").read_text())["statements"]["world_size"] == 2
    assert parquet(tmp_path / "two") == parquet(alone.folder)
    assert not (tmp_path / "two/.shards").exists()
    assert "\r" not in said
    assert "\x1b" not in said


@pytest.mark.slow
def test_accelerate_launch_gives_the_files_of_one_process(tmp_path, monkeypatch):
    story = tmp_path / "story.yaml"
    story.write_text(STORY)
    alone = generate(str(story), tmp_path / "alone")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    accelerate = ("-m", "accelerate.commands.launch")
    summary, _ = launched(
        story, tmp_path / "three", *accelerate, "--multi_gpu", "--num_processes=3", "--main_process_port=0"
    )
    assert summary["world_size"] == 3
    assert parquet(tmp_path / "three") == parquet(alone.folder)
    summary, said = launched(story, tmp_path / "one", *accelerate, "--cpu", "--num_processes=2")
    assert summary["world_size"] == 1
    assert "asked for several processes" in said
    assert parquet(tmp_path / "one") == parquet(alone.folder)
