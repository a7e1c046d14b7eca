"""Runs a bridge in another environment: `python -I runner.py BRIDGE.py FOLDER`.

Owns how arrays and the request are read from FOLDER and the answer is written. Imports NumPy only: the package is not
installed where this runs.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np


def main(bridge: str, folder: str) -> None:
    """Ask the bridge, and write answer.json."""
    place = Path(folder)
    spec = importlib.util.spec_from_file_location("bridge", bridge)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parts = {
        split: tuple(np.load(place / f"{split}-{block}.npy", allow_pickle=False) for block in "ab")
        for split in ("train", "validation", "test")
    }
    answer = module.estimate(parts, json.loads((place / "request.json").read_text(encoding="utf-8")))
    (place / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
