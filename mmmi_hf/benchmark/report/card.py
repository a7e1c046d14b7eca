"""Cards of benchmark results: README.md rendered from the results files below the same folder.

Owns the text of the card. Every folder that `mmmi-hf benchmark` wrote, the card's own or one below it, is a section:
`results.json`, `summary.json`, `benchmark.json`, `seconds.json`, and `plots/`, which are shown. At the top stand
findings, made by rules, and three figures of all sections. `front.txt`, if it is there, says of which sections findings
are shown, in its order, and how many sentences of each at most; the others are folded. `remarks.md`, if it is there, is
what somebody adds, and the only text that is typed. Sections stand in the order of their paths. `make.sh`, if it is
there, is named as the command that made everything.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmmi_hf.benchmark.downstream.tasks import (
    PROBED,
    TASKS,
    downstream_markdown,
    largest_error,
    probed_table,
    summarize_downstream,
)
from mmmi_hf.benchmark.networks.training import Training
from mmmi_hf.benchmark.protocol.summary import beside_paper, curves_markdown, markdown, summarize
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.report.class_findings import class_findings
from mmmi_hf.benchmark.report.findings import findings, images_of
from mmmi_hf.benchmark.report.overview import errors_figure, forms_figure, intervals_figure
from mmmi_hf.benchmark.report.report import versions_of
from mmmi_hf.benchmark.report.ssl_findings import ssl_findings
from mmmi_hf.common.cards import Card, environment
from mmmi_hf.common.files import read_json
from mmmi_hf.figures.style import save

CARD = "README.md"
PICTURES = "overview"
_KINDS = {
    "estimators": "estimators of mutual information",
    "regression": "regression of y",
    "ssl": "self-supervised learning",
    "classification": "classification of y",
    "ssl-classes": "self-supervised learning, classes",
}


def benchmark_card(folder: Path) -> str:
    """The text of the card.

    Raises:
        ValueError: files are missing, or the summaries are not those of the results.
    """
    sections = _sections(folder)
    told = {each["place"]: {kind: those for kind, those in _findings(each).items() if those} for each in sections}
    every = {kind: those for kinds in told.values() for kind, those in kinds.items()}
    shown = _on_the_front(front, told) if (front := folder / "front.txt").is_file() else every
    return (
        environment(
            __package__,
            {"claim": lambda finding: finding.partition("\n")[0], "back": lambda finding: finding.partition("\n")[2]},
        )
        .get_template("benchmark_card.md.j2")
        .render(
            sections=sections,
            findings=every,
            shown=shown,
            folded={kind: rest for kind, those in every.items() if (rest := those[len(shown.get(kind, [])) :])},
            said=sum(bool(sentence.partition("\n")[0]) for those in every.values() for sentence in those),
            figures=[(str(path.relative_to(folder)), caption) for path, caption in _figures(folder, sections).items()],
            reads=_reads(sections),
            remarks=remarks.read_text().strip() if (remarks := folder / "remarks.md").is_file() else "",
            beside_paper=beside_paper([(each["part"], each["seen"], each["estimates"]) for each in sections]),
            hours=sum(section["seconds"] for section in sections) / 3600.0,
            versions=versions_of([section["about"]["versions"] for section in sections]),
            script=(folder / "make.sh").is_file(),
        )
    )


Told = dict[str, list[str]]
"""Kind of data → sentences."""


def _on_the_front(path: Path, told: dict[str, Told]) -> Told:
    """The sentences that stand on the first page.

    Args:
        path: of `front.txt`. told: by the path of the section below the card's folder.
    """
    shown: Told = {}
    for line in path.read_text().splitlines():
        place, *most = line.split() or [""]
        if place not in told or len(most) > 1 or not all(number.isdecimal() for number in most):
            raise ValueError(f"{path}: a line is a section's folder and how many sentences of it at most, not {line!r}")
        shown |= {kind: those[: int(most[0]) if most else None] for kind, those in told[place].items()}
    return shown


def _sections(folder: Path) -> list[dict[str, Any]]:
    """Every results folder, the card's own or one below it."""
    found = (path.parent for path in folder.rglob("benchmark.json"))
    places = sorted(place for place in found if not any(p.startswith(".") for p in place.relative_to(folder).parts))
    if not places:
        raise ValueError(f"{folder}: no benchmark.json here or below; give a folder that `mmmi-hf benchmark` wrote")
    sections: list[dict[str, Any]] = []
    for place in places:
        try:
            sections.append(_section(place, folder))
        except KeyError as error:
            raise ValueError(f"{place}: the results have no {error}; run the benchmark command again") from error
    return sections


