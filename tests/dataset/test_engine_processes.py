"""The processes of this machine in which an engine's tasks are done: how they end, and what is said of it."""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest
from tqdm import tqdm as bars

from mmmi_hf.common.failures import Failure
from mmmi_hf.dataset.engine import executors, generating, processes
from tests.dataset.engine_runs import Marked, comes, lives, made
from tests.support import ROOT, generate, tree

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("many_files")]
STORY = (
    "modalities: [{pipeline: identity}]\ncausal_model: {story: common_cause, shape: [16], mi: 0.5, modalities: 1}\n"
    "rows: 20000000\n"
)


class HTTPClientError(Exception):
    """As botocore's, which may hold parts of a connection, and cannot be sent from one process to another then."""

    __module__ = "botocore.exceptions"

    def __reduce__(self):
        raise TypeError("cannot pickle 'CIMultiDictProxy' object")


class Wanting(Exception):
    """It can be sent, and not be read."""

    def __init__(self, message, *, response):
        super().__init__(message)
        self.response = response


def unsendable():
    error = ValueError("with a lock")
    error.lock = threading.Lock()
    return error


@pytest.fixture
def begins(monkeypatch, tmp_path):
    """Has a task do something else; the ranks that began are then the words of a file."""
    path = tmp_path / "begins"
    path.touch()

    def change(do):
        def begin(self, data, rank, world_size, make=generating.Making.__call__):
            with path.open("a") as stream:
                stream.write(f"{rank}:{os.getpid()} ")
            do(lambda: make(self, data, rank, world_size))

        monkeypatch.setattr(generating.Making, "__call__", begin)
        return lambda: [tuple(map(int, each.split(":"))) for each in path.read_text().split()]

    return change


@pytest.mark.parametrize("error", [ConnectionError("the answer was cut"), HTTPClientError("bad status line")])
def test_a_fault_of_the_place_of_the_logs_is_tried_again(small_config, tmp_path, whole, monkeypatch, begins, error):
    """datatrove reads and writes there without our patience."""

    def faulty(make):
        make()
        with contextlib.suppress(FileExistsError):
            (tmp_path / "cut").mkdir()
            raise error

    begins(faulty)
    base, looks = executors._class_of("local").__mro__[1], []

    def ranks(self, *of, skip_completed=None, look=base.get_incomplete_ranks):
        if skip_completed and not looks:
            looks.append("cut")
            raise ConnectionError("the answer was cut")
        return look(self, *of, skip_completed=skip_completed)

    monkeypatch.setattr(base, "get_incomplete_ranks", ranks)
    assert made(small_config, tmp_path / "out").complete
    assert tree(tmp_path / "out") == whole
    assert looks == ["cut"]


def test_a_place_of_notes_that_stays_silent_is_said(small_config, tmp_path, monkeypatch):
    base = executors._class_of("local").__mro__[1]

    def ranks(self, *of, **options):
        raise ConnectionError("the answer was cut")

    monkeypatch.setattr(base, "get_incomplete_ranks", ranks)
    monkeypatch.setattr(processes, "ATTEMPTS", 2)
    with pytest.raises(Failure, match=r"which tasks are done cannot be read beside .*/logs \(the answer was cut\)"):
        made(small_config, tmp_path / "out")


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_task_that_somebody_ends_is_done_again(small_config, tmp_path, whole, begins, by):
    def ended(make):
        with contextlib.suppress(FileExistsError):
            (tmp_path / "ended").mkdir()
            os.kill(os.getpid(), by)
        make()

    begins(ended)
    assert made(small_config, tmp_path / "out").complete
    assert tree(tmp_path / "out") == whole
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "a process was ended by SIGKILL; if for want of memory, give"),
        (lambda: os._exit(3), "a process ended early, with exit status 3"),
    ],
)
def test_a_process_that_never_lives_is_said(small_config, tmp_path, monkeypatch, begins, end, says):
    ranks = begins(lambda make: end())
    monkeypatch.setattr(processes, "ATTEMPTS", 2)
    with pytest.raises(Failure, match=rf"tasks are not done after 2 attempts \({says}.*\); the logs are in"):
        made(small_config, tmp_path / "out", tasks=2, workers=1)
    assert [rank for rank, _ in ranks()] == [0, 0]


