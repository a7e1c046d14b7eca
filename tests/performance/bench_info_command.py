"""Prints how long `mmmi-hf info` takes as a subprocess, and which heavy libraries it loads. Asserts nothing.

Run: python -m tests.performance.bench_info_command
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

ARGUMENTS = ["info", "common-cause-1.0", "--format", "json"]
HEAVY = ("torch", "accelerate", "diffusers")
PROBE = f"""
import contextlib, io, json, sys
from mmmi_hf.cli import main
sys.argv = ["mmmi-hf", *{ARGUMENTS!r}]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))
"""


def command() -> list[str]:
    """The console script beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("mmmi-hf")
    found = str(beside) if beside.exists() else shutil.which("mmmi-hf")
    if found is None:
        raise FileNotFoundError("no console script mmmi-hf: install the project first (pip install -e .)")
    return [found, *ARGUMENTS]


def seconds() -> float:
    """Wall time of one run of the command."""
    begin = time.perf_counter()
    subprocess.run(command(), check=True, capture_output=True)
    return time.perf_counter() - begin


def loaded() -> list[str]:
    """Heavy libraries in sys.modules after the command ran in a fresh interpreter."""
    found = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    return list(json.loads(found.stdout.splitlines()[-1]))


def main() -> None:
    """Print the median of five warm runs, and the libraries."""
    seconds()
    runs = sorted(seconds() for _ in range(5))
    listed = ", ".join(f"{run:.2f}" for run in runs)
    print(f"mmmi-hf {' '.join(ARGUMENTS)}: median {runs[2]:.2f} s of five warm runs ({listed}; goal 1.5 s)")
    print(f"heavy libraries in sys.modules ({', '.join(HEAVY)} looked for): {', '.join(loaded()) or 'none'}")


if __name__ == "__main__":
    main()
