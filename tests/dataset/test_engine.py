"""Generation and verification by datatrove's tasks.

Marked `engine`: it needs that package, and with S3 moto[server] and s3fs.
"""

import collections
import json
import os
import re
import stat
import subprocess
import sys

import numpy as np
import pytest

from mmmi_hf.common.failures import Failure
from mmmi_hf.dataset.certificate import replays
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.completion import merge
from mmmi_hf.dataset.engine import certify_by_engine, executors, generating, verifying
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.dataset.stores.addresses import AddressStore
from tests.dataset.certificate import forgeries
from tests.dataset.engine_runs import FORKED, made
from tests.support import ROOT, change, generate, tree

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("many_files")]


@pytest.mark.parametrize(("where", "tasks"), [("folder", 1), ("folder", 2), ("folder", 7), ("s3", 2)])
def test_tasks_give_the_files_of_one_run(small_config, tmp_path, whole, where, tasks, request):
    out = str(tmp_path / "out") if where == "folder" else f"{request.getfixturevalue('bucket')}/{tmp_path.name}"
    found = made(small_config, out, tasks=tasks)
    assert (found.complete, found.rows_made) == (True, 150)
    assert tree(out) == whole
    assert made(small_config, out, tasks=tasks).rows_made == 0
    assert tree(out) == whole


def test_shares_without_an_engine_at_s3(small_config, bucket, tmp_path, whole):
    out = f"{bucket}/{tmp_path.name}"
    for number in (2, 3, 1):
        generate(small_config, out, shard=f"{number}/3")
    merge(out, figures=False, progress=False)
    assert tree(out) == whole


def test_faults_of_s3_change_nothing(small_config, tmp_path, whole):
    from tests.dataset.stores.loopback_s3 import running

    with running(share=0.05, seed=3) as address:
        generate(small_config, f"{address}/out", shard="1/1")
        merge(f"{address}/out", figures=False, progress=False)
        store = AddressStore(f"{address}/out")
        assert {name: store.sha256(name) for name in store.list("")} == whole


def test_what_the_engine_has_noted_as_done_and_is_not_there_is_done_again(small_config, tmp_path, whole):
    out = tmp_path / "out"
    for number in (1, 2, 3):
        generate(small_config, out, shard=f"{number}/3")
    for rank in range(3):
        path = out / f".shards/small/tasks-3/completions/{rank:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    change(out, "data/small/test-00000-of-00001.parquet", lambda old: old[:-9])
    with pytest.raises(Failure, match="1 are missing or damaged"):
        made(small_config, out)
    assert made(small_config, out).complete
    assert tree(out) == whole
    with pytest.raises(ConfigurationError, match="already holds 'small' with other settings"):
        made(small_config.replace(seed=5), out)


def test_a_task_that_fails_is_said_and_continued(small_config, tmp_path, whole, monkeypatch):
    with monkeypatch.context() as patch:

        def broken(self, *arguments):
            raise ArithmeticError("a value is not finite")

        patch.setattr(generating.Making, "__call__", broken)
        with pytest.raises(Failure, match=r"a task failed: a value is not finite; what is finished is kept"):
            made(small_config, tmp_path / "out")
    assert made(small_config, tmp_path / "out").complete
    assert tree(tmp_path / "out") == whole


def test_progress_of_all_tasks_is_shown(small_config, tmp_path, capsys, monkeypatch):
    seen = collections.Counter()
    monkeypatch.setattr(
        "tqdm.std.tqdm.update",
        lambda self, n=1: (seen.update({getattr(self, "desc", "none shown"): n}), setattr(self, "n", self.n + n)),
    )
    made(small_config, tmp_path / "out", certify=False, progress=True)
    assert "generating small (3 tasks): 0 of 150 rows" in capsys.readouterr().err
    assert seen == {"generating small (3 tasks)": 150, "comparing the files of small": 150}


