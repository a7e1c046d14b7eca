"""What the information is good for: regression and classification of y, and self-supervised learning, as cells.

Owns their cells, their summaries and what is checked of them. `regression`, `classification`, `ssl` and `probing` hold
the methods.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mmmi_hf.benchmark.downstream.classification import (
    ALONE,
    TOGETHER,
    classification_limits,
    run_classification,
)
from mmmi_hf.benchmark.downstream.probing import METHODS, probe_limits, run_ssl, same_laws
from mmmi_hf.benchmark.downstream.regression import BINS, Task, limits, run_task
from mmmi_hf.benchmark.networks.training import Training
from mmmi_hf.benchmark.protocol.cells import Work, run_cells
from mmmi_hf.benchmark.protocol.data import SPLITS, TARGET, Source
from mmmi_hf.benchmark.protocol.plan import Cell, seed_rows, series_of
from mmmi_hf.benchmark.protocol.summary import digits, failures

Record = dict[str, Any]
TASKS = ("regression", "ssl", "classification", "ssl-classes")
PROBED = ("ssl", "ssl-classes")
"""Tasks of encoders that never see y."""
_FORMATS = {"regression": 5, "ssl": 6, "classification": 1, "ssl-classes": 1}  # of the records of finished cells
_ERRORS = 3.0
_OF_NUMBERS = ("information", "sigma", "floor", "ceiling")
_OF_CLASSES = ("information", "bayes_accuracy", "bayes_log_loss")
_CLASSES = ("classification", "ssl-classes")
_OF_ANOTHER_Y = {"regression": "classification", "ssl": "ssl-classes"}
_OF_ANOTHER_Y |= {other: task for task, other in _OF_ANOTHER_Y.items()}
_SCORES_OF_CLASSES: Mapping[str, tuple[str, str | None]] = {
    "accuracy": ("accuracy", "bayes_accuracy"),
    "log_loss": ("log loss", "bayes_log_loss"),
    "calibration": ("calibration", None),
}
LIMIT_NAMES = {"floor": "floor", "ceiling": "ceiling", "bayes_accuracy": "Bayes", "bayes_log_loss": "least"}
_SCORES_OF_NUMBERS: Mapping[str, tuple[str, str | None]] = {"rmse": ("RMSE", "floor"), "r_squared": ("R²", "ceiling")}
_SHARED = ("shared", "other", "aligned")
HEADINGS = {"shared": "I(x1; x2)", "other": "I(x2; y)", "aligned": "at y"}
_TEXT, _NUMBER, _SPAN = pa.string(), pa.float64(), pa.list_(pa.int64(), 2)


def scores_of(task: str) -> Mapping[str, tuple[str, str | None]]:
    """What is measured of a task: name → heading, and the limit that it is compared with."""
    return _SCORES_OF_CLASSES if task in _CLASSES else _SCORES_OF_NUMBERS


def probe_score(task: str) -> tuple[str, str, str]:
    """What a probe is judged by first: name, heading and limit."""
    return ("accuracy", "accuracy", "bayes_accuracy") if task in _CLASSES else ("r_squared", "R²", "ceiling")


def _limits_of(task: str) -> tuple[str, ...]:
    return _OF_CLASSES if task in _CLASSES else _OF_NUMBERS


def _more_of(task: str) -> tuple[str, ...]:
    """What the records of a task have besides limits and scores."""
    return (*_SHARED, "estimate", "estimate_error") if task in PROBED else ("histogram",) * (task == "regression")


def downstream_table(rows: Sequence[Record]) -> pa.Table:
    """The rows of one task as a table of the same columns and types, whatever failed."""
    kinds = dict.fromkeys(("task", "method", "config", "series", "error"), _TEXT)
    kinds |= {"inputs": pa.list_(_TEXT), "seed": pa.int64(), "null": pa.bool_(), "rows": pa.int64()}
    kinds |= {f"{split}_rows": _SPAN for split in SPLITS} | {"histogram": pa.list_(pa.int64())}
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds.get(name, _NUMBER)) for name in rows[0]]))


def downstream_cells(
    source: Source, configs: Sequence[str], kind: str, *, seeds: int, training: Training, null: bool = True
) -> list[Cell]:
    """The cells of one kind of task.

    regression: y from each of the first two modalities and from all together. ssl: contrastive, non-contrastive and
    masked encoders of all modalities, and their controls: untrained ones, the raw rows, and a network that is told y.
    ssl-classes: the same, of a y that is a class.
    classification: a network of each of the first two modalities, and of all together the ways of `classification`.
    With `null`, the configuration with the most information is done once more with y of other rows.

    Raises:
        ValueError: an unknown kind or configuration, a y that the task is not for, too few rows, or a single modality
            for ssl.
    """
    if kind not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {kind!r}")
    chosen = source.choose(configs)
    names = {config: [entry.name for entry in source.manifest(config).modalities] for config in chosen}
    truths = {config: source.truth(config, names[config][0], TARGET) for config in chosen}
    largest = {series_of(source.manifest(config)): config for config in sorted(chosen, key=lambda c: truths[c])}
    cells = []
    for config in chosen:
        modalities = names[config]
        if kind in PROBED and len(modalities) < 2:
            raise ValueError(f"{config!r} has one modality; self-supervised learning needs two or more")
        _refuse_another_y(source, config, kind)
        (classification_limits if kind in _CLASSES else limits)(
            source, Task(config, tuple(modalities[:1]), 0, seeds, training)
        )
        if kind in PROBED:
            ways: list[tuple[str, list[str]]] = [(method, modalities) for method in METHODS]
        else:
            sets = [[name] for name in modalities[:2]] + ([modalities] if len(modalities) > 1 else [])
            ways = [("regression", inputs) for inputs in sets]
            if kind == "classification":
                ways = [(way, [name]) for name in modalities[:2] for way in ALONE]
                ways += [(way, modalities) for way in TOGETHER if len(modalities) > 1]
        for asked_null in (False, True) if null and config in largest.values() else (False,):
            cells += [
                _cell(source, Task(config, tuple(inputs), seed, seeds, training, asked_null), kind, way)
                for seed in range(seeds)
                for way, inputs in ways
            ]
    return cells


def _refuse_another_y(source: Source, config: str, kind: str) -> None:
    """Raise ValueError where y is a class and the task of numbers, or the other way round."""
    if (source.model(config).classes is None) == (kind in _CLASSES):
        told = "number" if kind in _CLASSES else "class"
        raise ValueError(f"task {kind!r}: y of {config!r} is a {told}; ask for --task {_OF_ANOTHER_Y[kind]}")


def _cell(source: Source, task: Task, kind: str, way: str) -> Cell:
    manifest = source.manifest(task.config)
    settings = {
        "format": _FORMATS[kind],
        "task": kind,
        "method": way,
        "data": source.digest(task.config),
        "rows": seed_rows(manifest, task.config, task.seed, task.seeds),
        **json.loads(json.dumps(dataclasses.asdict(task))),
    }
    return Cell(settings, source.model(task.config).mutual_information(list(task.inputs), TARGET), series_of(manifest))


def run_downstream_cell(source: Source, cell: Cell) -> Record:
    """The result of one cell; where training did not stay finite, the reason beside what is possible."""
    s = cell.settings
    task = Task(s["config"], tuple(s["inputs"]), s["seed"], s["seeds"], Training(**s["training"]), s["null"])
    try:
        if s["task"] in PROBED:
            return run_ssl(source, task, s["method"])
        return run_task(source, task) if s["task"] == "regression" else run_classification(source, task, s["method"])
    except ArithmeticError as error:
        if s["task"] in PROBED:
            known: Record = dict(probe_limits(source, task))
        else:
            known = dict((limits if s["task"] == "regression" else classification_limits)(source, task))
        return {**known, "error": str(error)}


def run_downstream(
    source: Source, cells: Sequence[Cell], out: Path, *, workers: int | None = None, progress: bool = True
) -> list[Record]:
    """Compute the cells that are not there yet; returns the records of all, in order."""
    return run_cells(Work(source, run_downstream_cell), cells, out, workers=workers, progress=progress)


def downstream_rows(records: Sequence[Record]) -> list[Record]:
    """One flat row per cell, without its history; what a failed cell lacks is None."""
    rows = []
    for record in records:
        settings = {name: record["settings"][name] for name in ("task", "method", "config", "inputs", "seed", "null")}
        counts = {f"{split}_rows": rows_of for split, rows_of in record["settings"]["rows"].items()}
        task = settings["task"]
        measured = [each for name in scores_of(task) for each in (name, f"{name}_error")]
        names = (*_limits_of(task), *measured, "rows", *_more_of(task), "error")
        result = {name: record["result"].get(name) for name in names}
        rows.append({**settings, "series": record["series"], **counts, **result})
    return rows


def summarize_downstream(rows: Sequence[Record]) -> list[Record]:
    """One record per series, method, inputs, configuration and null: means over seeds with standard errors.

    The standard error is that of the mean over seeds: from the spread between seeds where there are two or more, and
    never below what the test rows alone make it. Failed cells are counted; without any other the means are None.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for row in rows:
        key = (row["series"], row["task"], row["method"], ",".join(row["inputs"]), row["config"], row["null"])
        groups.setdefault(key, []).append(row)
    summary = []
    for (series, task, method, inputs, config, null), members in groups.items():
        record: Record = {
            "series": series,
            "task": task,
            "method": method,
            "inputs": inputs,
            "config": config,
            "null": null,
        }
        record |= {name: members[0][name] for name in _limits_of(task)}
        known = [member for member in members if member["error"] is None]
        record |= {"seeds": len(known), "failed": len(members) - len(known)}
        if task in PROBED:
            record |= {name: members[0][name] for name in _SHARED}
            record |= _mean_over_seeds([member for member in known if member["estimate"] is not None], "estimate")
        for name in scores_of(task):
            record |= _mean_over_seeds([member for member in known if member[name] is not None], name)
        if task == "regression":
            counts = [member["histogram"] for member in known] or [[0] * (len(BINS) - 1)]
            record["histogram"] = np.sum(counts, axis=0).tolist()
        summary.append(record)
    return summary