def _agree(found: Any, stored: Any) -> bool:
    """Whether two summaries are the same but for the last digits of numbers, in which machines differ."""
    if isinstance(found, dict) and isinstance(stored, dict):
        return found.keys() == stored.keys() and all(_agree(found[key], stored[key]) for key in found)
    if isinstance(found, list) and isinstance(stored, list):
        return len(found) == len(stored) and all(map(_agree, found, stored))
    if isinstance(found, float) and isinstance(stored, float):
        return math.isclose(found, stored, rel_tol=1e-9, abs_tol=1e-12)
    return bool(found == stored)


def _section(place: Path, folder: Path) -> dict[str, Any]:
    """What the card says of one results folder."""
    about, rows = _read(place / "benchmark.json"), _read(place / "results.json")
    kind = place.name if place.name in TASKS else "estimators"
    summary = summarize(rows) if kind == "estimators" else summarize_downstream(rows)
    if not _agree(summary, _read(place / "summary.json")):
        raise ValueError(f"{place}: summary.json is not the summary of results.json; run the benchmark command again")
    if kind != "estimators":
        table, training = downstream_markdown(summary), about["training"]
    else:
        table = curves_markdown(summary) if len(about["train_rows"]) > 1 else markdown(summary)
        training = next((s["training"] for s in about["estimators"].values() if "training" in s), None)
    part = _part(place.parent if kind != "estimators" else place, folder)
    title = (f"{part}: {_KINDS[kind]}" if part else _KINDS[kind]).capitalize()
    return {
        "place": place.relative_to(folder).as_posix(),
        "part": part,
        "title": title,
        "anchor": anchor(title),
        "kind": kind,
        "data": _data(about["configurations"]),
        "about": about,
        "training": training,
        "seen": training is not None and not training["split"],
        "differs": _differences(training) if training is not None and not training["split"] else [],
        "table": table.strip(),
        "probed": _probed(summary) if kind in PROBED else "",
        "largest_error": largest_error(summary) if kind in PROBED else 0.0,
        "estimates": summary if kind == "estimators" else [],
        "rows": rows if kind == "estimators" else [],
        "told": rows if kind != "estimators" else [],
        "sizes": _sizes(rows),
        "seconds": sum(entry["total"] for entry in _read(place / "seconds.json").values()),
        "plots": _plots(place, folder),
        "remarks": remarks.read_text().strip()
        if place != folder and (remarks := place / "remarks.md").is_file()
        else "",
    }


_STOPPING = ("evaluate_every", "patience")  # without meaning where nothing stops early, as in the paper


def _differences(training: dict[str, Any]) -> list[str]:
    """Where a training on rows that are not split differs from the paper's recipe."""
    recipe = dataclasses.asdict(Training.paper())
    told = {name: value for name, value in training.items() if name in recipe and name not in _STOPPING}
    return [
        f"{name.replace('_', ' ')} {_number(value)} (the paper: {_number(recipe[name])})"
        for name, value in told.items()
        if value != recipe[name]
    ]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def anchor(title: str) -> str:
    """Where the Hub puts a heading: letters, digits, and hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _part(part: Path, folder: Path) -> str:
    """The folder's name without its number; nothing for the card's own folder."""
    return "" if part == folder else part.name.lstrip("0123456789-").replace("-", " ")


def _data(configurations: dict[str, Any]) -> list[str]:
    """What the configurations hold, alike ones together."""
    alike: dict[str, list[str]] = {}
    for name, of in configurations.items():
        kinds: dict[str, list[str]] = {}
        for modality in of["modalities"]:
            shape = " × ".join(map(str, modality["shape"])) or "one number"
            kinds.setdefault(f"{shape} by `{modality['pipeline']}`", []).append(modality["name"])
        blocks = "; ".join(f"{_span(names)} of {kind}" for kind, names in kinds.items())
        alike.setdefault(f"{blocks}; `{of['standardize']}`; {of['rows']:,} rows", []).append(f"`{name}`")
    return [f"{_span(names)}: {what}" for what, names in alike.items()]


def _span(names: Sequence[str]) -> str:
    """Names, or of more than three the first and the last."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"


