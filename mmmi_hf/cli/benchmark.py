"""`benchmark`: estimators of mutual information on data whose mutual information is known."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmmi_hf.cli.application import AsFormat, Format, Quiet, app, print_table, print_text, quieten_libraries, whole
from mmmi_hf.cli.tiers.run import TierRun
from mmmi_hf.common.places import folder_to_write

if TYPE_CHECKING:
    from mmmi_hf.benchmark.protocol.plan import Cell, Plan

_PAPER = "dv,js,infonce,mine,nwj,smile-1,smile-5,smile-inf"
_DEFAULT = "paper,cca,oracle-ksg,oracle-dv"
_BESIDE_A_TIER = (
    "data", "tier", "results", "out", "estimators", "workers", "plugin", "revision", "plots", "dry_run", "quiet"
)  # fmt: skip
_OF_ESTIMATORS = ("estimators", "settings", "pairs", "train_rows", "split", "forms", "critic", "plugin")


@app.command()
def benchmark(
    context: typer.Context,
    data: Annotated[str | None, typer.Argument(help="Dataset folder or Hub id.", metavar="DIR_OR_REPO")] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            help="A benchmark of fixed size: lite (10 minutes), realism, isolated, levels, paper, full. Makes its data "
            "in OUT/data, unless DIR_OR_REPO has them."
        ),
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="With --tier: a CSV of results of one's own, to stand in the table; may be repeated."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results; give the same one to continue a killed run.")
    ] = None,
    configs: Annotated[str, typer.Option(help="Configurations, names or patterns, with commas.")] = "*",
    estimators: Annotated[
        str, typer.Option(help=f'Names with commas; "paper" is {_PAPER}; "all" is every one that is installed.')
    ] = _DEFAULT,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A setting of an estimator, e.g. ksg.neighbours=5; may be repeated. See --list."),
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Print the estimators with their settings, and compute nothing.")
    ] = False,
    task: Annotated[
        str,
        typer.Option(
            help="estimators, regression or classification (of y), ssl (encoders that never see y) or ssl-classes (the "
            "same, where y is a class), with commas."
        ),
    ] = "estimators",
    pairs: Annotated[str, typer.Option(help="Pairs of blocks, e.g. x1:y,x1:x2.")] = "x1:y",
    seeds: Annotated[
        int,
        typer.Option(help="Independent datasets per configuration: disjoint blocks of its rows."),
    ] = 2,
    train_rows: Annotated[
        str | None, typer.Option(help="Training rows, several with commas for learning curves; default: all.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Cut all rows anew, in per cent of train, validation, test: 50/10/40. Default: as stored."),
    ] = None,
    forms: Annotated[
        str, typer.Option(help="What stands for modalities, with commas: float, latents, views (8-bit pictures).")
    ] = "float",
    null: Annotated[
        bool, typer.Option("--null/--no-null", help="Also estimate deranged pairs, whose truth is 0.")
    ] = True,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's original recipe: no early stopping, values of training rows.")
    ] = False,
    critic: Annotated[str | None, typer.Option(help="separable or joint.")] = None,
    encoder: Annotated[str | None, typer.Option(help="auto (convolutions for images and sounds), mlp or conv.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps, at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows per training step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of AdamW.")] = None,
    width: Annotated[int | None, typer.Option(help="Of hidden layers.")] = None,
    layers: Annotated[int | None, typer.Option(help="Hidden layers of perceptrons.")] = None,
    embedding: Annotated[
        int | None,
        typer.Option(
            help="Numbers per row that encoders end in, by default 32: of ssl and ssl-classes, regression, contrastive "
            "classification, separable critics, joint ones of images and long lines, and denoisers (minde, fmmi)."
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Looks at the validation rows without progress before training stops."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Cells side by side; default: one per processor."),
    ] = None,
    plugin: Annotated[
        list[str] | None, typer.Option(help="Module or .py file that registers estimators; may be repeated.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Of a Hub repository.")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw the plots.")] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many cells there are, and compute nothing.")
    ] = False,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Measure estimators of mutual information. They are compared with the truth; a killed run continues.

    A cell (configuration, pair, estimator, seed, number of training rows) learns from training rows, stops or chooses
    by validation rows, and states the value of test rows. A null of deranged pairs, whose truth is 0, goes with them.
    Seeds use disjoint rows. Finished cells are kept, failed ones are tried again.

    `latentmi`, `mist`, `torch-mist` and `diffusion-mi` run in environments of their own, in the folder that
    MMMI_HF_ENVIRONMENTS names: their pins contradict ours. Where one is absent, the error says how to make it.
    """
    quieten_libraries(True)
    from mmmi_hf.benchmark.downstream.tasks import downstream_cells
    from mmmi_hf.benchmark.networks.training import Training
    from mmmi_hf.benchmark.protocol.cells import load_plugins
    from mmmi_hf.benchmark.protocol.data import Source
    from mmmi_hf.benchmark.protocol.plan import Plan, read_pairs
    from mmmi_hf.benchmark.registry import broken_plugins, list_estimators
    from mmmi_hf.benchmark.tiers.tier import read_split

    known = list_estimators()
    load_plugins(plugin or [])
    _note(*broken_plugins())
    if listed:
        _print_list(form)
        return
    asked = _asked(context)
    if "estimators" not in asked:
        idle = [name for name in list_estimators() if name not in known]
        _note(*(f"{name!r} of the plugin is not asked for; name it in --estimators" for name in idle))
    given = {
        "critic": critic,
        "encoder": encoder,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "width": width,
        "layers": layers,
        "embedding": embedding,
        "patience": patience,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    out = _asked_of_a_tier(tier, data, out, results)
    if tier is not None:
        _refuse_beside_a_tier(asked)
        named = _named_estimators(estimators) if "estimators" in asked else None
        run = TierRun(tier, out, data, revision, named, tuple(plugin or ()), tuple(results or ()))
        run.run(workers=workers, plots=plots, dry_run=dry_run, quiet=quiet)
        return
    assert data is not None
    training = Training.paper(**changes) if paper else Training(**changes)
    names = _some(configs, "configs")
    source, tasks = Source.open(data, revision), _tasks(task)
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if paper and tasks != ["estimators"]:
        raise ValueError("--paper is a recipe of estimators; leave it out or ask for --task estimators alone")
    _refuse_unused(tasks, asked)
    plan = Plan(
        source,
        names,
        read_pairs(pairs),
        _estimators(estimators, training, settings or []) if "estimators" in tasks else {},
        seeds=seeds,
        train_rows=[] if train_rows is None else [_count(word) for word in _some(train_rows, "train-rows")],
        null=null,
        plugins=tuple(plugin or ()),
        shares=None if split is None else read_split(split),
        forms=_some(forms, "forms"),
    )
    cells = {
        kind: plan.cells()
        if kind == "estimators"
        else downstream_cells(source, names, kind, seeds=seeds, training=training, null=null)
        for kind in tasks
    }
    if dry_run:
        typer.echo("\n".join(f"{kind}: {len(planned)} cells" for kind, planned in cells.items()))
        return
    _note(*plan.notes())
    shown = _computed(plan, cells, out, workers=workers, plots=plots, quiet=quiet)
    if form is Format.json:
        typer.echo(json.dumps(shown, indent=2))
        return
    for kind in tasks:
        (_print_estimators if kind == "estimators" else _print_downstream)(shown[kind])
    with_settings = f"With {', '.join(settings)}. " if settings else ""
    print_text(f"{with_settings}In nats, natural logarithms. Everything, with intervals and plots: {out}")


def _computed(
    plan: Plan, cells: dict[str, list[Cell]], out: Path, *, workers: int | None, plots: bool, quiet: bool
) -> dict[str, Any]:
    """The summaries of all kinds of task, whose files are written."""
    from mmmi_hf.benchmark.downstream.tasks import impossible, run_downstream
    from mmmi_hf.benchmark.protocol.cells import run_plan
    from mmmi_hf.benchmark.report.report import write_downstream_report, write_report

    command, source = shlex.join(["mmmi-hf", *sys.argv[1:]]), plan.source
    shown: dict[str, Any] = {"out": str(out)}
    for kind, asked in cells.items():
        if kind == "estimators":
            records = run_plan(plan, out, workers=workers, progress=not quiet)
            shown[kind] = write_report(plan, records, out, command=command, plots=plots)
        else:
            records = run_downstream(source, asked, out, workers=workers, progress=not quiet)
            shown[kind] = write_downstream_report(plan, kind, records, out, command=command, plots=plots)
            _note(*impossible(shown[kind]))
        _say_what_failed(records, out if kind == "estimators" else out / kind)
    return shown


def _asked_of_a_tier(tier: str | None, data: str | None, out: Path | None, results: list[Path] | None) -> Path:
    """The folder of the results; refuses what does not go together with a tier, or without one."""
    if out is None or (data is None and tier is None):
        what = "--out" if tier is not None else "DIR_OR_REPO, a dataset folder or Hub id, and --out"
        raise ValueError(f"give {what}, a folder for the results")
    if results and tier is None:
        raise ValueError("--results stand beside those of a tier; give --tier too")
    return folder_to_write(out)


def _asked(context: typer.Context) -> dict[str, str]:
    """What the user wrote, defaults too: the name of a parameter → its option."""
    written = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name) if parameter.name else None
        if source is not None and source.name != "DEFAULT":
            written[str(parameter.name)] = parameter.opts[0]
    return written