def test_processes_that_start_afresh(tmp_path):
    """As the command line starts them, without what a test has changed."""
    (tmp_path / "story.yaml").write_text(
        "modalities: [{pipeline: identity}]\ncausal_model: {story: common_cause, shape: [16], mi: 0.5, modalities: 1}\n"
        "rows: 300\n"
    )
    words = (
        "-m mmmi_hf generate story.yaml --out out --no-certify --no-figures --engine datatrove --tasks 2 --workers 2"
    )
    done = subprocess.run(
        [sys.executable, *words.split(), "--format", "json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_made"] == 300
    assert "Processing done for rank=0" in done.stderr


def executable(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_slurm_gets_an_array_of_tasks_and_a_merge_after_them(small_config, tmp_path, whole, monkeypatch):
    """`sbatch` is one of ours that keeps the script and its arguments; the scripts are then carried out as Slurm would,
    all array indices at the same time and the merge after them."""
    tools, jobs = tmp_path / "bin", tmp_path / "jobs"
    tools.mkdir()
    jobs.mkdir()
    executable(
        tools / "sbatch",
        f'#!/bin/sh\nnumber=$(ls {jobs}/*.script 2>/dev/null | wc -l)\necho "$@" > {jobs}/$number.arguments\n'
        f'for last; do :; done\ncp "$last" {jobs}/$number.script\necho "Submitted batch job 10$number"\n',
    )
    executable(tools / "srun", '#!/bin/sh\nwhile [ "$1" != -n ]; do shift; done\nshift 2\nexec "$@"\n')
    executable(tools / "scontrol", "#!/bin/sh\necho localhost\n")
    path = f"{tools}{os.pathsep}{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    options = {"partition": "gpu", "time": "02:00:00", "gpus_per_task": 1}
    found = made(small_config, tmp_path / "out", executor="slurm", tasks=2, executor_options=options)
    assert not found.complete
    scripts = [jobs / f"{index}.script" for index in range(4)]
    text, arguments = scripts[0].read_text(), [(jobs / f"{index}.arguments").read_text() for index in range(4)]
    for line in ("partition=gpu", "time=02:00:00", "array=0-1%2", "gpus=1", "job-name=mmmi-hf-small"):
        assert f"#SBATCH --{line}\n" in text
    assert f"launch_pickled_pipeline {tmp_path}/out/.shards/small/tasks-2/executor.pik" in text
    merging = next(index for index in range(4) if "tasks-2/merge/executor.pik" in scripts[index].read_text())
    assert "--dependency=afterok:100" in arguments[merging]
    environment = os.environ | {"SLURM_NODELIST": "localhost", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    tasks = [
        subprocess.Popen(["sh", scripts[0]], env=environment | {"SLURM_ARRAY_TASK_ID": str(index)}) for index in (1, 0)
    ]
    assert [task.wait() for task in tasks] == [0, 0]
    subprocess.run(["sh", scripts[merging]], env=environment | {"SLURM_ARRAY_TASK_ID": "0"}, check=True)
    assert json.loads((tmp_path / "out/manifests/small.json").read_text())["rows"] == 150


def test_jobs_are_given_what_they_need(small_config, bucket, tmp_path, monkeypatch):
    """The Hub's function that starts a job is one of ours, which keeps what it is given."""
    asked = []

    class Job:
        id, url = "1", "https://example.org"

    def run_uv_job(script, **options):
        asked.append((script, options))
        return Job

    monkeypatch.setattr("huggingface_hub.run_uv_job", run_uv_job)
    logs = f"{bucket}/{tmp_path.name}/logs"
    step = generating.Making(generating.Work(small_config, f"{bucket}/{tmp_path.name}/out"))
    run = executors._class_of("jobs")(pipeline=[step], tasks=3, logging_dir=logs, flavor="t4-small")
    run._submit_array_index(2, f"{logs}/executor.pik", "hf_secret")
    (script, options), *others = asked
    assert not others
    assert script.endswith("launch_pickled_pipeline.py")
    assert options["script_args"] == [f"{logs}/executor.pik"]
    assert (options["flavor"], options["env"]["DATATROVE_JOB_ARRAY_INDEX"]) == ("t4-small", "2")
    assert any(package.startswith("mmmi-hf[datatrove]==") for package in options["dependencies"])
    run.save_executor_as_json()
    assert "hf_secret" not in (AddressStore(logs).read("executor.json") or b"").decode()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/mmmi_hf/replays"


@pytest.fixture
def forged(honest, tmp_path):
    """A folder of which four rows, in two modalities and several tasks, are not the images of their latents."""

    def alter(columns):
        columns["x2"][[20, 70]] += np.float32(0.5)
        columns["x1"][[140, 100]] += np.float32(0.25)

    return forgeries.forge(honest, tmp_path / "forged", "small", alter)


def verified(folder, how=certify, **options):
    """What a verification of all rows gives, without its times."""
    given = {"tasks": 3, "workers": 2, "executor_options": FORKED} if how is certify_by_engine else {"all_rows": True}
    (found,) = how(folder, progress=False, **(given | {"write": False} | options)).values()
    return {name: value for name, value in found.to_dict().items() if name != "seconds"}


def test_tasks_verify_as_one_process_does(honest, cache):
    found = verified(honest, certify_by_engine, tasks=2)
    assert found == verified(honest)
    assert (found["valid"], found["sample"]["rows_replayed"]) == (True, 150)
    assert not list(cache.glob("*"))


def test_tasks_refuse_with_the_words_of_one_process(forged, cache):
    alone = verified(forged)
    assert "x2: 2 of 150 rows that were made again are not the images of their latents (row 20 is off by" in " ".join(
        alone["reasons"]
    )
    for tasks in (1, 7):
        assert verified(forged, certify_by_engine, tasks=tasks) == alone
        assert not list(cache.glob("*"))


def test_tasks_verify_at_s3_and_a_certificate_is_put_there(small_config, bucket, tmp_path, whole, cache):
    out = f"{bucket}/{tmp_path.name}"
    generate(small_config, out, certify=False)
    assert verified(out, certify_by_engine, write=True)["written"]
    certify(tmp_path / "whole", all_rows=True, write=True, progress=False)
    assert tree(out) == tree(tmp_path / "whole")
    name = next(name for name in whole if name.startswith("data/small/test"))
    change(out, name, lambda old: old[:-9])
    assert "differs from the manifest" in " ".join(verified(out, certify_by_engine)["reasons"])


def test_what_tasks_found_and_is_not_there_is_not_taken_as_found(forged, cache, monkeypatch):
    """Another verification of the same data removes it when it ends."""
    carry_out = executors.Engine.carry_out

    def removed(*of, **options):
        carry_out(*of, **options)
        for path in cache.glob("*/tasks-3/0000[12].json"):
            path.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(executors.Engine, "carry_out", removed)
        with pytest.raises(Failure, match=r"what 2 of 3 tasks found is not in .*tasks-3, where 32 of 150 rows"):
            verified(forged, certify_by_engine)
    assert verified(forged, certify_by_engine) == verified(forged)


def test_a_certificate_says_rows_that_were_made_again_alone(honest):
    with pytest.raises(Failure, match=r"0 of 150 rows of small were made again, and a certificate says all"):
        verified(honest, replayer=lambda *of, **options: replays.Replayed())


def test_a_verification_that_was_killed_goes_on(tmp_path, whole, cache, monkeypatch):
    """What finished tasks found is kept; a task of which less is there is done again, whatever the engine noted."""
    folder, counts = tmp_path / "whole", tmp_path / "counts"
    original = replays.images_of

    def counted(*of):
        with counts.open("a") as stream:
            stream.write(".")
        if patch and len(counts.read_text()) == 7:
            raise ArithmeticError("not now")
        return original(*of)

    monkeypatch.setattr(replays, "AT_A_TIME", 1)
    monkeypatch.setattr(replays, "images_of", counted)
    patch = True
    with pytest.raises(Failure, match="a task failed: not now"):
        verified(folder, certify_by_engine, workers=1)
    kept = sorted(cache.glob("*/tasks-3/*.json"))
    done = sum(json.loads(each.read_text())["rows"] for each in kept if each.stem.isdecimal())
    assert 64 <= done <= 96
    for rank in range(3):
        path = kept[0].parent / f"completions/{rank:05d}"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    patch = False
    before = len(counts.read_text())
    found = verified(folder, certify_by_engine, workers=1)
    assert (found["valid"], found["replays"]["equal"]) == (True, 150)
    assert len(counts.read_text()) - before == 2 * (5 - done // 32)
    assert not list(cache.glob("*"))


def test_ray_if_it_is_here(small_config, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.undo()  # its processes see nothing of what a test has changed
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options, out = {"executor": "ray", "executor_options": {"mem_per_cpu_gb": 0.5}}, tmp_path / "out"
    assert made(small_config, out, tasks=2, **options).complete
    assert tree(out) == tree(generate(small_config, tmp_path / "whole").folder)
    assert verified(out, certify_by_engine, **options) == verified(out)


def test_tasks_on_other_hardware_are_refused(tmp_path, whole, cache, monkeypatch):
    monkeypatch.setattr(verifying, "kept_at", lambda *of, at=verifying.kept_at: at(*of).with_stem(str(os.getpid())))
    with pytest.raises(Failure, match="this machine has other hardware or software than the one that asked"):
        verified(tmp_path / "whole", certify_by_engine)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"executor": "slurm"}, "executor is 'slurm', and rows are made again by local or ray"),
        ({"executor": "cron"}, "executor is 'cron', expected one of local"),
        ({"workers": 0}, "workers is 0, expected a whole number of at least 1"),
    ],
)
def test_verifications_that_cannot_be_asked_for(tmp_path, whole, options, says):
    with pytest.raises(ConfigurationError, match=says):
        verified(tmp_path / "whole", certify_by_engine, **options)


def test_memory_of_one_process_is_not_for_tasks(small_config):
    with pytest.raises(ConfigurationError, match="is in the memory of one process, and every task is another one"):
        made(small_config, "memory://out")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"executor": "cron"}, "executor is 'cron', expected one of local, slurm, ray, jobs"),
        ({"tasks": 0}, "tasks is 0, expected"),
        ({"executor": "slurm", "executor_options": {}}, "executor slurm: .*time"),
        ({"executor": "jobs", "executor_options": {}}, "executor jobs: .* requires a remote logging_dir"),
        ({"executor_options": {"queue": "fast"}}, "executor local: .*queue"),
        ({"executor_options": {"tasks": 5}}, "executor local: tasks is an argument of its own; leave the option out"),
        (
            {"executor": "slurm", "executor_options": {"time": "1:00:00", "partition": "x"}},
            "executor slurm: there is no sbatch here",
        ),
    ],
)
def test_requests_that_cannot_be_met(small_config, tmp_path, options, says):
    with pytest.raises(ConfigurationError, match=says):
        made(small_config, tmp_path / "out", **options)


