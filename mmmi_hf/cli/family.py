"""A whole family of configurations in one dataset folder: `generate-family`, and the programs of `builder_scripts/`.

Owns their arguments and printing. A script names its family and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mmmi_hf.cli.application import Quiet, app, quieten_libraries

RowsOfEach = Annotated[int | None, typer.Option(help="Rows of each configuration; default: as released.")]
PipelineOfAll = Annotated[
    str | None, typer.Option(help="Pipeline of every image: a bundled name, a folder or a Hub id.")
]
Device = Annotated[str | None, typer.Option(help="torch device; default: a GPU if there is one.")]


def build_family(family: str, arguments: Sequence[str] | None = None) -> None:
    """Run the program of one family and exit, with the exit codes of `mmmi-hf`."""
    from mmmi_hf.cli import run
    from mmmi_hf.dataset.releases.registry import get_family

    chosen = get_family(family)
    program = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    listed = "\n\n".join(f"  {name}" for name in chosen.configurations)
    program.command(
        help=f"Build the family {family} into a dataset folder, and publish it if asked.\n\n{chosen.description}\n\n"
        f"Configurations:\n\n{listed}\n\nA killed run continues when the same command is given again."
    )(_build_of(family))
    run(program, arguments, f"{family.replace('-', '_')}.py")


def _build_of(family: str):  # type: ignore[no-untyped-def]  # the signature is read by typer
    def build(
        out: Annotated[Path, typer.Option(help="Dataset folder: new, empty, or one of ours to add to.")],
        only: Annotated[
            list[str] | None, typer.Option(help="Only this configuration of the family; may be repeated.")
        ] = None,
        rows: RowsOfEach = None,
        pipeline: PipelineOfAll = None,
        device: Device = None,
        publish: Annotated[str | None, typer.Option(help="Publish what was built to this Hub repository.")] = None,
        version: Annotated[
            str, typer.Option(help='With --publish: X.Y.Z, or "auto": the next minor version, 1.0.0 first.')
        ] = "auto",
        private: Annotated[bool, typer.Option("--private", help="With --publish: a private repository.")] = False,
        quiet: Quiet = False,
    ) -> None:
        from mmmi_hf.dataset.assembly import generate
        from mmmi_hf.dataset.releases.registry import get_family

        names = get_family(family).configurations
        unknown = [name for name in only or [] if name not in names]
        if unknown:
            raise typer.BadParameter(
                f"{unknown[0]!r} is no configuration of {family}; it has {', '.join(names)}", param_hint="--only"
            )
        if publish is None and (version != "auto" or private):
            raise typer.BadParameter("--version and --private need --publish OWNER/NAME", param_hint="--publish")
        quieten_libraries(quiet)
        chosen = [name for name in names if not only or name in only]
        for number, name in enumerate(chosen, start=1):
            made = generate(name, out, rows=rows, pipeline=pipeline, device=device, progress=not quiet)
            done = f"{made.rows_made:,} rows made in {made.seconds:.1f} s" if made.rows_made else "complete already"
            typer.echo(f"[{number}/{len(chosen)}] {name}: {done}")
        typer.echo(f'{family} is in {out}; load_dataset("{out}", "{chosen[0]}")')
        if publish is not None:
            from mmmi_hf import publish as publish_folder

            released = publish_folder(
                out,
                publish,
                version=version,
                configs=chosen,
                private=private,
                measure=False,  # `generate` has just measured, and publishing checks what binds its certificates
                progress=not quiet,
            )
            typer.echo(f"published as {publish} {released.tag}")

    return build


@app.command("generate-family")
def generate_family(
    family: Annotated[str, typer.Argument(help="A family of `mmmi-hf list`, e.g. two-telescopes.")],
    out: Annotated[Path, typer.Option(help="Dataset folder: new, empty, or one of ours to add to.")],
    rows: RowsOfEach = None,
    pipeline: PipelineOfAll = None,
    device: Device = None,
    quiet: Quiet = False,
) -> None:
    """Generate all configurations of a family. A killed run continues when the same command is given again."""
    from mmmi_hf.dataset.releases.registry import get_family

    get_family(family)  # refuses with the nearest names
    _build_of(family)(
        out,
        only=None,
        rows=rows,
        pipeline=pipeline,
        device=device,
        publish=None,
        version="auto",
        private=False,
        quiet=quiet,
    )
