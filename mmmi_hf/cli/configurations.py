"""`list` and `info`: what there is, and what is known about it."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmmi_hf.cli.application import (
    AsFormat,
    Config,
    Format,
    app,
    duration,
    print_quantities,
    print_text,
    quieten_libraries,
    size_line,
)

if TYPE_CHECKING:
    from mmmi_hf.dataset.releases.configuration import MMMIConfig


@app.command("list")
def list_command(form: AsFormat = Format.table) -> None:
    """List the released configurations."""
    from mmmi_hf.dataset.releases.registry import get_configuration, get_family, list_families

    families = [get_family(name) for name in list_families()]
    entries = [_entry(family.name, get_configuration(name)) for family in families for name in family.configurations]
    if form is Format.json:
        typer.echo(json.dumps(entries, indent=2))
        return
    for family in families:
        typer.echo(textwrap.fill(f"{family.name}: {family.description}", 80))
        own = [entry for entry in entries if entry["family"] == family.name]
        width = max(len(entry["name"]) for entry in entries)
        for entry in own:
            typer.echo(f"  {entry['name']:<{width}}  {entry['modalities']:>2} modalities  {entry['rows']:>7,} rows")
        typer.echo()
    typer.echo("`mmmi-hf info NAME` shows what a configuration is and its information in nats.")


def _entry(family: str, config: MMMIConfig) -> dict[str, Any]:
    return {
        "name": config.name,
        "family": family,
        "version": str(config.version),
        "modalities": len(config.modalities),
        "rows": config.rows,
        "description": config.description,
    }


@app.command()
def info(
    config: Config,
    quantity: Annotated[
        list[str] | None,
        typer.Option(
            help='Only this quantity, for any blocks, e.g. "I(x1,x2;y)" or "unique(x1;y) without x2"; may be repeated.'
        ),
    ] = None,
    timed: Annotated[
        bool,
        typer.Option("--time", help="Also how long its rows take here: loads the pipelines, runs one micro-batch."),
    ] = False,
    form: AsFormat = Format.table,
) -> None:
    """Show a configuration and its exact information. In nats; and how many rows, bytes and files it has."""
    from mmmi_hf.causal.quantities import read, reported_values
    from mmmi_hf.dataset.generation.cost import Size
    from mmmi_hf.dataset.releases.registry import class_name, get_configuration

    chosen = get_configuration(config)
    values = {q: read(q).of(chosen.model) for q in quantity} if quantity else reported_values(chosen.model)
    size = Size.of(chosen)
    if form is Format.json:
        summary: dict[str, Any] = {"config": chosen.name, "version": str(chosen.version), "quantities": values}
        summary |= {"rows": size.rows, "bytes": size.bytes, "files": size.files}
        typer.echo(json.dumps(summary | ({"seconds": round(_seconds(chosen), 1)} if timed else {}), indent=2))
        return
    print_text(f"{chosen.name} {chosen.version}: {chosen.description or 'no description'}", indent="  ")
    for name, modality in zip(chosen.model.modalities, chosen.modalities, strict=True):
        shape = "×".join(map(str, chosen.model.shapes[name]))
        named = class_name(modality.pipeline, modality.class_label)
        label = f", class {modality.class_label}" if modality.class_label is not None else ""
        label += f" ({named})" if named and not named.startswith("class ") else ""
        gone = chosen.model.law.missing.get(name)
        missing = f", missing from a row with probability {gone:g}" if gone else ""
        print_text(f"  {name}: {shape}, pipeline {modality.pipeline}{label}{missing}", indent="    ")
    typer.echo(f"  seed {chosen.seed}, latents {chosen.standardize}")
    typer.echo(f"  {size_line(size.rows, size.bytes, size.files)}\n")
    print_quantities(values)
    if timed:
        typer.echo(f"\nIts rows take about {duration(_seconds(chosen))} here, in one process.")
    else:
        typer.echo("\n`--time` says how long its rows take here.")


def _seconds(config: MMMIConfig) -> float:
    """Of all rows, measured on one micro-batch."""
    from mmmi_hf.dataset.generation.cost import seconds_per_row
    from mmmi_hf.dataset.generation.rows import load_bijections

    quieten_libraries(True)
    return seconds_per_row(config, load_bijections(config)) * config.rows
