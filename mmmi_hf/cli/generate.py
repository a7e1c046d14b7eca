"""`generate`: dataset folders."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmmi_hf.cli.application import (
    AsFormat,
    Config,
    ExecutorOption,
    Format,
    Quiet,
    Tasks,
    UseEngine,
    Workers,
    app,
    by_engine,
    duration,
    print_quantities,
    print_text,
    quieten_libraries,
    size_line,
    time_line,
)
from mmmi_hf.common.places import is_address

if TYPE_CHECKING:
    import os

    from mmmi_hf.dataset.assembly import Expected, Generated


@app.command()
def generate(
    config: Config,
    out: Annotated[
        str,
        typer.Option(
            metavar="DIR_OR_URL", help="Dataset folder: new, empty, or one of ours to add to; or its address, s3://…"
        ),
    ],
    rows: Annotated[int | None, typer.Option(help="Total number of rows in all splits.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the latents.")] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(
            help="Pipeline of every image of a released configuration, of every modality of one's own: a bundled name, "
            'a folder, a Hub id, or "identity".'
        ),
    ] = None,
    store_latents: Annotated[
        bool | None, typer.Option("--store-latents/--no-store-latents", help="Also store the latents as z1, z2, …")
    ] = None,
    store_posterior: Annotated[
        bool | None,
        typer.Option(
            "--store-posterior/--no-store-posterior", help="Also store the exact probabilities of the classes of y."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")] = None,
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Networks with channels last: faster on some machines only.")
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compiled networks: faster for many rows on CPUs; needs a C++ compiler.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the configuration if it has other settings.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Make the I-th of N shares of the files alone; `merge` then completes them."),
    ] = None,
    engine: UseEngine = None,
    tasks: Tasks = None,
    executor: Annotated[
        str, typer.Option(help="With --engine: where the tasks run, local, slurm, ray or jobs.")
    ] = "local",
    workers: Workers = None,
    executor_option: ExecutorOption = None,
    certify: Annotated[
        bool, typer.Option("--certify/--no-certify", help="Then measure on the files that the information is there.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many rows, bytes and minutes it takes here; write nothing.")
    ] = False,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the card's figures; without, the next run draws them.")
    ] = True,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Generate a dataset folder. A killed run continues when the same command is given again.

    It loses at most what the networks had in hand; a damaged file is named and made again, it alone. On a CPU every
    operation runs on one thread, and as many micro-batches at a time as torch has threads: OMP_NUM_THREADS changes the
    speed alone. --compile and --channels-last change the last bits of rows, and are recorded.

    Several processes, GPUs or, with a shared folder, machines share the work under a launcher:

    torchrun --standalone --nproc_per_node 2 -m mmmi_hf generate …

    ACCELERATE_USE_CPU=true accelerate launch --multi_gpu --num_processes 2 -m mmmi_hf generate …

    Files are byte for byte those of one process, for any number and order of processes, on one kind of hardware and
    software; the manifest says which, and other kinds are refused for the rest of an unfinished configuration. The
    processes meet once, at the start; whoever is done with its share makes what is not there yet. (`accelerate launch
    --cpu --num_processes 2` starts one process only; that is said.)

    Past one machine, tasks that know nothing of each other make --shard 1/N … N/N, in a shared folder or at an address
    of object storage (s3://, gs://, hf://buckets/), in any order and as often as you like; then `mmmi-hf merge`.
    --engine datatrove --tasks N starts these tasks itself, here (--executor local), on a Slurm cluster (slurm, with
    --executor-option partition=… and time=…), on Ray (ray) or as Hub Jobs (jobs, with flavor=…), and merges.
    """
    from mmmi_hf.causal.quantities import reported_values
    from mmmi_hf.dataset import assembly
    from mmmi_hf.dataset.cards.text import certificate_line
    from mmmi_hf.dataset.certificate.bounds import without_floor
    from mmmi_hf.dataset.format.certificate_record import bound_certificate
    from mmmi_hf.dataset.format.remote import opened

    quieten_libraries(quiet)
    request: dict[str, Any] = {
        "rows": rows,
        "seed": seed,
        "pipeline": pipeline,
        "store_latents": store_latents,
        "store_posterior": store_posterior,
        "device": device,
        "channels_last": channels_last,
        "compiled": compiled,
        "overwrite": overwrite,
        "shard": shard,
    }
    of_engine = by_engine(engine, tasks, executor, workers, executor_option)
    if dry_run:
        _show_expected(assembly.expected(config, out, **request), form)
        return
    if engine is None:
        result = assembly.generate(config, out, certify=certify, figures=figures, progress=not quiet, **request)
    else:
        from mmmi_hf.dataset.engine import generate_by_engine

        if shard is not None:
            raise typer.BadParameter("takes no --shard: its tasks are the shards", param_hint="--engine")
        del request["shard"]
        result = generate_by_engine(
            config, out, certify=certify, figures=figures, progress=not quiet, **of_engine, **request
        )
        if not result.complete:
            print_text(f"{result.config.name}: {tasks} tasks and the merge after them are in the queue of {executor}")
            return
    if result.rank != 0:
        return  # process 0 reports
    if shard is not None:
        _show_task(result, shard, form)
        return
    chosen, values = result.config, reported_values(result.config.model)
    with opened(out, reading=True) as folder:
        certificate = bound_certificate(folder, chosen.name)
    bounds = certificate.bounds if certificate else {}
    seconds = result.certificate.seconds if result.certificate else {}
    if form is Format.json:
        summary = {
            "folder": str(result.folder),
            "config": chosen.name,
            "version": str(chosen.version),
            "rows": chosen.rows,
            "rows_made": result.rows_made,
            "splits": {split: len(rows_of) for split, rows_of in chosen.split_rows.items()},
            "seconds": round(result.seconds, 3),
            "world_size": result.world_size,
            "network_fraction": round(result.network_fraction, 3),
            "certificate_seconds": {what: round(spent, 3) for what, spent in seconds.items()},
            "quantities": values,
            "bounds": {name: each.model_dump(mode="json", exclude_none=True) for name, each in bounds.items()},
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    done = (
        f"{result.rows_made:,} rows made in {result.seconds:.1f} s" if result.rows_made else "it was complete already"
    )
    splits = ", ".join(f"{split} {len(rows_of):,}" for split, rows_of in chosen.split_rows.items())
    print_text(f"{chosen.name} in {result.folder}: {splits} ({done})")
    typer.echo()
    print_quantities(values, bounds)
    measured = "Nothing was measured on the files."
    if certificate:
        measured = f"{certificate_line(certificate, without_floor(chosen.model, certificate))}."
    typer.echo(f"\n{textwrap.fill(measured, 80)}")
    if seconds:
        typer.echo(textwrap.fill(f"Certifying took {time_line(seconds)}.", 80))
    _show_how_to_load(result.folder, chosen.name)
    typer.echo("\nNext:\n" if certificate else f"\nNext:\n\n    mmmi-hf verify {result.folder}")
    typer.echo(f"    mmmi-hf publish {result.folder} OWNER/NAME")


def _show_task(made: Generated, shard: str, form: Format) -> None:
    """What a task did."""
    if form is Format.json:
        summary = {
            "folder": str(made.folder),
            "config": made.config.name,
            "shard": shard,
            "rows_made": made.rows_made,
            "seconds": round(made.seconds, 3),
        }
        typer.echo(json.dumps(summary, indent=2))
        return
    print_text(
        f"{made.config.name} in {made.folder}: {made.rows_made:,} rows of shard {shard} made in {made.seconds:.1f} s"
    )
    typer.echo(f"\nNext, when all shards are there:\n\n    mmmi-hf merge {made.folder}")


def _show_how_to_load(folder: str | os.PathLike[str], config: str) -> None:
    from mmmi_hf.dataset.format.remote import opened
    from mmmi_hf.dataset.format.views import undecoded

    if is_address(folder):
        typer.echo(f'\nLoad it with:\n\n    import mmmi_hf\n    data = mmmi_hf.load("{folder}", "{config}")')
        return
    typer.echo(
        "\nLoad it with:\n\n"
        "    from datasets import load_dataset\n"
        f'    data = load_dataset("{folder}", "{config}", split="train")\n'
        f'    truth = load_dataset("{folder}", "ground_truth", split="train")'
    )
    with opened(folder, reading=True) as place:
        views = place.known_manifest(config).views
    for column, needed in undecoded(views).items():
        typer.echo(f'    data = data.remove_columns(["{column}"])  # or: pip install "{needed}"')


@app.command()
def merge(
    out: Annotated[str, typer.Argument(metavar="DIR_OR_URL", help="What `generate --shard I/N --out` was given.")],
    config: Annotated[
        list[str] | None, typer.Option("--config", help="Only this configuration; may be repeated. Default: all begun.")
    ] = None,
    certify: Annotated[
        bool, typer.Option("--certify/--no-certify", help="Then measure on the files that the information is there.")
    ] = True,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the card's figures.")] = True,
    device: Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")] = None,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Complete what `generate --shard` has made: manifest, certificate, ground truth, card.

    Every file is read and compared with the digest that its maker recorded; exit 1 names what is missing or damaged.
    The result is byte for byte that of one `generate`. Without a certificate no pipeline is needed.
    """
    from mmmi_hf.dataset import completion

    quieten_libraries(quiet)
    merged = completion.merge(out, config or None, certify=certify, figures=figures, device=device, progress=not quiet)
    if form is Format.json:
        summaries = [
            {
                "folder": str(each.folder),
                "config": each.config.name,
                "rows": each.config.rows,
                "files": each.files,
                "seconds": round(each.seconds, 3),
            }
            for each in merged
        ]
        typer.echo(json.dumps(summaries, indent=2))
        return
    for each in merged:
        print_text(f"{each.config.name} in {each.folder}: {each.config.rows:,} rows in {each.files} files, complete")
    _show_how_to_load(merged[0].folder, merged[0].config.name)
    typer.echo(f"\nNext:\n\n    mmmi-hf publish {merged[0].folder} OWNER/NAME")


def _show_expected(expected: Expected, form: Format) -> None:
    """What a call would do."""
    summary = {
        "config": expected.config.name,
        "version": str(expected.config.version),
        "rows": expected.config.rows,
        "rows_missing": expected.rows_missing,
        "bytes": expected.bytes,
        "files": expected.files,
        "seconds": round(expected.seconds, 1),
    }
    if form is Format.json:
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(f"{expected.config.name}: {size_line(expected.config.rows, expected.bytes, expected.files)}")
    there = expected.config.rows - expected.rows_missing
    typer.echo(f"{expected.rows_missing:,} rows are to be made" + (f", {there:,} are there" if there else ""))
    if expected.rows_missing:
        typer.echo(f"about {duration(expected.seconds)} here with one process, without the certificate")
