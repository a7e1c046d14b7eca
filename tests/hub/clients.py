"""Real clients in processes of their own: huggingface_hub and datasets read their environment when they are imported.

Owns the environment of a client, and the nursery: a process that has imported the libraries and forks a client for
every program that it is given, so that a client (which may be killed) costs milliseconds.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT


def environment(hub, home, *, token=None, offline=False, ours=True, **extra):
    """The variables of a client of `hub` whose caches and settings lie in `home`; `ours`: mmmi_hf can be imported."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING_FACE", "PYTHON"))}
    return {
        **kept,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1" if offline else "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        **({"PYTHONPATH": str(ROOT)} if ours else {}),
        **({"HF_TOKEN": token} if token else {}),
        **extra,
    }


@dataclass
class Outcome:
    """How a client ended: its exit code (negative: the signal), what it printed, and the JSON it printed last."""

    code: int
    out: str
    err: str

    @property
    def value(self):
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return json.loads(self.out.splitlines()[-1])


class Nursery:
    """Forks clients. Programs see `args`, what they were given, `print_json`, and what was imported for them."""

    def __init__(self, env, folder, *, imports="from mmmi_hf.hub import load, publish; load, publish"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NURSERY, imports],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._count = 0

    def start(self, program, *args):
        """Fork a client for a program; returns its process id."""
        self._count += 1
        base = self.folder / f"client-{self._count}"
        given = {"program": textwrap.dedent(program), "args": [str(arg) for arg in args], "base": str(base)}
        pid = self._ask({"start": given})
        self._bases = getattr(self, "_bases", {}) | {pid: base}
        return pid

    def wait(self, pid):
        """The outcome of a client, when it has ended."""
        code = self._ask({"wait": pid})
        base = self._bases[pid]
        return Outcome(code, *(base.with_suffix(suffix).read_text() for suffix in (".out", ".err")))

    def run(self, program, *args):
        return self.wait(self.start(program, *args))

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=20)

    def _ask(self, request):
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery has ended"
        return json.loads(answer)


def run_alone(program, *args, env, timeout=300):
    """The outcome of a program in a fresh process, for what does not bear a fork (torch)."""
    header = "import json, sys\nargs = sys.argv[1:]\nprint_json = lambda value: print(json.dumps(value, default=str))\n"
    command = [sys.executable, "-c", header + textwrap.dedent(program), *map(str, args)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def kill(pid):
    """SIGKILL for a client that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


_NURSERY = """
import json, os, sys, traceback
names = {}
exec(sys.argv[1], names)
show = lambda value: print(json.dumps(value, default=str))
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        _, status = os.waitpid(request["wait"], 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
        continue
    given = request["start"]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for number, suffix in ((1, ".out"), (2, ".err")):
                os.dup2(os.open(given["base"] + suffix, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            exec(given["program"], dict(names, args=given["args"], print_json=show))
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(); sys.stderr.flush()
            os._exit(code)
    print(json.dumps(pid), flush=True)
"""