def _note(*lines: str) -> None:
    for line in lines:
        print(f"mmmi-hf: note: {line}", file=sys.stderr)


def _refuse_beside_a_tier(asked: dict[str, str]) -> None:
    fixed = [option for name, option in asked.items() if name not in _BESIDE_A_TIER]
    if fixed:
        raise ValueError(f"{fixed[0]} is fixed by the tier; leave it out, or give DIR_OR_REPO without --tier")


def _refuse_unused(tasks: list[str], asked: dict[str, str]) -> None:
    unused = [asked[name] for name in _OF_ESTIMATORS if name in asked]
    if "estimators" not in tasks and unused:
        raise ValueError(f"{unused[0]} is of estimators; leave it out or ask for --task estimators too")


def _say_what_failed(records: Sequence[dict[str, Any]], where: Path) -> None:
    from mmmi_hf.benchmark.protocol.plan import Cell

    failed = [record for record in records if "error" in record["result"]]
    for record in failed[:3]:
        label = Cell(record["settings"], record["truth"], record["series"]).label
        _note(f"{label}: no value: {record['result']['error']}")
    if len(failed) > 3:
        _note(f"without a value: {len(failed)} cells in all; {where / 'results.json'} has the reasons")


def _print_estimators(summary: list[dict[str, Any]]) -> None:
    from mmmi_hf.benchmark.protocol.summary import failures

    print_table(
        ("data", "pair", "rows", "estimator", "cells", "correlation", "bias", "RMSE", "null"),
        [
            (
                entry["series"],
                entry["pair"],
                f"{entry['n']:,}",
                entry["estimator"],
                f"{entry['cells']}{failures(entry)}",
                *(_number(entry[name]) for name in ("correlation", "bias", "rmse", "null")),
            )
            for entry in summary
        ],
        right=(2, 4, 5, 6, 7, 8),
    )
    typer.echo()