def test_faults_that_do_not_pass_are_said(small_config, tmp_path, monkeypatch, begins):
    """Many at the same moment, none of whose words is lost."""

    def faulty(make):
        raise ConnectionError("the answer was cut")

    ranks = begins(faulty)
    monkeypatch.setattr(processes, "ATTEMPTS", 4)
    with pytest.raises(
        Failure, match=r"tasks are not done after 4 attempts \(a task failed: the answer was cut\); the logs are in"
    ):
        made(small_config, tmp_path / "out", tasks=20, workers=4)
    assert 4 <= len(ranks()) <= 16


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ArithmeticError("a value\n is not finite"), "a value is not finite"),
        (lambda: Wanting("404 Not Found", response=1), "404 Not Found"),
        (unsendable, "with a lock"),
        (MemoryError, "MemoryError"),
        (AssertionError, "AssertionError"),
        (lambda: SystemExit(3), "SystemExit 3"),
        (SystemExit, "SystemExit"),
        (KeyboardInterrupt, "KeyboardInterrupt"),
    ],
)
def test_what_a_task_fails_of_is_said_at_once(small_config, tmp_path, begins, make, says):
    def broken(_):
        raise make()

    ranks = begins(broken)
    with pytest.raises(
        Failure, match=rf"^a task failed: {says}; what is finished is kept, and the logs are in [^\n]*$"
    ):
        made(small_config, tmp_path / "out")
    assert len(ranks()) <= 2


def test_what_does_not_pass_is_said_before_what_may(tmp_path):
    """Of what is said at the same moment, while the launcher looks."""
    from datatrove.executor.local import LocalPipelineExecutor

    def broken(data, rank, world_size):
        with (tmp_path / "begun").open("a") as stream:
            stream.write(".")
        raise (ConnectionError("the answer was cut") if rank == 0 else ArithmeticError("enough"))

    run = LocalPipelineExecutor([broken], 2, 2, str(tmp_path / "logs"), start_method="fork")
    with pytest.raises(Failure, match=r"^a task failed: enough; what is finished is kept"):
        processes.carried_out_here(run, lambda: time.sleep(0.5))
    assert (tmp_path / "begun").read_text() == ".."


def test_ranks_that_are_not_done_are_dealt_evenly(small_config, tmp_path, whole, begins):
    out = tmp_path / "out"
    for number in (1, 2, 4):
        generate(small_config, out, shard=f"{number}/7")
        path = out / f".shards/small/tasks-7/completions/{number - 1:05d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    ranks = begins(lambda make: make())
    made(small_config, out, tasks=7)
    assert sorted(rank for rank, _ in ranks()) == [2, 4, 5, 6]
    assert [*collections.Counter(pid for _, pid in ranks()).values()] == [2, 2]
    assert tree(out) == whole


@pytest.mark.parametrize("then", ["succeeds", "raises", "is ended"])
def test_what_a_task_started_ends_with_it(small_config, tmp_path, monkeypatch, begins, then):
    """Processes and threads that would live for a minute."""
    sleeping = tmp_path / "sleeping"

    def leaving(make):
        with sleeping.open("a") as stream:
            stream.write(f"{subprocess.Popen(['sleep', '60']).pid} ")
        threading.Thread(target=time.sleep, args=(60,)).start()
        make()
        if then == "raises":
            raise ArithmeticError("enough")
        if then == "is ended":
            os.kill(os.getpid(), signal.SIGKILL)

    begins(leaving)
    monkeypatch.setattr(processes, "ATTEMPTS", 1)
    began = time.monotonic()
    with contextlib.nullcontext() if then == "succeeds" else pytest.raises(Failure):
        made(small_config, tmp_path / "out", certify=False)
    left = sleeping.read_text().split()
    assert left
    assert comes(lambda: not any(map(lives, left)), 5)
    assert time.monotonic() - began < 45


def test_tasks_end_when_their_launcher_is_killed(small_config, tmp_path, begins):
    def waiting(make):
        (tmp_path / f"{os.getpid()}").write_text(f"{subprocess.Popen(['sleep', '60']).pid} {os.getpid()} ")
        time.sleep(60)

    begins(waiting)
    if not (launcher := os.fork()):
        made(small_config, tmp_path / "out", workers=3)
        os._exit(0)
    tasks = comes(lambda: len(them := [*tmp_path.glob("[0-9]*")]) == 3 and all(map(os.path.getsize, them)) and them)
    os.kill(launcher, signal.SIGKILL)
    os.waitpid(launcher, 0)
    pids = [pid for task in tasks for pid in task.read_text().split()]
    assert comes(lambda: not any(map(lives, pids))), "tasks outlive their launcher"


def test_processes_share_no_lock(small_config, tmp_path, monkeypatch):
    """Whoever is killed can hold none, then, that another one waits for."""
    import multiprocess.synchronize

    def refused(*of, **options):
        raise AssertionError("a lock is made")

    monkeypatch.setattr(multiprocess.synchronize.SemLock, "__init__", refused)
    monkeypatch.setattr("multiprocess.managers.BaseManager.start", refused)
    assert made(small_config, tmp_path / "out").complete