def _mean_over_seeds(members: Sequence[Record], name: str) -> Record:
    if not members:
        return {name: None, f"{name}_error": None}
    values = np.array([member[name] for member in members])
    within = np.array([member[f"{name}_error"] for member in members])
    sampling = float(np.sqrt(np.sum(within**2)) / len(members))
    spread = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return {name: float(values.mean()), f"{name}_error": max(sampling, spread)}


def learned(summary: Sequence[Record]) -> list[Record]:
    """The records of which at least one cell has a result."""
    return [row for row in summary if row.get("rmse", row.get("accuracy")) is not None]


def impossible(summary: Sequence[Record]) -> list[str]:
    """Results that beat what is possible by more than they should: an RMSE more than three standard errors below its
    floor, an R² as much above its ceiling; the best predictor that can be had does so once in 740. Empty where all is
    well. Of a null, whose floor anybody reaches, the R² is judged alone."""
    found = []
    for row in learned(summary):
        where = f"{row['config']} {row['method']} {row['inputs']}"
        if "accuracy" in row:
            best, over = row["bayes_accuracy"], row["accuracy"]
            if best is not None and over > best + _ERRORS * row["accuracy_error"]:
                found.append(
                    f"{where}: accuracy {over:.4f} ± {row['accuracy_error']:.4f} is above the Bayes accuracy {best:.4f}"
                )
            if row["log_loss"] < row["bayes_log_loss"] - _ERRORS * row["log_loss_error"]:
                found.append(
                    f"{where}: log loss {row['log_loss']:.4f} ± {row['log_loss_error']:.4f} is below its floor "
                    f"{row['bayes_log_loss']:.4f}"
                )
            continue
        if not row["null"] and row["rmse"] < row["floor"] - _ERRORS * row["rmse_error"]:
            found.append(
                f"{where}: RMSE {row['rmse']:.4f} ± {row['rmse_error']:.4f} is below its floor {row['floor']:.4f}"
            )
        if row["r_squared"] > row["ceiling"] + _ERRORS * row["r_squared_error"]:
            found.append(
                f"{where}: R² {row['r_squared']:.4f} ± {row['r_squared_error']:.4f} is above its ceiling "
                f"{row['ceiling']:.4f}"
            )
    return found


