"""The blocks of the README and the tutorial, run in order as a new user would.

    python -m tests.readme.run_blocks                    # in the environment of this Python
    python -m tests.readme.run_blocks --python VENV/bin/python README.md

Owns what a block is, and how it is run. A block `sh` or `python` is run, one that begins with `# NAME.py` or
`# NAME.yaml` is kept as that file, and a comment above it, `<!-- not run: WHY -->`, leaves it out. All run in one empty
folder, with a home of its own and a loopback Hub; blocks of a shell share one. It stops at the first that fails. Lines
of more than 80 columns of a shell's block fail too, at the end.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.hub.clients import environment
from tests.hub.hub_data import TOKEN
from tests.hub.loopback import LoopbackHub
from tests.support import ROOT

DOCUMENTS = (ROOT / "README.md", ROOT / "model_cards" / "benchmark" / "tutorial.md")
RUN, SHOWN = ("sh", "python"), ("yaml", "toml", "text")
WIDTH = 80
_FENCE = re.compile(r"(?:<!-- not run: (?P<reason>[^\n]*?) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_PROGRAM = ".block.py"
_NAME = re.compile(r"# ([\w-]+\.(?:py|yaml))\b")


class BlockFailedError(Exception):
    """A block did not do what it should."""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text, and why it is not run, if it is not."""

    place: str
    kind: str
    text: str
    reason: str | None = None

    @property
    def file(self) -> str | None:
        """The name of the file that the block is; None for a block that is run."""
        named = _NAME.match(self.text)
        return named[1] if named else None


def blocks_of(document: Path) -> list[Block]:
    """The blocks of a document, in order. Raises ValueError for one that is neither run nor explained."""
    text = document.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        place = f"{document.name}:{text.count(chr(10), 0, fence.start('kind')) + 1}"
        block = Block(place, fence["kind"], fence["text"], fence["reason"])
        if block.kind not in (*RUN, *SHOWN):
            raise ValueError(f"{place}: a block in {block.kind!r} is neither run nor shown; name its language")
        found.append(block)
    if len(re.findall("^```", text, re.MULTILINE)) != 2 * len(found):
        raise ValueError(f"{document.name}: a fence that this program does not understand")
    return found


class Session:
    """One folder, one shell, and the variables that a new user has."""

    def __init__(self, folder: Path, python: Path, hub: LoopbackHub) -> None:
        self.folder, self.python = folder, python
        home = folder.parent / "home"
        home.mkdir()
        self.shorter = {str(home): "~", str(folder): ".", str(python.parent.parent): ".venv"}
        env = environment(hub, home / "hf", token=TOKEN, ours=False, HOME=str(home), COLUMNS=str(WIDTH))
        env["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"  # what `hf` says of its own news is not ours to wrap
        for name in ("OMP_NUM_THREADS", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
            env.pop(name)
        env["PATH"] = f"{python.parent}{os.pathsep}{env['PATH']}"  # what activating does
        if "PYTHONPATH" in os.environ and python == Path(sys.executable):
            env["PYTHONPATH"] = os.environ["PYTHONPATH"]
        self.wrong: list[str] = []
        self.shell = subprocess.Popen(
            ["bash", "-eo", "pipefail"],
            cwd=folder,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def run(self, block: Block) -> None:
        """Run a block, printing what it prints."""
        if block.file is not None:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.kind == "sh":
            self._in_the_shell(block, block.text)
        elif block.kind == "python":
            (self.folder / _PROGRAM).write_text(block.text, encoding="utf-8")
            self._in_the_shell(block, f"python {_PROGRAM}\n")

    def _in_the_shell(self, block: Block, commands: str) -> None:
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        script, end = self.folder.parent / "block.sh", "end-of-the-block"
        script.write_text(commands, encoding="utf-8")
        self.shell.stdin.write(f"source {script} < /dev/null\necho\necho {end}\n")
        self.shell.stdin.flush()
        for line in self.shell.stdout:
            if line.rstrip("\n") == end:
                break
            print(f"  {line}", end="", flush=True)
            if block.kind == "sh" and self._width(line.rstrip("\n")) > WIDTH and "%|" not in line:  # bars fit terminals
                self.wrong.append(f"{block.place} prints more than {WIDTH} columns: {line.rstrip()}")
        else:
            raise BlockFailedError(f"{block.place} failed with exit code {self.shell.wait()}")

    def _width(self, line: str) -> int:
        """Columns of a line, with the names that folders have where a user runs it."""
        for path, name in self.shorter.items():
            line = line.replace(path, name)
        return len(line)

    def close(self) -> None:
        """End the shell."""
        assert self.shell.stdin is not None
        self.shell.stdin.close()
        self.shell.wait(timeout=20)


def run_documents(documents: Sequence[Path], python: Path) -> None:
    """Run all blocks of documents in order.

    Raises:
        BlockFailedError: one failed, or its output does not fit a terminal.
    """
    blocks = [block for document in documents for block in blocks_of(document)]
    started, times = time.monotonic(), []
    with tempfile.TemporaryDirectory(prefix="mmmi-hf-readme-") as temporary, LoopbackHub(token=TOKEN) as hub:
        folder = Path(temporary) / "here"
        folder.mkdir()
        session = Session(folder, python, hub)
        try:
            for block in blocks:
                if block.kind in SHOWN and block.file is None:
                    continue
                print(f"\n── {block.place} ({block.kind})", flush=True)
                if block.reason is not None:
                    print(f"  not run: {block.reason}")
                    continue
                print("".join(f"> {line}" for line in block.text.splitlines(keepends=True)), flush=True)
                began = time.monotonic()
                session.run(block)
                times.append((time.monotonic() - began, block.place))
                print(f"  ({times[-1][0]:.1f} s)")
        finally:
            session.close()
        session.wrong += [f"the loopback Hub does not know {request}" for request in hub.unknown]
    print("\n" + "\n".join(f"{seconds:7.1f} s  {place}" for seconds, place in times))
    if session.wrong:
        raise BlockFailedError("\n".join(session.wrong))
    print(f"{time.monotonic() - started:7.1f} s  {len(times)} blocks, all as printed")


def main() -> int:
    """Run what was asked for; 0 if every block works."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("documents", nargs="*", type=Path, default=DOCUMENTS, help="default: README.md, tutorial.md")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of the environment to run them in")
    options = parser.parse_args()
    try:
        run_documents(options.documents, options.python.absolute())
    except (BlockFailedError, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
