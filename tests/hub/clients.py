"""Real clients in subprocesses: huggingface_hub and datasets read their environment when they are imported.

Owns the environment of a client and the running of a program in it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(hub, home, *, token=None, offline=False, **extra):
    """The variables of a client of `hub` whose caches and settings lie in `home`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING_FACE"))}
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
        "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
        **({"HF_TOKEN": token} if token else {}),
        **extra,
    }


def start(program, *arguments, env):
    """Start a Python program (its text) with arguments; its output is captured."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(program, *arguments, env, timeout=240):
    """Run a Python program to its end; returns the JSON that it prints last."""
    process = start(program, *arguments, env=env)
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err}"
    return json.loads(out.splitlines()[-1]) if out.strip() else None