def _print_downstream(summary: list[dict[str, Any]]) -> None:
    from mmmi_hf.benchmark.downstream.tasks import (
        LIMIT_NAMES,
        PROBED,
        input_names,
        largest_error,
        probed_table,
        scores_of,
    )
    from mmmi_hf.benchmark.protocol.summary import digits, failures

    if summary[0]["task"] in PROBED:
        headings, rows = probed_table(summary, facts=False)
        print_table(tuple(headings), [tuple(row) for row in rows], right=tuple(range(1, len(headings))))
        print_text(f"By a linear probe of y on x1. Standard errors are at most {digits(largest_error(summary))}.")
        typer.echo()
        return
    shown = {
        column: heading
        for score, (name, limit) in scores_of(summary[0]["task"]).items()
        for column, heading in ((score, name), (f"{score}_error", "± se"), (limit, LIMIT_NAMES.get(limit or "")))
        if column is not None
    }
    print_table(
        ("data", "configuration", "method", "inputs", "seeds", *map(str, shown.values())),
        [
            (
                entry["series"],
                f"{entry['config']}{' (null)' if entry['null'] else ''}",
                entry["method"],
                input_names(entry["inputs"]),
                f"{entry['seeds']}{failures(entry)}",
                *("–" if entry[name] is None else digits(entry[name]) for name in shown),
            )
            for entry in summary
        ],
        right=tuple(range(4, 5 + len(shown))),
    )
    typer.echo()


