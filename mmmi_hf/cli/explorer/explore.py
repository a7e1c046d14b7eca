"""`explore`: serve the page on this machine, or publish it as a Space."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mmmi_hf.cli.application import AsFormat, Format, app
from mmmi_hf.cli.hub import print_published


@app.command()
def explore(
    publish: Annotated[
        str | None, typer.Option(metavar="REPO", help="Publish it as the Space owner/name instead of serving it here.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of this machine; default: the first free one from 7860.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open it in the browser of this machine.")] = False,
    dataset: Annotated[
        list[str] | None,
        typer.Option(help="For a Space: owner/name or owner/name@revision that it offers; may be repeated."),
    ] = None,
    wheel: Annotated[
        Path | None,
        typer.Option(help="For a Space: a wheel of this package to put into it, while no index has the package."),
    ] = None,
    version: Annotated[str, typer.Option(help='For a Space: X.Y.Z, or "auto": the next minor version.')] = "auto",
    private: Annotated[bool, typer.Option("--private", help="Make the Space private if it has to be made.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="For a Space: write nothing; show what would change.")
    ] = False,
    form: AsFormat = Format.table,
) -> None:
    """Play with models, rows, datasets and estimators in a browser. Needs the extra: pip install 'mmmi-hf[explorer]'.

    The page is served to this machine alone, works offline, and ends with Ctrl-C.
    """
    from mmmi_hf.explorer.launching import check_installed, launch

    check_installed()
    if publish is None:
        for name, given in (("--dataset", dataset), ("--wheel", wheel), ("--private", private), ("--dry-run", dry_run)):
            if given:
                raise typer.BadParameter("belongs to a Space; give --publish owner/name too", param_hint=name)
        launch(
            port=port, open_browser=browser, ready=lambda url: typer.echo(f"The explorer is at {url}; Ctrl-C ends it.")
        )
        return
    if port is not None or browser:
        raise typer.BadParameter(
            "belongs to a page that is served here; leave it out", param_hint="--port or --browser"
        )
    from mmmi_hf.explorer.space.folder import write_space
    from mmmi_hf.hub.publishing.publish import publish as run

    with tempfile.TemporaryDirectory(prefix="mmmi-hf-") as work:
        folder = write_space(Path(work) / "space", publish, datasets=dataset or (), wheel=wheel)
        result = run(folder, publish, version=version, private=private, dry_run=dry_run)
    print_published(result, form)
