"""The first lines that a benchmark prints: on what it runs, and the command."""

from __future__ import annotations

import platform
import shlex
import sys
from pathlib import Path

import torch


def print_heading() -> str:
    """Print both; the kind of the accelerator, or CPU."""
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    script, *arguments = sys.argv
    print(f"# {platform.machine()}, {kind}, torch {torch.__version__}")
    print(f"$ {shlex.join(['python', '-m', f'tests.performance.{Path(script).stem}', *arguments])}")
    return kind
