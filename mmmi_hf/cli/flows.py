"""`train`, `distill`, `evaluate-flow` and `map-share`: pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mmmi_hf.cli.application import AsFormat, Format, Quiet, app, print_table, quieten_libraries


@app.command()
def train(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe (YAML), or a bundled one: cifar10, fashion-mnist, instruments.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; give the same one to continue a killed run.")],
    dataset: Annotated[str | None, typer.Option(help="Dataset folder or Hub id, instead of the recipe's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps, instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples per step, instead of the recipe's.")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a flow-matching pipeline on images or sounds with labels."""
    from mmmi_hf.flow.training.recipe import read_recipe
    from mmmi_hf.flow.training.trainer import train as run

    quieten_libraries(quiet)
    chosen = read_recipe(recipe, dataset=dataset, steps=steps, batch_size=batch_size)
    pipeline = run(chosen, out, cpu=cpu, progress=not quiet)
    typer.echo(f"Pipeline in {pipeline}\nMeasure it with: mmmi-hf evaluate-flow {pipeline} --dataset … --out …")


@app.command()
def distill(
    recipe: Annotated[
        Path, typer.Argument(help="A recipe (YAML), or a bundled one: cifar10, fashion-mnist-2 (first leg).")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; give the same one to continue a killed run.")],
    trajectories: Annotated[
        Path | None, typer.Option(help="Folder of the teacher's stored trajectories; default: in the run's.")
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="A pipeline, instead of the recipe's.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps, instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Trajectories per step, instead of the recipe's.")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a student of a pipeline, of fewer steps."""
    from mmmi_hf.flow.training.distillation import distill as run
    from mmmi_hf.flow.training.distillation_recipe import DistillationRecipe

    quieten_libraries(quiet)
    chosen = DistillationRecipe.from_yaml(recipe, teacher=teacher, steps=steps, batch_size=batch_size)
    pipeline = run(chosen, out, trajectories=trajectories, cpu=cpu, progress=not quiet)
    typer.echo(f"Pipeline in {pipeline}\nMeasure it with: mmmi-hf evaluate-flow {pipeline} --dataset … --out …")


@app.command("evaluate-flow")
def evaluate_flow(
    pipeline: Annotated[str, typer.Argument(help="A bundled pipeline, a folder, or a Hub id.")],
    out: Annotated[Path, typer.Option(help="Folder of evaluation.json and sheets; finished parts in it are kept.")],
    dataset: Annotated[
        str | None, typer.Option(help="Real examples: a dataset folder or Hub id, splits train and test.")
    ] = None,
    signal_column: Annotated[str | None, typer.Option(help="Of real sounds: their column, as in the recipe.")] = None,
    gain: Annotated[float, typer.Option(help="Of real sounds: what they are multiplied by, as in the recipe.")] = 1.0,
    samples_per_class: Annotated[int, typer.Option(help="Samples to judge by a classifier; 0 skips this part.")] = 1000,
    round_trip_per_class: Annotated[int, typer.Option(help="Latents to send to images and back; 0 skips.")] = 64,
    certificate_per_class: Annotated[int, typer.Option(help="Trajectories of the step certificate; 0 skips.")] = 1,
    storage_per_class: Annotated[int, typer.Option(help="Images to store in several formats; 0 skips.")] = 2,
    cas: Annotated[
        bool, typer.Option("--cas", help="Also train the classifier on samples, test on real images.")
    ] = False,
    classifier: Annotated[
        Path | None, typer.Option(help="Settings of the classifier (YAML), or the bundled cifar10, instruments.")
    ] = None,
    cas_classifier: Annotated[
        Path | None,
        typer.Option(help="The same for the one trained on samples, or cifar10-cas; default: as --classifier."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of latents and choices.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Images per evaluation of the network.")] = 50,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Measure what a pipeline makes, and its inverse."""
    from mmmi_hf.flow.evaluation.evaluate import evaluate_flow as run
    from mmmi_hf.flow.evaluation.real_images import EvaluationDataset

    quieten_libraries(quiet)
    if dataset is None and (signal_column is not None or gain != 1.0):
        raise ValueError("--signal-column and --gain say how a --dataset is read, got none; add it, or leave them out")
    real = None if dataset is None else EvaluationDataset(dataset, signal_column=signal_column, gain=gain)
    report = run(
        pipeline,
        real,
        out,
        samples_per_class=samples_per_class,
        round_trip_per_class=round_trip_per_class,
        certificate_per_class=certificate_per_class,
        storage_per_class=storage_per_class,
        cas=cas,
        classifier=classifier,
        cas_classifier=cas_classifier,
        device=device,
        seed=seed,
        batch_size=batch_size,
        progress=not quiet,
    )
    if form is Format.json:
        typer.echo(report.to_json(), nl=False)
        return
    rows = [
        (f"{part}: {name.replace('_', ' ')}", f"{value:.6g}" if isinstance(value, float) else str(value))
        for part, entry in report.parts.model_dump(exclude_none=True).items()
        for name, value in _numbers_of(entry["results"])
    ]
    print_table(("measured", "value"), rows, right=(1,))
    typer.echo(f"\nAll of it, with settings and versions: {out / 'evaluation.json'}")


@app.command("map-share")
def map_share(
    pipeline: Annotated[str, typer.Argument(help="A bundled pipeline, a folder, or a Hub id.")],
    out: Annotated[Path, typer.Option(help="Folder of the counts; a killed run goes on from them.")],
    label: Annotated[list[int], typer.Option("--label", help="A class to measure; may be repeated.")],
    rows: Annotated[int, typer.Option(help="Latents of each class, in whole micro-batches.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Images that are inverted together.")] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the latents.")] = 0,
    device: Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")] = None,
    quiet: Quiet = False,
) -> None:
    """Count the latents that an inverse does not give back. Floors of certificates rest on it.

    Images are made as `generate` makes rows: in the same micro-batches, whose size changes their last bits.
    """
    from mmmi_hf.common.files import write_json
    from mmmi_hf.common.places import folder_to_write
    from mmmi_hf.dataset.generation.rows import MICRO_BATCH
    from mmmi_hf.flow.evaluation.evaluate import placed
    from mmmi_hf.flow.evaluation.map_share import check_class, measure_map_share

    quieten_libraries(quiet)
    out = folder_to_write(out)
    bijection = placed(pipeline, device)
    for each in label:  # all, before the first takes its hours
        check_class(bijection, each)
    counts = [
        measure_map_share(
            bijection,
            each,
            rows,
            out / f"{each}.json",
            micro_batch=MICRO_BATCH,
            inverted_together=batch_size,
            seed=seed,
            progress=not quiet,
        )
        for each in label
    ]
    write_json(out / "map_shares.json", [each.model_dump(mode="json", exclude_none=True) for each in counts])
    print_table(
        ("class", "latents", "failed", f"off by more than {counts[0].tolerance:g}", "largest of the others"),
        [(str(of.label), str(of.rows), str(of.failed), str(len(of.bad_rows)), f"{of.largest:.2g}") for of in counts],
        right=(1, 2, 3, 4),
    )
    typer.echo(
        f"\nImages were made in micro-batches of {MICRO_BATCH}. What the package ships: {out / 'map_shares.json'}"
    )


def _numbers_of(results: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The single numbers of nested results, by dotted name."""
    found: list[tuple[str, Any]] = []
    for name, value in results.items():
        if isinstance(value, dict):
            found += _numbers_of(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((prefix + name, value))
    return found
