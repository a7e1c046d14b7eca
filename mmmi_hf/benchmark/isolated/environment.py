"""Environments of isolated packages: where they are, and how a bridge is asked there.

Owns both. Arrays go as .npy files without pickle, request and answer as JSON; the child process has one thread and none
of this process's Python settings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmmi_hf.benchmark.estimator import MissingPackageError
from mmmi_hf.benchmark.pairs import Pairs

PLACE = "MMMI_HF_ENVIRONMENTS"
"""The variable that names the folder of the environments."""
_HERE = Path(__file__).parent
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Environment:
    """The environment of one package.

    name: of its folder. install: what pip is given there. bridge: the module of `bridges/`, or the path of a file.
    """

    name: str
    install: str
    bridge: str

    @property
    def folder(self) -> Path:
        """Where it is, or would be."""
        given = os.environ.get(PLACE)
        return (Path(given) if given else Path.home() / ".cache" / "mmmi_hf" / "environments") / self.name

    def interpreter(self) -> Path:
        """Its Python. Raises MissingPackageError if there is none, with the commands that make it."""
        python = self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        if not python.is_file():
            raise MissingPackageError(
                f"the estimator {self.name!r} runs in an environment of its own, and {self.folder} is none; make it: "
                f"python3 -m venv {self.folder} && {self.folder}/bin/pip install {self.install} (another place: "
                f"{PLACE}=FOLDER)"
            )
        return python

    def ask(self, parts: Mapping[str, Pairs], request: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
        """What the bridge answers about rows: a mapping.

        Raises:
            MissingPackageError: no environment.
            ArithmeticError: it failed, gave no answer, or took more than `timeout` seconds; the last line that it
                printed is repeated.
        """
        python = self.interpreter()
        bridge = Path(self.bridge) if self.bridge.endswith(".py") else _HERE / "bridges" / f"{self.bridge}.py"
        with tempfile.TemporaryDirectory(prefix="mmmi-hf-") as place:
            folder = Path(place)
            for split, pairs in parts.items():
                for block, rows in (("a", pairs.a), ("b", pairs.b)):
                    flat = np.asarray(rows, dtype=np.float64).reshape(len(rows), -1)
                    np.save(folder / f"{split}-{block}.npy", flat, allow_pickle=False)
            (folder / "request.json").write_text(json.dumps(dict(request)), encoding="utf-8")
            command = [str(python), "-I", str(_HERE / "runner.py"), str(bridge), place]
            try:
                done = subprocess.run(
                    command,
                    env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                    capture_output=True,
                    text=True,
                    timeout=timeout,
                    check=False,
                    cwd=place,
                )
            except subprocess.TimeoutExpired:
                raise ArithmeticError(f"{self.name!r} took more than {timeout:g} s") from None
            try:
                answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it printed nothing")
                raise ArithmeticError(f"{self.name!r} gave no answer (exit {done.returncode}): {last[:200]}") from None
        if not isinstance(answer, dict):
            raise ArithmeticError(f"{self.name!r} answered {str(answer)[:60]!r}, expected a mapping")
        return answer
