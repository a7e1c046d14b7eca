"""Makes the results of a run the committed ones of its tier: `python -m mmmi_hf.benchmark.tiers.adopt lite FOLDER`.

Owns which columns are kept. What a cell cost goes into `costs.json`.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

from mmmi_hf.benchmark.estimator import REVISION
from mmmi_hf.benchmark.tiers.results import NEEDED
from mmmi_hf.benchmark.tiers.tier import costs, folder_of, read_tier
from mmmi_hf.common.files import write_json

COLUMNS = ("group", *NEEDED, "low", "high", "error", REVISION, "versions")
"""Rows without a `code_revision` are of the first."""


def adopt(name: str, run: Path) -> list[Path]:
    """Write reference.csv and costs.json of a tier from a run's folder; returns their paths.

    Raises:
        ValueError: an unknown tier, or a folder that lacks a group or an estimator of it.
    """
    tier = read_tier(name)
    found = []
    seconds = costs(tier)
    for group in tier.groups:
        place = run / group.name
        if not (place / "results.parquet").is_file():
            raise ValueError(f"{place} has no results.parquet; run mmmi-hf benchmark --tier {name} --out {run} first")
        rows = pq.read_table(place / "results.parquet").to_pylist()
        absent = [estimator for estimator in group.estimators if estimator not in {row["estimator"] for row in rows}]
        if absent:
            raise ValueError(f"{place} has no results of {absent[0]!r}; run the whole tier, without --estimators")
        for row in rows:
            more = {"group": group.name, REVISION: json.loads(row["settings"]).get(REVISION, 1)}
            found.append({column: ({**row, **more})[column] for column in COLUMNS})
        of_cells = json.loads((place / "seconds.json").read_text(encoding="utf-8"))
        seconds[group.name] = {estimator: entry["mean"] for estimator, entry in of_cells.items()}
    reference, cost = folder_of(tier) / "reference.csv", folder_of(tier) / "costs.json"
    with reference.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
    write_json(cost, seconds)
    return [reference, cost]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m mmmi_hf.benchmark.tiers.adopt TIER FOLDER")
    print("\n".join(map(str, adopt(sys.argv[1], Path(sys.argv[2])))))
