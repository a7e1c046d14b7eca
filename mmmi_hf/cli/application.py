"""What all commands share: the application, options, and printing.

Owns the form of what is printed.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmmi_hf.common.places import PlaceError, place
from mmmi_hf.common.terminal import did_you_mean, table_lines

if TYPE_CHECKING:
    from mmmi_hf.dataset.format.certificate_record import QuantityBounds

_ORDER = (
    "list",
    "info",
    "design",
    "generate",
    "merge",
    "generate-family",
    "verify",
    "publish",
    "figures",
    "explore",
    "benchmark",
    "train",
    "distill",
    "evaluate-flow",
    "map-share",
    "install-extension",
)


class _Group(typer.core.TyperGroup):
    """Lists commands in the order in which people come to need them, and asks which one a mistyped one means."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self.commands, key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not args[0].startswith("-") and args[0] not in self.commands:
            ctx.fail(
                f"no command {args[0]!r}: {did_you_mean(args[0], self.list_commands(ctx), 'see `mmmi-hf --help`')}"
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Group,
    help="Multimodal datasets whose mutual information is known.\n\nExit codes: 0 done, 1 it failed, 2 the request is "
    "wrong (one line says what). Information is in nats.",
    add_completion=True,
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


class Engine(StrEnum):
    """What carries out tasks."""

    datatrove = "datatrove"


UseEngine = Annotated[
    Engine | None, typer.Option("--engine", help="Let tasks of an engine do it; needs mmmi-hf[datatrove].")
]
Tasks = Annotated[
    int | None, typer.Option("--tasks", help="With --engine: how many tasks. The same again to continue.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="With --engine: how many tasks at the same time. Default: of local, the cores."),
]
ExecutorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--executor-option",
        metavar="NAME=VALUE",
        help="With --engine: an option of datatrove's executor, such as partition=gpu; may be repeated.",
    ),
]


def by_engine(
    engine: Engine | None, tasks: int | None, executor: str, workers: int | None, options: Sequence[str] | None
) -> dict[str, Any]:
    """What a call by an engine is given; empty without one.

    Raises:
        typer.BadParameter: options that go with an engine alone, or an engine without tasks.
    """
    if engine is None:
        given = {"--tasks": tasks, "--executor": None if executor == "local" else executor, "--workers": workers}
        for name, value in (given | {"--executor-option": options or None}).items():
            if value is not None:
                raise typer.BadParameter("needs --engine datatrove", param_hint=name)
        return {}
    if tasks is None:
        raise typer.BadParameter("needs --tasks N", param_hint="--engine")
    chosen = _executor_options(options or ())
    return {"tasks": tasks, "executor": executor, "workers": workers, "executor_options": chosen}


def _executor_options(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, as YAML reads the values; times such as 02:00:00 stay text."""
    from mmmi_hf.common.yaml_files import parse

    options = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (equals and name.isidentifier()):
            raise typer.BadParameter(
                f"{each!r} is not NAME=VALUE, such as partition=gpu", param_hint="--executor-option"
            )
        options[name] = value if re.fullmatch(r"[0-9]+(:[0-9]+)+", value) else parse(value).data
    return options


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


def print_quantities(values: Mapping[str, float], bounds: Mapping[str, QuantityBounds] | None = None) -> None:
    """Exact values and, where something was measured, floors and measured lower bounds of what was stored."""
    from mmmi_hf.causal.quantities import read
    from mmmi_hf.causal.quantities.quantity import NATS

    units = {name: read(name).kind.unit for name in values}
    rows = [(name, _nats(value)) for name, value in values.items() if units[name] == NATS]
    others = [(name, _nats(value), units[name]) for name, value in values.items() if units[name] != NATS]
    if rows:
        _print_nats(rows, bounds)
    if others:
        typer.echo("\n" if rows else "", nl=False)
        print_table(("quantity", "value", "unit"), others, right=(1,))


def _print_nats(rows: list[tuple[str, str]], bounds: Mapping[str, QuantityBounds] | None) -> None:
    if not bounds or not any(each.columns for each in bounds.values()):
        print_table(("quantity", "nats"), rows, right=(1,))
        return
    print_table(
        ("quantity", "nats", *BOUNDS),
        [(*row, *(bound_texts(bounds[row[0]]) if row[0] in bounds else [""] * len(BOUNDS))) for row in rows],
        right=(1, 2, 3, 4, 5),
    )


BOUNDS = ("floats, floor", "floats, measured", "8 bits, floor", "8 bits, measured")


def bound_texts(bounds: QuantityBounds) -> list[str]:
    """The bounds of floats and views, rounded down: none must be stated above what was found."""
    values = [
        value
        for bound in (bounds.float32, bounds.view)
        for value in ((None, None) if bound is None else (bound.floor, bound.measured))
    ]
    return ["–" if value is None else f"{math.floor(value * 1e6) / 1e6:.6f}" for value in values]


def _nats(value: float) -> str:
    return f"{value:.6f}" if value == 0 or abs(value) >= 1e-4 else f"{value:.6g}"


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...] = ()) -> None:
    """A table as wide as the terminal at most; 80 columns where there is none."""
    typer.echo("\n".join(table_lines(header, rows, right=right, width=columns())))


def columns() -> int:
    """Characters of a line of the terminal."""
    return shutil.get_terminal_size().columns


def print_text(text: str, *, indent: str = "") -> None:
    """Text in lines of the terminal; what follows the first one is indented."""
    typer.echo(textwrap.fill(text, columns(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))


def quieten_libraries(quiet: bool) -> None:
    """Library chatter is not for the command's user; with --quiet neither are progress bars."""
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    import datasets

    datasets.logging.set_verbosity_error()
    if quiet:
        datasets.disable_progress_bars()
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"


def size_line(rows: int, size: int, files: int) -> str:
    """How much a configuration is."""
    return f"{rows:,} rows, at most {size / 1e6:,.1f} MB in {files} files"


def duration(seconds: float) -> str:
    """A time in the unit that people would use."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} seconds"
    return f"{seconds / 60:,.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:,.1f} hours"


def whole(given: str | int) -> int:
    """A whole number as people write one: digits 0 … 9, with a sign or without.

    Raises:
        typer.BadParameter: anything else that Python would take, or more digits than any of our numbers has.
    """
    text = str(given)
    if not re.fullmatch("[+-]?[0-9]{1,20}", text):
        raise typer.BadParameter(f"{text[:40]!r} is not a whole number of at most 20 digits, such as 1000")
    return int(text)


def number(given: str | float) -> float:
    """A number as people write one: digits 0 … 9, a point, an exponent; also inf and nan, which what takes it refuses.

    Raises:
        typer.BadParameter: anything else that Python would take.
    """
    text = str(given)
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf|nan", text[:400].lower()):
        raise typer.BadParameter(f"{text[:40]!r} is not a number such as 0.5 or 1e-3")
    return float(text)


def path(given: str | Path) -> Path:
    """A path, `~` expanded. Raises typer.BadParameter for what is no place of this machine."""
    try:
        return place(given)
    except PlaceError as error:
        raise typer.BadParameter(str(error)) from error


def time_line(seconds: Mapping[str, float]) -> str:
    """How long a certificate took, and what of it what."""
    spent = ", ".join(f"{what} {took:.1f} s" for what, took in seconds.items() if took >= 0.05)
    return f"{sum(seconds.values()):.1f} s ({spent})" if spent else "less than 0.1 s"
