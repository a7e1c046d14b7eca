"""The command line `mmmi-hf` (also `hf-mmmi`).

Owns arguments, printing and exit codes: 0 done; 1 it failed; 2 the request is wrong (one line saying what, what was
given and what would be right). Calls the rooms, and no room imports it; heavy libraries are imported by the command
that needs them. A module holds the commands of one subject; `main` knows them all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import typer

from mmmi_hf.cli import benchmark, configurations, design, extension, family, figures, flows, generate, hub, verify
from mmmi_hf.cli.application import app, number, path, whole
from mmmi_hf.cli.explorer import explore
from mmmi_hf.common.failures import Failure, in_words
from mmmi_hf.common.terminal import PrintableStream, nearest, printable

__all__ = [
    "app",
    "benchmark",
    "configurations",
    "design",
    "explore",
    "extension",
    "family",
    "figures",
    "flows",
    "generate",
    "hub",
    "main",
    "run",
    "verify",
]


_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    run(app, arguments, "mmmi-hf")


def run(program: typer.Typer, arguments: Sequence[str] | None, name: str) -> None:
    """Run a program of that name and exit: one line for every error, with its exit code."""
    sys.exit(_run(program, arguments, name))


def _run(program: typer.Typer, arguments: Sequence[str] | None, name: str) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    ours = not {"--install-completion", "--show-completion"} & set(given)  # what else is printed is a shell's to read
    try:
        _check_pairs(given)
        with contextlib.redirect_stdout(cast("Any", PrintableStream(sys.stdout) if ours else sys.stdout)):
            code: Any = _command(program)(args=arguments, prog_name=name, standalone_mode=False)
        if code != _INTERRUPTED:
            return code if isinstance(code, int) else 0
        message, status = _explained(KeyboardInterrupt())  # Typer turns one into its exit code
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 – the reader went away; nothing more can be printed
        return 0
    except (Exception, KeyboardInterrupt) as error:
        message, status = _explained(error)
    print(printable(f"{name}: {' '.join(message.split())}"), file=sys.stderr)
    return status


_SHOWN = {int: "INTEGER", list[int]: "INTEGER", float: "NUMBER", Path: "PATH", str: "TEXT", list[str]: "TEXT"}
_READERS: dict[Any, Any] = {int: whole, float: number, Path: path}


def _command(program: typer.Typer) -> Any:
    """The command of a program, in which every number is read by `whole` or `number` and every path by `path`, and no
    help names a type of Python."""
    command: Any = typer.main.get_command(program)
    for each in (command, *getattr(command, "commands", {}).values()):
        for parameter in each.params:
            kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
            if kind in _READERS:
                parameter.type_descriptor.parameter_info.parser = _READERS[kind]
            if parameter.param_type_name == "argument":
                parameter.metavar = parameter.metavar or parameter.name.upper()
                parameter.display_type_rich = _nothing
            elif kind in _SHOWN:
                parameter.metavar = parameter.metavar or _SHOWN[kind]
    return command


def _nothing(ctx: Any) -> str:
    """The type that is shown beside the name of an argument."""
    del ctx
    return ""


def _check_pairs(arguments: Sequence[str]) -> None:
    """Refuse `--x --no-x`, of which the last would win without a word."""
    given = list(arguments)
    words = set(given[: given.index("--")] if "--" in given else given)
    for word in sorted(words):
        if word.startswith("--no-") and (other := f"--{word.removeprefix('--no-')}") in words:
            raise ValueError(f"{other} and {word} contradict each other; give one of them")


def _explained_usage(error: Any) -> str:
    """What is wrong with a command line; of an unknown option, also which one may be meant."""
    if not hasattr(error, "possibilities"):
        return str(error.format_message())
    names = [name.lstrip("-") for each in error.ctx.command.params for name in (*each.opts, *each.secondary_opts)]
    meant = [f"--{name}" for name in nearest(error.option_name.lstrip("-"), [name for name in names if len(name) > 1])]
    hint = f"did you mean {', '.join(meant)}?" if meant else "see --help"
    return f"no option {error.option_name!r}: {hint}"


def _explained(error: BaseException) -> tuple[str, int]:
    """One line for an error, and its exit code."""
    if isinstance(error, typer.TyperException):
        return _explained_usage(error), error.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted; run the same command again to continue", _INTERRUPTED
    if isinstance(error, Failure):  # first: damaged files are a wrong request of Python's too
        return str(error), 1
    if isinstance(error, ValueError):
        return str(error), 2
    if os.environ.get("MMMI_HF_TRACEBACK"):
        raise error
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"failed: {os.fsdecode(error.filename)}: {error.strerror[:1].lower()}{error.strerror[1:]}", 1
    return f"failed: {in_words(error)} (MMMI_HF_TRACEBACK=1 shows where)", 1