def _tasks(text: str) -> list[str]:
    from mmmi_hf.benchmark.downstream.tasks import TASKS

    known = ("estimators", *TASKS)
    words = _names(text)
    for word in words or [text]:
        if word not in known:
            raise ValueError(f"task: {word!r} is unknown, expected one of {', '.join(known)}")
    return list(dict.fromkeys(words))


def _estimators(text: str, training: Any, texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of the estimators asked for, by name."""
    from mmmi_hf.benchmark.estimator import setting_types
    from mmmi_hf.benchmark.registry import estimator_class
    from mmmi_hf.benchmark.settings import by_estimator, estimator_with

    found = {}
    for name, given in by_estimator(texts, _named_estimators(text)).items():
        trained = {"training": training} if "training" in setting_types(estimator_class(name)) else {}
        found[name] = estimator_with(name, given, **trained).settings
    return found


def _named_estimators(text: str) -> list[str]:
    """The names that a text gives, "paper" and "all" spelled out."""
    from mmmi_hf.benchmark.registry import estimator_class, list_estimators

    names: dict[str, None] = {}
    for word in _names(text):
        if word == "paper":
            names |= dict.fromkeys(_PAPER.split(","))
        elif word == "all":
            there = [name for name in list_estimators() if _is_there(name)]
            names |= dict.fromkeys(name for name in there if not estimator_class(name).of_labels)
        else:
            names[word] = None
    if not names:
        raise ValueError("estimators: none were named; write e.g. dv,infonce")
    return list(names)


def _print_list(form: Format) -> None:
    """The estimators and their settings with defaults; those of networks once for all."""
    from mmmi_hf.benchmark.networks.training import Training
    from mmmi_hf.benchmark.registry import estimator_class, list_estimators, make_estimator
    from mmmi_hf.benchmark.settings import told_settings

    found = {name: make_estimator(name).settings for name in list_estimators()}
    if form is Format.json:
        typer.echo(json.dumps(found, indent=2))
        return
    rows = []
    for name, settings in found.items():
        own = told_settings({setting: value for setting, value in settings.items() if setting != "training"})
        told = ", ".join([*own, *(["training.…"] if "training" in settings else [])]) or "–"
        rows.append((name, estimator_class(name).bound or "–", told))
    print_table(("estimator", "bound", "settings with defaults"), rows)
    networks = ", ".join(told_settings(dataclasses.asdict(Training())))
    typer.echo("\nOf training.…, by options such as --steps for all networks alike:")
    typer.echo(textwrap.fill(networks, 80, initial_indent="  ", subsequent_indent="  "))
    typer.echo("For one estimator: --set ksg.neighbours=5 --set dv.training.steps=500")


def _is_there(name: str) -> bool:
    from mmmi_hf.benchmark.registry import estimator_class

    try:
        estimator_class(name).require()
    except RuntimeError:
        return False
    return True


def _names(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _some(text: str, option: str) -> list[str]:
    """The names in a text; there must be one."""
    names = _names(text)
    if not names:
        raise ValueError(f"{option}: none were named; leave the option out for its default")
    return names


def _count(word: str) -> int:
    try:
        return whole(word)
    except typer.BadParameter:
        raise ValueError(f"train-rows: {word[:40]!r} is no number; write e.g. 500,1000,2000") from None


def _number(entry: dict[str, Any] | None) -> str:
    from mmmi_hf.benchmark.protocol.summary import digits

    return "–" if entry is None else digits(entry["value"])