def test_processes_do_not_share_the_lock_of_progress_bars(small_config, tmp_path, begins):
    """A forked one is given its launcher's, one of several processes; who is killed while holding that keeps it."""
    bars.get_lock()

    def held(make):
        with contextlib.suppress(FileExistsError):
            (tmp_path / "held").mkdir()
            bars.get_lock().acquire()
            os.kill(os.getpid(), signal.SIGKILL)
        with bars.get_lock():
            make()

    begins(held)
    assert made(small_config, tmp_path / "out", progress=True).complete


def test_attempts_in_which_tasks_were_done_are_not_counted(small_config, tmp_path, whole, monkeypatch, begins):
    monkeypatch.setattr(processes, "ATTEMPTS", 2)
    monkeypatch.setattr(processes, "PAUSE_SECONDS", 0.0)

    def once(make):
        turn = len(list(tmp_path.glob("turn-*")))
        (tmp_path / f"turn-{turn}").touch()
        if turn % 2 == 0:
            raise ConnectionError("the answer was cut")
        make()

    begins(once)
    assert made(small_config, tmp_path / "out", workers=1).complete
    assert tree(tmp_path / "out") == whole
    assert len(list(tmp_path.glob("turn-*"))) == 6


def test_a_group_is_ended_once_and_before_its_number_is_free(small_config, tmp_path, monkeypatch):
    """Later it may be that of somebody else."""
    ended, end_group = [], os.killpg

    def noted(group, by):
        os.kill(group, 0)  # it has not been waited for
        ended.append(group)
        end_group(group, by)

    monkeypatch.setattr(processes.os, "killpg", noted)
    assert made(small_config, tmp_path / "out").complete
    assert len(ended) == len(set(ended)) == 2


@pytest.mark.parametrize(("said", "workers", "wanted"), [(None, 2, "2"), (None, 9, "1"), ("3", 2, "3")])
def test_workers_share_the_cores(small_config, tmp_path, monkeypatch, begins, said, workers, wanted):
    """Each runs as many networks at a time as it has threads."""
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)

    def noted(_):
        (tmp_path / "threads").write_text(os.environ["OMP_NUM_THREADS"])
        raise ArithmeticError("enough")

    begins(noted)
    with pytest.raises(Failure, match="enough"):
        made(small_config, tmp_path / "out", workers=workers)
    assert (tmp_path / "threads").read_text() == wanted
    assert os.environ.get("OMP_NUM_THREADS") == said


@pytest.fixture
def marked():
    mark = Marked()
    yield mark
    mark.clear()


def started(marked, folder, *words, **options):
    """A Python process of a session of its own, as a terminal would start it, in a folder."""
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=marked.environment | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def script(task, method="spawn", guard="if True:", first="pass"):
    """A program that has two processes carry out a task each."""
    return (
        "import signal, time\n"
        "from datatrove.executor.local import LocalPipelineExecutor\n"
        "from mmmi_hf.dataset.engine.processes import carried_out_here\n"
        f"{guard}\n    try:\n        {first}\n"
        f"        run = LocalPipelineExecutor([{task}], 2, 2, 'logs', start_method={method!r})\n"
        "        carried_out_here(run, lambda: None)\n"
        "    except Exception as error:\n        print(type(error).__name__, *str(error).split())\n        exit(1)\n"
    )


GUARD, LONG = 'if __name__ == "__main__":', "lambda *of: __import__('time').sleep(60)"
LARGE = f"lambda *of, large='{'x' * 300_000}': None"


@pytest.mark.parametrize(
    ("method", "beginning", "delay"),
    [("spawn", "spawn_main", 0.0), ("spawn", "spawn_main", 0.3), ("forkserver", "multiprocess.forkserver", 0.3)],
)
def test_processes_that_begin_end_with_their_launcher(marked, tmp_path, method, beginning, delay):
    (tmp_path / "script.py").write_text(script(LONG, method, GUARD))
    launcher = started(marked, tmp_path, "script.py")
    assert comes(lambda: sum(beginning in words for words in marked.there().values()) >= 2)
    time.sleep(delay)
    assert launcher.poll() is None
    launcher.kill()
    launcher.communicate()
    assert comes(lambda: not marked.there(), 15), marked.there()


