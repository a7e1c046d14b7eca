"""`figures`: pictures of configurations, families and dataset folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmmi_hf.cli.application import AsFormat, Format, Quiet, app, print_table
from mmmi_hf.common.places import folder_to_write, place

if TYPE_CHECKING:
    from mmmi_hf.dataset.cards.pictures import Picture


@app.command()
def figures(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG_OR_FOLDER",
            help="A released configuration or family (see `mmmi-hf list`), a YAML file, or a dataset folder of ours.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to write: figures go to OUT/NAME/, NAME being what they show.")],
    formats: Annotated[
        str, typer.Option("--format-of-files", help="Comma-separated: png, pdf, svg.", metavar="png,pdf,svg")
    ] = "png",
    only: Annotated[
        list[str] | None, typer.Option("--config", help="Of a folder, only this configuration; may be repeated.")
    ] = None,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Draw a configuration, a family or a dataset folder.

    Every figure is computed from the configuration, or from the rows of the folder.

    A configuration gives its causal graph, its table of mutual information, and its templates with information maps; a
    folder also its first tuples and histograms of pointwise information; a family its configurations side by side.
    """
    from mmmi_hf.common.progress import progress_bar
    from mmmi_hf.dataset.cards.pictures import draw
    from mmmi_hf.figures.style import check_formats

    kinds = check_formats([kind.strip() for kind in formats.split(",") if kind.strip()])
    target = folder_to_write(out)
    groups = _subject(subject, only)
    written: dict[str, list[Path]] = {}
    count = sum(map(len, groups.values()))
    with progress_bar("drawing", count, unit="figure", shown=not quiet) as bar:
        for name, pictures in groups.items():
            written[name] = draw(iter(pictures), target / name, formats=kinds, tick=bar.update)
    if form is Format.json:
        files = [
            {"subject": name, "figure": path.stem, "file": str(path)} for name, ps in written.items() for path in ps
        ]
        typer.echo(json.dumps(files, indent=2))
        return
    print_table(("figure", "file"), [(path.stem, str(path)) for paths in written.values() for path in paths])


def _subject(subject: str, only: list[str] | None) -> dict[str, list[Picture]]:
    """The pictures to draw, by what they show; a released name wins over a folder, which ./NAME still means."""
    from mmmi_hf.dataset.cards.pictures import configuration_pictures, family_pictures, folder_pictures
    from mmmi_hf.dataset.releases.registry import get_configuration, list_configurations, list_families
    from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

    released = subject in list_configurations()
    if released or Path(subject).suffix in (".yaml", ".yml") or subject in list_families():
        if only:
            raise ConfigurationError(f"--config goes with a dataset folder, got {subject!r}; leave it out")
        if not released and subject in list_families():
            return {subject: list(family_pictures(subject))}
        config = get_configuration(subject)
        return {config.name: list(configuration_pictures(config.name, config.model, standardize=config.standardize))}
    path = place(subject, "what to draw")
    if not path.is_dir():
        get_configuration(subject)  # refuses with the nearest names
    from mmmi_hf.dataset.format.folder import DatasetFolder

    folder = DatasetFolder(path, reading=True)
    return {name: list(folder_pictures(folder, name)) for name in only or folder.configurations()}
