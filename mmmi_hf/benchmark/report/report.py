"""What a benchmark leaves in its folder.

Owns the files beside the cells:

    benchmark.json      the command, the settings, the versions, notes on the data; of ssl which of them are one law
    results.parquet, results.csv, results.json   one row per cell, with the versions of the software
    summary.json, table.md          one row per estimator, pair and kind of data
    plots/*.png
    eval_results/*.yaml             drafts of `.eval_results` entries, one file per estimator
    seconds.json        how long cells took, by estimator
    regression/, ssl/, classification/   the same of the downstream tasks

All but `seconds.json` depend on the cells' results alone, so that a killed and continued run ends with the same bytes.
Pictures and drafts of an earlier command do not stay.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from mmmi_hf.benchmark.downstream.plots import write_downstream_plots
from mmmi_hf.benchmark.downstream.tasks import (
    downstream_markdown,
    downstream_rows,
    downstream_table,
    impossible,
    more_about,
    summarize_downstream,
)
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Plan
from mmmi_hf.benchmark.protocol.summary import markdown, results_table, summarize
from mmmi_hf.benchmark.report.plots import bias_figure, curves_figure, truth_figure
from mmmi_hf.common.files import slug, write_json, write_text
from mmmi_hf.common.yaml_files import dump
from mmmi_hf.figures.style import save

Record = dict[str, Any]


def write_report(plan: Plan, records: Sequence[Record], out: Path, *, command: str, plots: bool = True) -> list[Record]:
    """Write all files; returns the summary."""
    table = results_table(records)
    rows = table.to_pylist()
    summary = summarize(rows)
    pq.write_table(table, out / "results.parquet")
    write_rows(out / "results.json", rows)
    write_text(out / "results.csv", as_csv(rows))
    write_json(out / "summary.json", summary)
    write_json(out / "benchmark.json", describe(plan, records, command))
    write_json(out / "seconds.json", _seconds(records))
    write_text(out / "table.md", markdown(summary))
    _write_drafts(plan, summary, _emptied(out / "eval_results", "*.yaml"))
    pictures = _emptied(out / "plots", "*.png")
    if plots:
        write_plots(rows, summary, pictures)
    return summary


def write_downstream_report(
    plan: Plan,
    task: str,
    records: Sequence[Record],
    out: Path,
    *,
    command: str,
    plots: bool,
) -> list[Record]:
    """The files of one downstream task of the plan's data, in OUT/TASK; returns the summary."""
    folder = out / task
    folder.mkdir(parents=True, exist_ok=True)
    rows = downstream_rows(records)
    summary = summarize_downstream(rows)
    pq.write_table(downstream_table(rows), folder / "results.parquet")
    write_rows(folder / "results.json", rows)
    write_text(folder / "results.csv", as_csv(rows))
    write_json(folder / "summary.json", summary)
    more = {"training": records[0]["settings"]["training"], "seeds": records[0]["settings"]["seeds"]}
    about = {**_about(plan.source, plan.configs, records, command), "notes": plan.notes()}
    about |= more_about(plan.source, plan.configs, task)
    write_json(folder / "benchmark.json", {**about, **more, "impossible": impossible(summary)})
    write_json(folder / "seconds.json", _seconds(records))
    write_text(folder / "table.md", downstream_markdown(summary))
    pictures = _emptied(folder / "plots", "*.png")
    if plots:
        write_downstream_plots(summary, pictures)
    return summary


def _emptied(folder: Path, pattern: str) -> Path:
    """The folder, without the files of an earlier command."""
    for path in folder.glob(pattern):
        path.unlink()
    return folder


def _about(source: Source, configs: Sequence[str], records: Sequence[Record], command: str) -> Record:
    """The data, the command and the software that computed the cells."""
    manifests = {name: source.manifest(name) for name in source.choose(configs)}
    return {
        "command": command,
        "dataset": Path(source.place).name if source.revision is None else source.place,
        "revision": source.revision,
        "configurations": {
            name: {
                "manifest": source.digest(name),
                **manifest.model_dump(include={"version", "rows", "seed", "standardize"}),
                "modalities": [
                    entry.model_dump(mode="json", include={"name", "shape", "pipeline"})
                    for entry in manifest.modalities
                ],
            }
            for name, manifest in manifests.items()
        },
        "versions": versions_of([record["versions"] for record in records]),
    }