def card_of(folder: Path) -> Card:
    """The card of a folder, `README.md`, and its figures."""
    return Card(folder / CARD, lambda: benchmark_card(folder), draw=lambda: draw_overview(folder))


def draw_overview(folder: Path) -> list[Path]:
    """Draw the figures of the top of the card; returns their files."""
    sections = [each for each in _sections(folder) if each["rows"]]
    several = [each["rows"] for each in sections if len({row["form"] for row in each["rows"]}) > 1]
    plain = {
        each["part"] or "here": rows for each in sections if not each["seen"] and (rows := images_of(each["rows"]))
    }
    written = []
    if plain:
        everything = [row for rows in plain.values() for row in rows]
        together = summarize([{**row, "series": "", "n": 0} for row in everything])
        written += save(errors_figure(plain), folder / PICTURES / "errors")
        written += save(intervals_figure(together), folder / PICTURES / "intervals")
    if several:
        written += save(forms_figure(max(several, key=len)), folder / PICTURES / "forms")
    return written


_CAPTIONS = {
    "errors": (
        "Estimate − truth of every cell: blue, darker where there is more to find; red of pairs that share nothing. "
        "◀ and ▶ are values beyond the edge."
    ),
    "intervals": (
        "How often stated intervals of 95 % hold the truth, and how often those of pairs that share nothing lie above "
        "0; all kinds of data together. Each bar is an exact interval of 95 % by itself, of cells taken as independent "
        "although sections may have rows in common: unlike the intervals of the findings, bars do not hold for all "
        "estimators together, which did not all meet the same data. Grey: what right intervals would reach. Who "
        "states none is left out."
    ),
    "forms": (
        "The same rows as latents, as the images made of them, and as the 8-bit pictures of these. Grey: the truth. "
        "Of several such sections, the one with most cells. Each bar is an interval of 95 % by itself, of the sampling "
        "of test rows only; bars do not hold together. "
        "◀ and ▶ are values beyond the edge."
    ),
}


def _figures(folder: Path, sections: Sequence[dict[str, Any]]) -> dict[Path, str]:
    """Path → caption of the figures that were drawn; none of results without estimators."""
    paths = {folder / PICTURES / f"{name}.png": caption for name, caption in _CAPTIONS.items()}
    return {path: caption for path, caption in paths.items() if path.is_file() and any(s["rows"] for s in sections)}


def _probed(summary: Sequence[dict[str, Any]]) -> str:
    """One score of every configuration and method, in Markdown."""
    headings, rows = probed_table(summary, facts=True)
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _findings(section: dict[str, Any]) -> dict[str, list[str]]:
    if section["kind"] != "estimators":
        if section["kind"] in PROBED:
            return ssl_findings(section["part"], section["told"], section["about"]["same_laws"])
        return class_findings(section["part"], section["told"]) if section["kind"] == "classification" else {}
    names = {row["estimator"] for row in section["estimates"]}
    bounds = {name: _class_of(name)[0] for name in names}
    return findings(section["part"], section["rows"], bounds, seen=section["seen"], differs=section["differs"])


def _reads(sections: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """What estimators of the sections read at their best, where that is not the information or a bound above it."""
    names = dict.fromkeys(row["estimator"] for each in sections for row in each["estimates"])
    told = [dict(zip(("name", "bound", "reads"), (name, *_class_of(name)), strict=True)) for name in names]
    return [row for row in told if row["reads"]]


def _class_of(name: str) -> tuple[str, str]:
    """Bound and best reading of an estimator; nothing of one that is not installed here."""
    try:
        kind = estimator_class(name)
    except ValueError:
        return "", ""
    return kind.bound, kind.reads


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ValueError(f"{path} is missing; give a folder that `mmmi-hf benchmark` wrote")
    return read_json(path)


def _plots(place: Path, folder: Path) -> list[str]:
    """Pictures of a results folder, relative to the card's, estimates first."""
    order = ("truth", "bias", "curves", *TASKS)
    found = sorted((place / "plots").glob("*.png"), key=lambda path: (order.index(path.name.split("-")[0]), path.name))
    return [str(path.relative_to(folder)) for path in found]


def _sizes(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Rows that a cell has: of training, validation and test, as text."""
    return {
        split: " or ".join(
            f"{size:,}" for size in sorted({row[f"{split}_rows"][1] - row[f"{split}_rows"][0] for row in rows})
        )
        for split in ("train", "validation", "test")
    }
