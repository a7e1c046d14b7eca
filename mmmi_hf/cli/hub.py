"""`publish`: dataset folders and pipelines to the Hub."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmmi_hf.cli.application import AsFormat, Format, Quiet, app, print_table, print_text, quieten_libraries

if TYPE_CHECKING:
    from mmmi_hf.hub.publishing.release import Published


@app.command()
def publish(
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR_OR_URL", help="Dataset folder or its address; or the folder or name of a pipeline."
        ),
    ],
    repo: Annotated[str, typer.Argument(help="owner/name on the Hub; made if it does not exist.")],
    version: Annotated[
        str,
        typer.Option(
            help='X.Y.Z, which must be new; or "auto": the next minor version, 1.0.0 first, or that of the tier.'
        ),
    ] = "auto",
    tier: Annotated[
        str | None,
        typer.Option(
            help="Of the benchmark, such as lite, whose data the folder has: with its reference results, and how to "
            "load it."
        ),
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option(help="Only this configuration; may be repeated. Default: all.")
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="For a pipeline: folder of its results, to render the card from.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private if it has to be made.")
    ] = False,
    pr: Annotated[bool, typer.Option("--pr", help="Open a pull request instead of publishing to main.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure", help="Invert a sample of rows first, as `verify` does; or check digests only."
        ),
    ] = True,
    quiet: Quiet = False,
    form: AsFormat = Format.table,
) -> None:
    """Publish to the Hub: one commit and a version tag. A killed call is completed by the same command.

    Uses the token of `hf auth login`, or HF_TOKEN.
    """
    from mmmi_hf.hub.publishing.publish import publish as run

    quieten_libraries(quiet)
    supplement = None
    if tier is not None:
        from mmmi_hf.benchmark.tiers.publishing import supplement_of
        from mmmi_hf.benchmark.tiers.tier import read_tier

        if config:
            raise typer.BadParameter("a tier is published whole; leave it out", param_hint="--config")
        known = read_tier(tier)
        supplement, config = supplement_of(known, folder), list(known.configurations)
    result = run(
        folder,
        repo,
        version=version,
        configs=config,
        card=card,
        private=private,
        pr=pr,
        dry_run=dry_run,
        measure=measure,
        progress=not quiet,
        supplement=supplement,
    )
    print_published(result, form, tier)


def print_published(result: Published, form: Format, tier: str | None = None) -> None:
    """What was published: as JSON, or its changes as a table and how to use it, that of a tier by its name."""
    if form is Format.json:
        typer.echo(json.dumps(dataclasses.asdict(result), indent=2))
        return
    if result.changes:
        print_table(
            ("change", "file", "bytes"),
            [(change.action, change.path, f"{change.size:,}" if change.size else "") for change in result.changes],
            right=(2,),
        )
        typer.echo("")
    told, *how = _told(result, tier).splitlines()
    print_text(told)
    for line in how:
        typer.echo(line)


def _told(result: Published, tier: str | None) -> str:
    """What was done, in a sentence, and how to load it."""
    if not result.changes:
        how = "completed" if result.resumed else "there already"
        would = " (dry run)" if result.dry_run else ""
        return f"{result.repo} {result.tag} is {how}; nothing had to be changed{would}."
    if result.dry_run:
        made = "make the repository, " if result.created else ""
        return f"This would {made}commit the above and tag it {result.tag}. Nothing was written (dry run)."
    if result.pull_request:
        return f"Pull request: {result.pull_request}\nWhen it is merged, publish again to tag it {result.tag}."
    if result.kind == "space":
        use = f"https://huggingface.co/spaces/{result.repo}"
    elif tier is not None:
        use = f'mmmi_hf.load_benchmark("{tier}", "{result.repo}", revision="{result.tag}")'
    elif result.kind == "model":
        use = f'FlowMatchingPipeline.from_pretrained("{result.repo}", revision="{result.tag}")'
    else:
        use = f'load_dataset("{result.repo}", "{result.names[0]}", revision="{result.tag}")'
    return f"Published {', '.join(result.names)} as {result.repo} {result.tag} (commit {result.commit}).\n\n    {use}"
