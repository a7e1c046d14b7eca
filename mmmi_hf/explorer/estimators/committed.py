"""The results that come with the package: `committed.json`, which `make cards` writes from `model_cards/benchmark`.

Owns that file: what of a cell it keeps, its writer and its reader. Numbers have six digits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

Row = dict[str, Any]
COLUMNS = ("config", "series", "a", "b", "estimator", "seed", "n", "null", "truth", "value", "low", "high", "error")
FILE = "committed.json"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: what it is called and what was read off it; its cells, their summary as `mmmi-hf benchmark` writes
    it, and the mean seconds of a cell by estimator."""

    name: str
    remarks: str
    rows: tuple[Row, ...]
    summary: tuple[Row, ...]
    seconds: dict[str, float]


@cache
def committed() -> dict[str, Benchmark]:
    """The benchmarks by name."""
    found = json.loads((files("mmmi_hf.explorer.estimators") / FILE).read_text())
    return {
        each["name"]: Benchmark(
            each["name"],
            each["remarks"],
            tuple(dict(zip(COLUMNS, row, strict=True)) for row in each["rows"]),
            tuple(each["summary"]),
            each["seconds"],
        )
        for each in found
    }


def render(folder: Path) -> str:
    """The text of `committed.json`: the benchmarks in a folder, a cell a line."""
    parts = []
    for path in sorted(folder.glob("*/results.json")):
        here = path.parent
        remarks, seconds = here / "remarks.md", json.loads((here / "seconds.json").read_text())
        rows = [[_short(row[name]) for name in COLUMNS] for row in json.loads(path.read_text())]
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        head = {
            "name": here.name.partition("-")[2].replace("-", " "),
            "remarks": remarks.read_text() if remarks.is_file() else "",
            "seconds": {name: each["mean"] for name, each in seconds.items()},
            "summary": _short(json.loads((here / "summary.json").read_text())),
        }
        parts.append(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "rows": [\n{lines}\n]}}')
    return "[\n{}\n]\n".format(",\n".join(parts))


def _short(value: Any) -> Any:
    """The same with six digits."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