def more_about(source: Source, configs: Sequence[str], task: str) -> Record:
    """What results of a task say of their data beside every row: of encoders that never see y, `same_laws`."""
    return {"same_laws": same_laws(source, source.choose(configs))} if task in PROBED else {}


def downstream_markdown(summary: Sequence[Record]) -> str:
    """The summary of one task as a Markdown table."""
    probed = summary[0]["task"] in PROBED
    shared = [HEADINGS[name] for name in _SHARED] + ["InfoNCE"] if probed else []
    known = ["data", "configuration", "method", "learned from" if probed else "inputs"]
    scores = scores_of(summary[0]["task"])
    headings = [cell for heading, limit in scores.values() for cell in (heading, LIMIT_NAMES.get(limit or ""))]
    measured = [*shared, "I(x1; y)" if probed else "I(inputs; y)", *(heading for heading in headings if heading)]
    lines = [f"| {' | '.join([*known, *measured])} |", "|" + " --- |" * len(known) + " ---: |" * len(measured)]
    for row in summary:
        name = f"{row['config']} (null)" if row["null"] else row["config"]
        numbers = [
            *([*(_number(row[name]) for name in _SHARED), _with_error(row, "estimate")] if probed else []),
            digits(0.0 if row["null"] else row["information"]),
        ]
        for place, (score, (_, limit)) in enumerate(scores.items()):
            numbers.append(_with_error(row, score) + ("" if place else failures(row)))
            numbers += [] if limit is None else [_number(row[limit])]
        lines.append(f"| {' | '.join([row['series'], name, row['method'], input_names(row['inputs']), *numbers])} |")
    return "\n".join(lines) + "\n"