def test_a_missing_package_is_named(small_config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datatrove.executor.local", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'mmmi-hf\[datatrove\]'"):
        made(small_config, tmp_path / "out")


def recipe(words):
    """A shell block of the README that has these words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    return next(block for block in blocks if words in block)


@pytest.mark.slow
def test_the_recipe_for_slurm(tmp_path, bucket):
    """As it stands in the README, of fewer tasks and rows; `sbatch` is one of ours that carries out the command."""
    (tmp_path / "bin").mkdir()
    executable(
        tmp_path / "bin/sbatch",
        "#!/bin/sh\nlast=${1#--array=1-}\n"
        'for n in $(seq $last -1 1); do SLURM_ARRAY_TASK_ID=$n sh -c "$3" || exit 1; done\n',
    )
    executable(tmp_path / "bin/mmmi-hf", f'#!/bin/sh\nexec {sys.executable} -m mmmi_hf "$@"\n')
    address = f"{bucket}/{tmp_path.name}"
    text = recipe("sbatch --array").replace("64", "2").replace("s3://bucket/set", address)
    text = text.replace("--shard", "--pipeline identity --rows 60 --shard").replace("# when", "--no-certify # when")
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-ec", text], env=environment | {"OMP_NUM_THREADS": "1"}, check=True)
    assert "manifests/common-cause-1.0.json" in AddressStore(address).list("")


def test_the_recipe_for_jobs(tmp_path):
    text = recipe("hf jobs run").replace("--detach", "--dry-run --detach").partition("mmmi-hf merge")[0]
    program = "import sys; from huggingface_hub.cli.hf import main; sys.argv[0] = 'hf'; main()"
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin/hf", f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$@"\n')
    environment = os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "HF_TOKEN": "hf_secret"}
    done = subprocess.run(
        ["sh", "-ec", text.replace("seq 8", "seq 2")], env=environment, check=True, capture_output=True, text=True
    )
    said = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.strip().startswith("command")]
    command = "mmmi-hf generate common-cause-1.0 --out hf://buckets/me/set --shard"
    assert said == [f"{command} {n}/8" for n in (1, 2)]
    assert "hf_secret" not in done.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "workers is 0, expected a whole number of at least 1$"),
        ({"workers": -2}, "workers is -2, expected a whole number of at least 1$"),
        ({"workers": -1}, "workers is -1, expected a whole number of at least 1$"),
        ({"workers": "two"}, "workers is 'two', expected a whole number of at least 1$"),
        ({"start_method": "bogus"}, "start_method is 'bogus', expected one of fork, spawn, forkserver"),
        (
            {"randomize_start_duration": "long"},
            "randomize_start_duration is 'long', expected a whole number of seconds",
        ),
        *[({name: 1}, f"executor local: {name} .*; leave the option out$") for name in executors._DECIDED],
    ],
)
def test_options_that_make_no_sense(small_config, tmp_path, options, says):
    with pytest.raises(ConfigurationError, match=says):
        made(small_config, tmp_path / "out", executor_options=FORKED | options)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"workers": -2}, "workers is -2, expected .* or -1 for no limit"), ({"depends": 1}, "depends is")],
)
def test_options_of_other_executors_that_make_no_sense(small_config, tmp_path, options, says):
    with pytest.raises(ConfigurationError, match=says):
        made(small_config, tmp_path / "out", executor="jobs", executor_options=options, workers=None)
