"""Runs by an engine on this machine, as tests ask for them, and what there is left of their processes."""

import os
import time
import uuid
from contextlib import suppress
from pathlib import Path

from mmmi_hf.dataset.engine import generate_by_engine

FORKED = {"start_method": "fork"}
"""Workers that need not import everything again, and see what a test has changed."""


def made(config, out, **options):
    given = {"tasks": 3, "workers": 2, "executor_options": FORKED, "figures": False, "progress": False}
    return generate_by_engine(config, out, **(given | options))


def lives(pid):
    """Whether a process is there that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def comes(what, seconds=30):
    """Wait for something that becomes true, and give it; what it is then, at last."""
    limit = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < limit:
        time.sleep(0.02)
    return found


class Marked:
    """A mark in the environment of a process, by which all that it starts are known.

    Attributes:
        environment: the variables, without that of the threads.
    """

    def __init__(self):
        self._mark = f"ENGINE_TEST={uuid.uuid4().hex}"
        self.environment = os.environ | dict([self._mark.split("=")])

    def there(self):
        """The numbers of its processes that are there, with their command lines."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if self._mark.encode() in (path / "environ").read_bytes().split(b"\0") and lives(path.name):
                    found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def clear(self):
        for pid in self.there():
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
