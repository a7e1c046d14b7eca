"""A page in a process of its own, as `mmmi-hf explore` serves it: without network, its temporary folder its own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

READY = re.compile(r"The explorer is at (\S+?)/?;")
REFUSED = "gradio.exceptions.InvalidPathError"  # Gradio refuses a file that was not uploaded, and writes it down
COMMAND = ("-m", "mmmi_hf", "explore")
PUBLIC = ("-c", "import sys; from mmmi_hf.explorer import launch; launch(public=True, datasets=sys.argv[2:], "
          "port=int(sys.argv[1]), ready=lambda url: print(f'The explorer is at {url};', flush=True))")  # fmt: skip


@dataclass
class Served:
    """A page: its address, its process, the folder for its temporary files, and how long it took to start."""

    url: str
    process: subprocess.Popen
    folder: Path
    seconds: float
    cpu_seconds: float

    def temporary_files(self):
        """What lies in its temporary folder, downloads apart."""
        kept = {"hub", "datasets", "modules", "xet"}
        found = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return [path for path in found if not kept & set(path.parts)]

    def asked(self):
        """Addresses of other machines that it turned to."""
        log = self.folder.with_suffix(".asked")
        return log.read_text().split("\n") if log.is_file() else []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(process):
    """Of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(folder, command, environment, *more):
    """The page of a command; ended as a system ends programs, after which nothing may be left of it."""
    folder.mkdir()
    port = str(free_port())
    arguments = [*command, "--port", port] if command is COMMAND else [*command, port, *more]
    offline = Path(__file__).parent / "offline"
    env = environment | {
        "TMPDIR": str(folder),
        "PYTHONPATH": f"{offline}:{ROOT}",
        "MMMI_HF_TEST_ASKED": str(folder.with_suffix(".asked")),
        "PYTHONUNBUFFERED": "1",
    }
    began = time.monotonic()
    log = folder.with_suffix(".log").open("w+")
    process = subprocess.Popen([sys.executable, *arguments], env=env, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        while (ready := READY.search(Path(log.name).read_text())) is None:
            assert process.poll() is None, Path(log.name).read_text()
            assert time.monotonic() - began < 120, "it does not start"
            time.sleep(0.02)
        served = Served(ready[1], process, folder, time.monotonic() - began, cpu_seconds(process))
        yield served
        assert process.poll() is None, Path(log.name).read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        faults = Path(log.name).read_text().split("Traceback")[1:]
        assert [one for one in faults if REFUSED not in one] == []
        left = sorted(map(str, folder.rglob("*")))
        assert left == [], left
        assert served.asked() == [], served.asked()
    finally:
        process.kill()
        process.wait()
        log.close()
