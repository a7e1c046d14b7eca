"""The command line `mmmi-hf` (also `hf-mmmi`).

Owns arguments, printing and exit codes: 0 done; 1 it failed; 2 the request is wrong (one line saying what, what was
given and what would be right). Calls the rooms; heavy libraries are imported by the command that needs them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Multimodal datasets whose mutual information is known.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(StrEnum):
    """How a table is printed."""

    table = "table"
    json = "json"


Config = Annotated[str, typer.Argument(help="A released configuration (see `mmmi-hf list`) or a YAML file.")]
AsFormat = Annotated[Format, typer.Option("--format", help="Print a table, or JSON for scripts.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from mmmi_hf import __version__

        typer.echo(f"mmmi-hf {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_command(form: AsFormat = Format.table) -> None:
    """List the released configurations."""
    from mmmi_hf.dataset.registry import get_configuration, list_configurations

    configs = [get_configuration(name) for name in list_configurations()]
    entries = [
        {
            "name": config.name,
            "version": str(config.version),
            "modalities": len(config.modalities),
            "rows": config.rows,
            "description": config.description,
        }
        for config in configs
    ]
    if form is Format.json:
        typer.echo(json.dumps(entries, indent=2))
        return
    _print_table(
        ("configuration", "version", "modalities", "rows"),
        [(e["name"], e["version"], str(e["modalities"]), f"{e['rows']:,}") for e in entries],
        right=(2, 3),
    )
    typer.echo("\n`mmmi-hf info NAME` shows what a configuration is and its information in nats.")


@app.command()
def info(
    config: Config,
    quantity: Annotated[
        list[str] | None,
        typer.Option(help='Only this quantity, for any blocks, e.g. "I(x1,x2;y)" or "TC(x1,x2)"; may be repeated.'),
    ] = None,
    form: AsFormat = Format.table,
) -> None:
    """Show a configuration and its exact information quantities, in nats."""
    from mmmi_hf.dataset.ground_truth import evaluate, quantities
    from mmmi_hf.dataset.registry import get_configuration

    chosen = get_configuration(config)
    values = {q: evaluate(chosen.model, q) for q in quantity} if quantity else quantities(chosen.model)
    if form is Format.json:
        typer.echo(json.dumps({"config": chosen.name, "version": str(chosen.version), "quantities": values}, indent=2))
        return
    typer.echo(f"{chosen.name} {chosen.version}: {chosen.description or 'no description'}")
    for name, modality in zip(chosen.model.modalities, chosen.modalities, strict=True):
        shape = "×".join(map(str, chosen.model.shapes[name]))
        label = "" if modality.class_label is None else f", class {modality.class_label}"
        typer.echo(f"  {name}: {shape}, pipeline {modality.pipeline}{label}")
    typer.echo(f"  rows {chosen.rows:,}, seed {chosen.seed}, latents {chosen.standardize}\n")
    _print_quantities(values)


@app.command()
def generate(
    config: Config,
    out: Annotated[Path, typer.Option(help="Dataset folder: new, empty, or one of ours to add to.")],
    rows: Annotated[int | None, typer.Option(help="Total number of rows in all splits.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the latents.")] = None,
    pipeline: Annotated[
        str | None, typer.Option(help='Pipeline of every modality: a bundled name, a folder, a Hub id, or "identity".')
    ] = None,
    store_latents: Annotated[
        bool | None, typer.Option("--store-latents/--no-store-latents", help="Also store the latents as z1, z2, …")
    ] = None,
    device: Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the configuration if it has other settings.")
    ] = False,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Generate a dataset folder. A killed run continues when the same command is given again."""
    from mmmi_hf.dataset.generation import generate as run
    from mmmi_hf.dataset.ground_truth import quantities

    _quieten_libraries(quiet)
    result = run(
        config,
        out,
        rows=rows,
        seed=seed,
        pipeline=pipeline,
        store_latents=store_latents,
        device=device,
        overwrite=overwrite,
        progress=not quiet,
    )
    chosen, values = result.config, quantities(result.config.model)
    if form is Format.json:
        summary = {
            "folder": str(result.folder),
            "config": chosen.name,
            "version": str(chosen.version),
            "rows": chosen.rows,
            "rows_made": result.rows_made,
            "splits": {split: len(rows_of) for split, rows_of in chosen.split_rows.items()},
            "seconds": round(result.seconds, 3),
            "quantities": values,
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    done = (
        f"{result.rows_made:,} rows made in {result.seconds:.1f} s" if result.rows_made else "it was complete already"
    )
    splits = ", ".join(f"{split} {len(rows_of):,}" for split, rows_of in chosen.split_rows.items())
    typer.echo(f"{chosen.name} in {result.folder}: {splits} ({done})\n")
    _print_quantities(values)
    typer.echo(
        "\nLoad it with:\n\n"
        "    from datasets import load_dataset\n"
        f'    data = load_dataset("{result.folder}", "{chosen.name}", split="train")\n'
        f'    truth = load_dataset("{result.folder}", "ground_truth", split="train")'
    )


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (YAML); see model_cards/ for examples.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; give the same one to continue a killed run.")],
    dataset: Annotated[str | None, typer.Option(help="Dataset folder or Hub id, instead of the recipe's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps, instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step, instead of the recipe's.")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a flow-matching pipeline on images with labels."""
    from mmmi_hf.flow.recipe import TrainingRecipe
    from mmmi_hf.flow.training import train as run

    _quieten_libraries(quiet)
    chosen = TrainingRecipe.from_yaml(recipe, dataset=dataset, steps=steps, batch_size=batch_size)
    pipeline = run(chosen, out, cpu=cpu, progress=not quiet)
    typer.echo(f"Pipeline in {pipeline}\nMeasure it with: mmmi-hf evaluate-flow {pipeline} --dataset … --out …")


@app.command("evaluate-flow")
def evaluate_flow(
    pipeline: Annotated[str, typer.Argument(help="A bundled pipeline, a folder, or a Hub id.")],
    out: Annotated[Path, typer.Option(help="Folder of evaluation.json and sheets; finished parts in it are kept.")],
    dataset: Annotated[
        str | None, typer.Option(help="Real images: a dataset folder or Hub id, splits train and test.")
    ] = None,
    samples_per_class: Annotated[int, typer.Option(help="Samples to judge by a classifier; 0 skips this part.")] = 1000,
    round_trip_per_class: Annotated[int, typer.Option(help="Latents to send to images and back; 0 skips.")] = 64,
    certificate_per_class: Annotated[int, typer.Option(help="Trajectories of the step certificate; 0 skips.")] = 1,
    storage_per_class: Annotated[int, typer.Option(help="Images to store in several formats; 0 skips.")] = 2,
    cas: Annotated[
        bool, typer.Option("--cas", help="Also train the classifier on samples, test on real images.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of latents and choices.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images per evaluation of the network.")] = 50,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Measure a pipeline's image quality and how exactly it is inverted."""
    from mmmi_hf.flow.evaluation import evaluate_flow as run

    _quieten_libraries(quiet)
    report = run(
        pipeline,
        dataset,
        out,
        samples_per_class=samples_per_class,
        round_trip_per_class=round_trip_per_class,
        certificate_per_class=certificate_per_class,
        storage_per_class=storage_per_class,
        cas=cas,
        seed=seed,
        batch_size=batch_size,
        progress=not quiet,
    )
    if form is Format.json:
        typer.echo(json.dumps(report, indent=2))
        return
    rows = [
        (f"{part}: {name.replace('_', ' ')}", f"{value:.6g}" if isinstance(value, float) else str(value))
        for part, entry in report["parts"].items()
        for name, value in _numbers_of(entry["results"])
    ]
    _print_table(("measured", "value"), rows, right=(1,))
    typer.echo(f"\nAll of it, with settings and versions: {out / 'evaluation.json'}")


def _numbers_of(results: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The single numbers of nested results, by dotted name."""
    found: list[tuple[str, Any]] = []
    for name, value in results.items():
        if isinstance(value, dict):
            found += _numbers_of(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((prefix + name, value))
    return found


def _print_quantities(values: dict[str, float]) -> None:
    _print_table(("quantity", "nats"), [(name, _nats(value)) for name, value in values.items()], right=(1,))


def _nats(value: float) -> str:
    return f"{value:.6f}" if value == 0 or abs(value) >= 1e-4 else f"{value:.6g}"


def _print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...] = ()) -> None:
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(row: tuple[str, ...]) -> str:
        cells = (
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    typer.echo(line(header))
    typer.echo("  ".join("─" * width for width in widths))
    for row in rows:
        typer.echo(line(row))


def _quieten_libraries(quiet: bool) -> None:
    """Library chatter is not for the command's user; with --quiet neither are progress bars."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    import datasets

    datasets.logging.set_verbosity_error()
    if quiet:
        datasets.disable_progress_bars()
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code: Any = app(args=arguments, prog_name="mmmi-hf", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 – the reader went away; nothing more can be printed
        return 0
    except (Exception, KeyboardInterrupt) as error:
        message, status = _explained(error)
    print(f"mmmi-hf: {' '.join(message.split())}", file=sys.stderr)
    return status


def _explained(error: BaseException) -> tuple[str, int]:
    """One line for an error, and its exit code."""
    if isinstance(error, typer.TyperException):
        return error.format_message(), error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted; run the same command again to continue", 130
    if isinstance(error, ValueError):
        return str(error), 2
    from mmmi_hf.dataset.chunks import FolderInUseError

    if isinstance(error, FolderInUseError):
        return str(error), 1
    if os.environ.get("MMMI_HF_TRACEBACK"):
        raise error
    return f"failed: {type(error).__name__}: {error} (MMMI_HF_TRACEBACK=1 shows where)", 1


if __name__ == "__main__":
    main()