def probed_table(summary: Sequence[Record], *, facts: bool) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of `probe_score` of self-supervised learning: a configuration a row, a method a column.

    Args:
        facts: whether what modalities share stands beside.
    """
    score, heading, limit = probe_score(summary[0]["task"])
    methods = list(dict.fromkeys(row["method"] for row in summary))
    named = _SHARED if facts else ()
    table: dict[str, list[str]] = {}
    for row in summary:
        name = f"{row['config']} (null)" if row["null"] else row["config"]
        shared = [_number(row[each]) for each in named]
        line = table.setdefault(name, [name, *shared, *["–"] * len(methods), _number(row[limit])])
        line[1 + len(named) + methods.index(row["method"])] = _number(row[score]) + failures(row)
    return [heading, *(HEADINGS[each] for each in named), *methods, LIMIT_NAMES[limit]], list(table.values())


def largest_error(summary: Sequence[Record]) -> float:
    """The largest standard error of what `probed_table` shows."""
    score = probe_score(summary[0]["task"])[0]
    return max((row[f"{score}_error"] for row in learned(summary)), default=0.0)


def input_names(inputs: str) -> str:
    """For people: names, or of more than three their number."""
    return inputs.replace(",", ", ") if inputs.count(",") < 3 else f"{inputs.count(',') + 1} modalities"


def _with_error(row: Record, name: str) -> str:
    return "–" if row[name] is None else f"{digits(row[name])}\u00a0±\u00a0{digits(row[f'{name}_error'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else digits(value)