def test_an_interrupt_leaves_nothing_and_says_so_in_a_line(marked, tmp_path):
    """As Ctrl-C on a terminal, which every process of the group is sent."""
    (tmp_path / "story.yaml").write_text(STORY)
    words = (
        "-m mmmi_hf generate story.yaml --out out --no-certify --no-figures --engine datatrove --tasks 4 --workers 2"
    )
    launcher = started(marked, tmp_path, *words.split())
    assert comes(lambda: sum("spawn_main" in words for words in marked.there().values()) == 2)
    os.killpg(launcher.pid, signal.SIGINT)
    said = launcher.communicate(timeout=30)[1]
    assert launcher.returncode == 130
    assert comes(lambda: not marked.there(), 5), marked.there()
    assert "Traceback" not in said
    assert "resource_tracker" not in said


def test_an_interrupt_is_the_launchers_alone(marked, tmp_path):
    """It may take its time, and processes that begin meanwhile say nothing of it."""
    slowly = "signal.signal(signal.SIGINT, lambda *of: (time.sleep(2), signal.default_int_handler(*of)))"
    (tmp_path / "script.py").write_text(script(LONG, "spawn", GUARD, slowly))
    launcher = started(marked, tmp_path, "script.py")
    assert comes(lambda: sum("spawn_main" in words for words in marked.there().values()) == 2)
    time.sleep(0.1)
    os.killpg(launcher.pid, signal.SIGINT)
    said = launcher.communicate(timeout=30)[1]
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1
    assert comes(lambda: not marked.there(), 5), marked.there()


@pytest.mark.parametrize(("as_file", "task"), [(True, "print"), (False, "print"), (True, LARGE)])
def test_a_script_that_cannot_be_imported_is_told_so(marked, tmp_path, as_file, task):
    (tmp_path / "script.py").write_text(script(task))
    launcher = started(marked, tmp_path, "script.py" if as_file else "-", stdin=subprocess.PIPE)
    printed, said = launcher.communicate(script(task), timeout=60)
    *first, last = printed.splitlines()
    assert last.startswith("Failure a process could not begin, and has printed why (exit status 1); as every process")
    assert 'call us below `if __name__ == "__main__":`' in last
    assert 1 <= len(first) + said.count("Traceback") <= 2


@pytest.fixture
def forking(monkeypatch):
    """Processes see what a test has changed, whatever method is asked for."""
    import multiprocess

    context = multiprocess.get_context("fork")
    monkeypatch.setattr("multiprocess.get_context", lambda method=None: context)


@pytest.mark.parametrize(
    ("stage", "submitted", "says"),
    [("ERROR", 8, r"4 of 4 tasks are not done, by rank 0, 1, 2, 3;"), (None, 4, r"not done \(the engine failed: 503 ")],
)
def test_jobs_are_not_submitted_again(small_config, tmp_path, bucket, monkeypatch, forking, stage, submitted, says):
    """Beyond what datatrove does itself, whether they fail or are only not seen: they are paid for."""
    noted = tmp_path / "submitted"

    class HfHubHTTPError(OSError):
        __module__ = "huggingface_hub.errors"

    def run_uv_job(script, **options):
        with noted.open("a") as stream:
            stream.write(".")
        return types.SimpleNamespace(id=f"job-{noted.stat().st_size}", url="-")

    def inspect_job(**of):
        if stage is None:
            raise HfHubHTTPError("503 Service Unavailable")
        return types.SimpleNamespace(status=types.SimpleNamespace(stage=stage))

    monkeypatch.setattr("huggingface_hub.run_uv_job", run_uv_job)
    monkeypatch.setattr("huggingface_hub.inspect_job", inspect_job)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_secret")
    out, options = f"{bucket}/{tmp_path.name}/out", {"poll_interval": 0}
    with pytest.raises(Failure, match=rf"{says}.*their logs are in {out}/.*logs: see that none of its Jobs is still"):
        made(small_config, out, tasks=4, workers=None, executor="jobs", executor_options=options)
    assert len(noted.read_text()) == submitted


def test_an_executor_that_swallows_errors_is_asked_what_is_done(small_config, tmp_path, monkeypatch, forking, begins):
    """As that of Ray, which notes errors of tasks where nobody looks."""
    local = executors._class_of("local")

    class Swallowing(local):
        def run(self):
            for rank in range(self.tasks):
                with contextlib.suppress(ArithmeticError):
                    self._run_for_rank(rank)

    def broken(make):
        if len(ranks()) in (2, 3):
            raise ArithmeticError("enough")
        make()

    ranks = begins(broken)
    monkeypatch.setattr(executors, "_class_of", lambda executor: Swallowing)
    with pytest.raises(Failure, match=r"^2 of 4 tasks are not done, by rank 1, 2; their logs are in .*/logs: run"):
        made(small_config, tmp_path / "out", tasks=4, workers=None, executor="ray", executor_options={})
    assert [rank for rank, _ in ranks()] == [0, 1, 2, 3]
