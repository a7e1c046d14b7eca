"""`verify`: is the information there that a dataset folder claims?"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmmi_hf.cli.application import (
    BOUNDS,
    AsFormat,
    ExecutorOption,
    Format,
    Quiet,
    Tasks,
    UseEngine,
    Workers,
    app,
    bound_texts,
    by_engine,
    print_table,
    print_text,
    quieten_libraries,
    time_line,
)

if TYPE_CHECKING:
    from mmmi_hf.dataset.certificate.outcome import Certificate


@app.command()
def verify(
    folder: Annotated[
        str, typer.Argument(metavar="DIR_OR_URL", help="Dataset folder, which may be read-only, or its address, s3://…")
    ],
    config: Annotated[
        list[str] | None, typer.Option("--config", help="A configuration of the folder; may be repeated. Default: all.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(help="Rows to invert. Default: as many as the certificate there, or 32 or 64.")
    ] = None,
    rows_float64: Annotated[
        int | None, typer.Option("--rows-float64", help="How many of them in float64 too (slow). Default: 2.")
    ] = None,
    all_rows: Annotated[
        bool,
        typer.Option("--all", help="Make every row again, at the price of generating; a killed run goes on."),
    ] = False,
    replays: Annotated[
        int | None,
        typer.Option(help="Rows to make again and compare. Default: as many as the certificate there, or 1,408."),
    ] = None,
    sample_seed: Annotated[
        int | None,
        typer.Option(help="A number of yours that picks other rows, unforeseen by the maker; nothing is written then."),
    ] = None,
    without_seed: Annotated[
        bool, typer.Option("--without-seed", help="Do not replay rows from the seed: statistical tests alone.")
    ] = False,
    pipeline: Annotated[
        str | None, typer.Option(help="Where the pipeline is, if not where the manifest says; its digest must agree.")
    ] = None,
    write: Annotated[
        bool | None,
        typer.Option("--write/--no-write", help="Write the certificate. Default: only where there is none."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")] = None,
    engine: UseEngine = None,
    tasks: Tasks = None,
    executor: Annotated[str, typer.Option(help="With --engine: where the tasks run, local or ray.")] = "local",
    workers: Workers = None,
    executor_option: ExecutorOption = None,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Measure whether the claimed information is there. Looks at the stored bytes; exit 1: refused, with reasons.

    --all --engine datatrove --tasks N makes the rows again in N tasks, here (--executor local) or on Ray (ray), which
    all reach the folder or address; the result is that of one process. The same command goes on where one was killed.
    """
    from mmmi_hf.dataset.certification import certify

    quieten_libraries(quiet)
    request: dict[str, Any] = {
        "rows": rows,
        "rows_float64": rows_float64,
        "replays": replays,
        "sample_seed": sample_seed,
        "use_seed": not without_seed,
        "pipeline": pipeline,
        "write": write,
        "device": device,
        "progress": not quiet,
    }
    of_engine = by_engine(engine, tasks, executor, workers, executor_option)
    if engine is None:
        results = certify(folder, config or None, all_rows=all_rows, **request)
    else:
        from mmmi_hf.dataset.engine import certify_by_engine

        if not all_rows:
            raise typer.BadParameter("needs --all: a sample is made again here", param_hint="--engine")
        results = certify_by_engine(folder, config or None, **of_engine, **request)
    if form is Format.json:
        typer.echo(json.dumps({name: each.to_dict() for name, each in results.items()}, indent=2))
    else:
        for position, certificate in enumerate(results.values()):
            if position:
                typer.echo()
            print_certificate(certificate)
    if not all(certificate.valid for certificate in results.values()):
        raise typer.Exit(1)
    if form is Format.table:
        typer.echo(f"\nNext:\n\n    mmmi-hf publish {folder} OWNER/NAME")


def print_certificate(certificate: Certificate) -> None:
    """The verdict, then errors and bounds, or the reasons."""
    record = certificate.record
    if not certificate.valid or record is None:
        typer.echo(f"{certificate.config}: REFUSED")
        for reason in certificate.reasons:
            print_text(f"  - {reason}", indent="    ")
        return
    from mmmi_hf.dataset.cards.text import bound_sentences

    sample = record.sample
    how = "compared with the latents of (seed, row)" if record.replayed else "tested without the seed"
    picked = "" if sample.chosen_seed is None else f", picked with the number {sample.chosen_seed},"
    print_text(f"{certificate.config}: valid. {len(sample.rows)} sampled rows{picked} inverted and {how}.")
    if record.replays is not None:
        again, equal = sample.rows_replayed, record.replays.equal
        within = "" if equal == again else f" in {equal:,}, within {record.replays.largest:.1e} in the others"
        print_text(f"  {again:,} rows were made again and are the same, bit for bit{within}.", indent="  ")
    for difference in certificate.differs_from_release:
        print_text(f"  differs from the release: {difference}", indent="    ")
    for remark in certificate.remarks:
        typer.echo(textwrap.fill(f"Not compared: {remark}.", 80, initial_indent="  ", subsequent_indent="  "))
    typer.echo()
    errors = [
        (name, kind, _error(entry.median), _error(entry.max), f"{entry.failed} of {entry.rows}")
        for name, kinds in record.round_trip.items()
        for kind, entry in kinds.items()
    ]
    print_table(("latents of", "from", "median error", "largest", "not inverted"), errors, right=(2, 3, 4))
    typer.echo()
    bounds = [
        (quantity, f"{found.analytic:.6f}", *bound_texts(found))
        for quantity, found in record.bounds.items()
        if found.columns
    ]
    if bounds:
        *others, last = bound_sentences(record, certificate.without_floor)
        typer.echo("Lower bounds in nats, all of a kind together:")
        for sentence in others:
            print_text(f"  {sentence};", indent="  ")
        print_text(f"  {last}.", indent="  ")
        typer.echo()
        print_table(("quantity", "analytic", *BOUNDS), bounds, right=(1, 2, 3, 4, 5))
    else:
        typer.echo("No lower bounds: that takes at least 32 rows.")
    typer.echo()
    if sample.unseen_share:
        share = f"{sample.unseen_share:.2%}"
        print_text(f"Bad rows that the inverted rows could have missed at that confidence: up to {share} of all.")
    else:
        print_text("All rows were inverted: there is none that could have been missed.")
    print_text(f"Time: {time_line(certificate.seconds)}.", indent="  ")
    if certificate.written:
        typer.echo(f"Certificate: certificates/{certificate.config}.json")


def _error(value: Any) -> str:
    return "–" if value is None else f"{value:.2g}"
