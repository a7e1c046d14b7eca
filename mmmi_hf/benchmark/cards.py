"""Cards of benchmark results: README.md rendered from the results files in the same folder, never typed.

Owns the text of the card and the check that it is up to date. A card's folder holds `results.json`, `summary.json`,
`benchmark.json` and, where they were made, `regression/` and `ssl/`; `plots/` beside them is shown. `make.sh`, if it is
there, is named as the command that made everything.

    python -m mmmi_hf.benchmark.cards model_cards/benchmark-small          # write README.md
    python -m mmmi_hf.benchmark.cards model_cards/benchmark-small --check  # exit 1 and show the difference if stale
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from mmmi_hf.benchmark.downstream import downstream_markdown, summarize_downstream
from mmmi_hf.benchmark.summary import markdown, summarize

CARD = "README.md"


def benchmark_card(folder: Path) -> str:
    """The text of the card.

    Raises:
        ValueError: files are missing, or the summaries are not those of the results.
    """
    about = _read(folder / "benchmark.json")
    rows = _read(folder / "results.json")
    summary = summarize(rows)
    if summary != _read(folder / "summary.json"):
        raise ValueError(f"{folder}: summary.json is not the summary of results.json; run the benchmark command again")
    tasks = {}
    for kind in ("regression", "ssl"):
        if (folder / kind).is_dir():
            of_task = summarize_downstream(_read(folder / kind / "results.json"))
            tasks[kind] = {"table": downstream_markdown(of_task), "about": _read(folder / kind / "benchmark.json")}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mmmi_hf.benchmark", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template("benchmark_card.md.j2").render(
        about=about,
        table=markdown(summary, beside_paper=True).strip(),
        training=next((s["training"] for s in about["estimators"].values() if "training" in s), None),
        script=(folder / "make.sh").is_file(),
        tasks=tasks,
        plots=_plots(folder),
        sizes=_sizes(rows),
    )


def write_card(folder: Path) -> Path:
    """Write README.md; returns where it is."""
    (folder / CARD).write_text(benchmark_card(folder))
    return folder / CARD


def stale_lines(folder: Path) -> list[str]:
    """The difference between the card that is there and the one that would be written; empty where they agree."""
    there = (folder / CARD).read_text() if (folder / CARD).is_file() else ""
    return list(
        difflib.unified_diff(there.splitlines(), benchmark_card(folder).splitlines(), "there", "rendered", lineterm="")
    )


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"{path} is missing; give a folder that `mmmi-hf benchmark` wrote")
    return json.loads(path.read_text())


def _plots(folder: Path) -> list[str]:
    """Pictures relative to the folder, estimates first."""
    order = ("truth", "bias", "curves", "regression", "ssl")
    found = [*(folder / "plots").glob("*.png"), *folder.glob("*/plots/*.png")]
    return sorted(
        {str(path.relative_to(folder)) for path in found},
        key=lambda name: (order.index(Path(name).name.split("-")[0]), name),
    )


def _sizes(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Rows that a cell has: of training, validation and test, as text."""
    return {
        split: " or ".join(
            f"{size:,}" for size in sorted({row[f"{split}_rows"][1] - row[f"{split}_rows"][0] for row in rows})
        )
        for split in ("train", "validation", "test")
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Render or check cards; 0 done, 1 a card is stale, 2 a card cannot be rendered."""
    parser = argparse.ArgumentParser(prog="python -m mmmi_hf.benchmark.cards", description="Render or check cards.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders such as model_cards/benchmark-small")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with the difference if stale")
    options = parser.parse_args(arguments)
    code = 0
    for folder in options.folders:
        try:
            if not options.check:
                print(write_card(folder))
            elif difference := stale_lines(folder):
                print("\n".join(difference))
                code = max(code, 1)
        except ValueError as error:
            print(error, file=sys.stderr)
            code = 2
    return code


if __name__ == "__main__":
    sys.exit(main())
