"""What the page says of a dataset: its truth, its certificate in words, pictures, and what `load_dataset` gives.

Owns the words that are not the card's. Reads the small files of the folder, and a few rows as any user does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mmmi_hf.explorer import html
from mmmi_hf.explorer.drawing import GRAPH, INFORMATION, TEMPLATES, shown
from mmmi_hf.explorer.failing import in_a_line
from mmmi_hf.explorer.reading.places import Place
from mmmi_hf.explorer.surroundings import MOST_CONFIGURATIONS, MOST_ROWS

_TRIES = 2
_WORDS = 24
_READ = (
    "“nats” is what the causal model says, exactly. The others say how much of it the stored rows keep at least, as "
    "the certificate states: of the float32 numbers, and of the view, the 8-bit image or 16-bit sound. – is not "
    "measured."
)


@dataclass(frozen=True)
class Described:
    """What is shown of one configuration: HTML."""

    truth: str
    certificate: str
    pictures: str
    plain: str


def located(where: Place) -> tuple[Path, list[str], str]:
    """The folder of a dataset's small files, its configurations, and a sentence on where it is from.

    Raises:
        ValueError: no such dataset or revision, or none that is known.
        Failure: the Hub did not answer.
    """
    from mmmi_hf.dataset.format.folder import DatasetFolder
    from mmmi_hf.hub.client.retries import Backoff
    from mmmi_hf.hub.loading.load import locate

    found = locate(where.name, where.revision, backoff=Backoff(attempts=_TRIES, base=0.2))
    names = DatasetFolder(found.folder, reading=True).configurations()
    if not names:
        raise ValueError(f"{where.name} holds no configuration of this package; give a folder that `generate` made")
    said = "1 configuration" if len(names) == 1 else f"{len(names):,} configurations"
    if found.commit:
        said += f" of {where.name}, revision {found.revision}, commit {found.commit[:12]}"
    return found.folder, names[:MOST_CONFIGURATIONS], f"{said}."


def described(where: Place, root: Path, name: str) -> Described:
    """What a configuration holds and knows.

    Raises:
        ValueError: it is not there, or a file of it is missing, cannot be read, or contradicts another.
    """
    from mmmi_hf.dataset.cards.text import summary
    from mmmi_hf.dataset.certificate.folder_checks import statement_problems
    from mmmi_hf.dataset.format.folder import DatasetFolder

    folder = DatasetFolder(root, reading=True)
    if name not in folder.configurations():
        raise ValueError("there is no such configuration in this dataset; choose one of the list")
    manifest = folder.known_manifest(name)
    problems = statement_problems(folder, name, manifest)
    if problems:
        raise ValueError(f"{name} is damaged: {problems[0]}; `mmmi-hf verify` looks at all of its files")
    model = folder.model(name)
    told = summary(folder, name, manifest)
    try:
        rows, plain = _plain(where, name)
    except Exception as error:  # whatever the library says of foreign files
        raise ValueError(f"plain load_dataset cannot read {name} of {where.name}: {in_a_line(error)}") from error
    return Described(
        _truth(told), _certificate(folder, name, model), _pictures(folder, manifest, name, model, rows), plain
    )


def _truth(told: dict[str, Any]) -> str:
    from mmmi_hf.dataset.cards.text import bound, nats
    from mmmi_hf.dataset.format.ground_truth import BOUNDS

    rows = [
        (
            row["quantity"],
            nats(row["value"]),
            *("–" if row[column] is None else bound(row[column]) for column in BOUNDS),
        )
        for row in told["truth"].to_pylist()
    ]
    facts = f"{told['config']} {told['version']}: {told['rows']:,} rows, {told['shapes']}. {told['description'] or ''}"
    header = ("quantity", "nats", *(column.replace("_", ", ") for column in BOUNDS))
    return (
        html.note(facts)
        + html.table(header, rows, caption="Ground truth", right=range(1, len(header)))
        + html.note(_READ)
    )


def _certificate(folder: Any, name: str, model: Any) -> str:
    from mmmi_hf.dataset.cards.text import certificate_line
    from mmmi_hf.dataset.certificate.bounds import without_floor
    from mmmi_hf.dataset.format.certificate_record import bound_certificate

    found = bound_certificate(folder, name)
    if found is None:
        return html.note("No certificate: nothing was measured on these files. `mmmi-hf verify` measures it.")
    sentences = certificate_line(found, without_floor(model, found)).split("; ")
    return html.listed([f"{sentence[:1].upper()}{sentence[1:]}." for sentence in sentences])


def _plain(where: Place, name: str) -> tuple[dict[str, list[Any]], str]:
    """A few rows, and the columns as `datasets` names them, from `load_dataset` with nothing of ours."""
    import datasets

    revision = "" if where.revision is None else f', revision="{where.revision}"'
    program = (
        f'from datasets import load_dataset\n\ndata = load_dataset("{where.name}", "{name}"{revision})\n'
        'print(data["train"].features)'
    )
    opened = datasets.load_dataset(where.name, name, revision=where.revision, streaming=True)
    split = next(iter(opened))
    features = opened[split].features
    heard = [column for column, feature in features.items() if isinstance(feature, datasets.Audio)]
    kept = [column for column, feature in features.items() if not isinstance(feature, datasets.Image)]
    rows: dict[str, list[Any]] = {column: [] for column in kept}
    chosen = opened[split].select_columns(kept)
    for column in heard:  # as files: to decode them takes another package
        chosen = chosen.cast_column(column, datasets.Audio(decode=False))
    for row in islice(chosen, MOST_ROWS - 2):
        for column in kept:
            rows[column].append(row[column])
    first = {column: "a sound" if column in heard else _short(values[0]) for column, values in rows.items() if values}
    entries = [(column, _short(feature), first.get(column, "a picture")) for column, feature in features.items()]
    wav = [(f"{column} of row {n}", each["bytes"]) for column in heard for n, each in enumerate(rows.pop(column))]
    columns = html.table(("column", "feature", "first row"), entries, caption=f"Columns of the split {split}")
    return rows, html.code(program) + columns + html.sounds(wav)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "an array"
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= 2 * _WORDS else f"{text[:_WORDS]} … {text[-_WORDS:]}"


def _pictures(folder: Any, manifest: Any, name: str, model: Any, rows: dict[str, list[Any]]) -> str:
    from mmmi_hf.dataset.cards.pictures import CAPTIONS, configuration_pictures, stored_tuples_figure

    captions = {"causal_graph": GRAPH, "information": INFORMATION, "templates": TEMPLATES}
    tuples = stored_tuples_figure(name, model, manifest, rows, compact=True)
    parts = [shown(lambda: tuples, f"{name}: {CAPTIONS['tuples']}", f"The first {len(rows['row'])} rows.")]
    parts += [
        shown(
            picture.figure,
            f"{name}: {CAPTIONS[picture.name]}",
            captions[picture.name],
            picture.name,
            manifest.standardize,
            model.digest,
        )
        for picture in configuration_pictures(None, model, standardize=manifest.standardize, compact=True)
    ]
    return html.pictures(*parts, tall=True)