def versions_of(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Package → version; several, where cells were computed by several, with "or" between them."""
    known: dict[str, dict[str, None]] = {}
    for versions in found:
        for name, version in versions.items():
            known.setdefault(name, {}).setdefault(version)
    return {name: " or ".join(sorted(versions)) for name, versions in known.items()}


def describe(plan: Plan, records: Sequence[Record], command: str) -> Record:
    """What a reader needs to make the results again."""
    return {
        **_about(plan.source, plan.configs, records, command),
        "pairs": [":".join(pair) for pair in plan.pairs],
        "estimators": plan.estimators,
        "seeds": plan.seeds,
        "train_rows": list(plan.train_rows),
        "shares": None if plan.shares is None else list(plan.shares),
        "forms": list(plan.forms),
        "null": plan.null,
        "confidence": plan.confidence,
        "notes": plan.notes(),
    }


def write_plots(rows: Sequence[Record], summary: Sequence[Record], folder: Path) -> list[Path]:
    """All pictures of a results table; returns where they are.

    With several numbers of training rows: learning curves, and estimates against truth at the largest, where there is
    more than one level.
    """
    written: list[Path] = []
    for series, pair in dict.fromkeys((row["series"], f"{row['a']}:{row['b']}") for row in rows):
        name, what = f"{slug(series)}-{pair.replace(':', '-')}", f"I({pair.replace(':', '; ')}), {series}"
        of_pair = [entry for entry in summary if (entry["series"], entry["pair"]) == (series, pair)]
        mine = [row for row in rows if (row["series"], f"{row['a']}:{row['b']}") == (series, pair)]
        sizes = sorted({entry["n"] for entry in of_pair})
        if len(sizes) > 1:
            written += save(curves_figure(of_pair, f"{what}: learning curves"), folder / f"curves-{name}")
            if len({row["config"] for row in mine}) == 1:
                continue
        title = f"{what}, {sizes[-1]:,} training rows"
        written += save(truth_figure([row for row in mine if row["n"] == sizes[-1]], title), folder / f"truth-{name}")
        chosen = [entry for entry in of_pair if entry["n"] == sizes[-1] and entry["cells"]]
        if chosen:
            written += save(bias_figure(chosen, title), folder / f"bias-{name}")
    return written


def _write_drafts(plan: Plan, summary: Sequence[Record], folder: Path) -> None:
    """Drafts of `.eval_results` entries: to be put into an estimator's own model repository by its owner."""
    folder.mkdir(exist_ok=True)
    seen = {name: not settings.get("training", {}).get("split", True) for name, settings in plan.estimators.items()}
    for name in dict.fromkeys(entry["estimator"] for entry in summary if entry["rmse"] is not None):
        entries = [
            EvalResultEntry(
                dataset_id=plan.source.place if plan.source.revision else "OWNER/DATASET",
                task_id=f"{entry['pair'].replace(':', '_')}_{slug(entry['series'])}_n{entry['n']}_rmse",
                value=round(entry["rmse"]["value"], 6),
                dataset_revision=plan.source.revision,
                notes=f"RMSE in nats over {entry['cells']} cells, lower is better; "
                + ("the training rows themselves" if seen[name] else "held-out rows"),
            )
            for entry in summary
            if entry["estimator"] == name and entry["rmse"] is not None
        ]
        text = "# Draft, not registered anywhere.\n" + dump(eval_result_entries_to_yaml(entries))
        write_text(folder / f"{slug(name)}.yaml", text)


def _seconds(records: Sequence[Record]) -> Mapping[str, Record]:
    found: dict[str, list[float]] = {}
    for record in records:
        settings = record["settings"]
        name = settings["estimator"]["estimator"] if "estimator" in settings else settings["method"]
        found.setdefault(name, []).append(record["seconds"])
    return {
        name: {"cells": len(values), "mean": round(float(np.mean(values)), 3), "total": round(float(np.sum(values)), 1)}
        for name, values in found.items()
    }


def as_csv(rows: Sequence[Record]) -> str:
    """Rows as CSV; a span of rows is "0:100", what is missing is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(rows[0]) if rows else []
    writer.writerow(names)
    for row in rows:
        cells = [row[name] for name in names]
        writer.writerow([":".join(map(str, cell)) if isinstance(cell, list) else cell for cell in cells])
    return text.getvalue()


def write_rows(path: Path, rows: Sequence[Record]) -> None:
    """A JSON list, a row a line."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    write_text(path, f"[\n{lines}\n]\n")
