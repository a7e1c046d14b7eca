"""Which figures belong to a configuration, a dataset folder and a family, and where they are written.

Owns the choice of figures, their file names and captions, and the reading of the few rows that they show. The drawing
is figures/'s, which knows no datasets; matplotlib is imported when something is drawn.

    DIR/SUBJECT/NAME.png        what `mmmi-hf figures` writes
    figures/CONFIG/NAME.png     in a dataset folder, for its card
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmmi_hf.causal import CausalModel, InfiniteInformationError, Latents, NotExactError
from mmmi_hf.common.failures import in_one_line
from mmmi_hf.common.places import folder_to_write
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest, ModalityEntry
from mmmi_hf.dataset.format.reading import DataFile
from mmmi_hf.dataset.format.schema import missing_column, pmi_pairs
from mmmi_hf.dataset.format.target_columns import target_names
from mmmi_hf.dataset.format.views import is_view_column
from mmmi_hf.dataset.releases.registry import class_name, get_configuration, get_family
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTIONS = {
    "causal_graph": "The causal graph with its coefficients.",
    "tuples": "The first rows, with the pointwise mutual information of each, in nats.",
    "information": "Mutual information of every pair of blocks, exact, in nats.",
    "templates": "Templates of the causes, and the information about y in every single latent coordinate.",
    "pointwise": "Pointwise mutual information of all rows; its mean estimates the mutual information.",
    "overview": "The information of every configuration of the family.",
    "decay": "Information against the number of the modality (the paper's Fig. 6).",
    "gallery": "Templates and information maps in latent coordinates, one configuration per row.",
}
ROWS_SHOWN = 6
ROWS_COUNTED = 1_000_000
"""Rows of a histogram, of a configuration that has more: the first ones."""
MOST_MODALITIES = 12
_ROUNDING = 1e-9
"""Nats by which sums of information may differ for nothing."""


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn: the name of its file, and what draws it."""

    name: str
    figure: Callable[[], Figure]


def configuration_pictures(
    name: str | None, model: CausalModel, *, standardize: str, compact: bool = False
) -> Iterator[Picture]:
    """What a configuration alone says: its graph, its table of information, its templates and information maps.

    Without a name they have no title.
    """
    from mmmi_hf.figures import causal_graph, information_table, templates_and_maps

    look: Any = {"title": name, "compact": compact}
    yield Picture("causal_graph", lambda: causal_graph(model, **look))
    yield Picture("information", lambda: information_table(model, **look))
    yield Picture("templates", lambda: templates_and_maps(model, standardize=standardize, **look))


def folder_pictures(folder: DatasetFolder, name: str) -> Iterator[Picture]:
    """All figures of a complete configuration of a dataset folder, those of its rows included.

    Raises:
        ConfigurationError: the configuration is not there, or a file of it is missing or cannot be read.
    """
    manifest = folder.known_manifest(name)
    try:
        model = folder.model(name)
    except OSError as error:
        path = folder.causal_model(name)
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}); generate {name!r} again") from error
    yield from configuration_pictures(name, model, standardize=manifest.standardize)
    files = folder.data_files(manifest)
    yield Picture("tuples", lambda: stored_tuples_figure(name, model, manifest, first_rows(files)))
    if manifest.rows > 1:
        yield Picture("pointwise", lambda: _pointwise_figure(name, model, files))


def family_pictures(name: str) -> Iterator[Picture]:
    """What a family's configurations say side by side; those of its only one where it has one.

    Raises:
        ConfigurationError: no such family.
    """
    from mmmi_hf.figures import DecaySetting, decay_curves, family_overview, template_gallery

    configs = [get_configuration(one) for one in get_family(name).configurations]
    models = {config.name: config.model for config in configs}
    if len(configs) == 1:
        yield from configuration_pictures(configs[0].name, configs[0].model, standardize=configs[0].standardize)
        return
    decays = [config.causal_model for config in configs if _story(config.causal_model) == "decaying_modalities"]
    if len(decays) == len(configs):
        settings = [
            DecaySetting(spec["alpha"], spec["beta"], config.model)
            for spec, config in zip(decays, configs, strict=True)
            if isinstance(spec, Mapping)
        ]
        yield Picture("decay", lambda: decay_curves(settings))
    else:
        yield Picture("overview", lambda: family_overview(models))
    made_of_causes = all(model.structure is not None for model in models.values())
    if made_of_causes and len({_pattern(model).tobytes() for model in models.values()}) > 1:
        yield Picture("gallery", lambda: template_gallery(models))


def draw(
    pictures: Iterator[Picture],
    out: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("png",),
    tick: Callable[[], object] = lambda: None,
) -> list[Path]:
    """Write pictures to out/NAME.FORMAT; returns the files. Raises ValueError for an unknown format."""
    from mmmi_hf.figures import check_formats, save

    kinds = check_formats(formats)
    target, written = folder_to_write(out), []
    for picture in pictures:
        written += save(picture.figure(), target / picture.name, kinds)
        tick()
    return written


def draw_for_card(folder: DatasetFolder, name: str) -> list[Path]:
    """Draw what the card of a folder shows of a configuration and does not have yet."""
    place = folder.figures(name)
    for partial in place.glob(".*.partial"):  # of a killed run
        partial.unlink()
    missing = (one for one in folder_pictures(folder, name) if not (place / f"{one.name}.png").is_file())
    return draw(missing, place)


def shown_in_card(folder: DatasetFolder, name: str) -> list[dict[str, str]]:
    """The figures of a configuration that are there, as the card's template takes them: name, path, caption."""
    place = folder.figures(name)
    there = {file: caption for file, caption in CAPTIONS.items() if (place / f"{file}.png").is_file()}
    if "pointwise" in there and folder.known_manifest(name).rows > ROWS_COUNTED:
        there["pointwise"] = there["pointwise"].replace("all rows", f"the first {ROWS_COUNTED:,} rows")
    return [
        {"name": file, "path": (place / f"{file}.png").relative_to(folder.path).as_posix(), "caption": caption}
        for file, caption in there.items()
    ]


def stored_tuples_figure(
    name: str, model: CausalModel, manifest: Manifest, rows: Mapping[str, Any], *, compact: bool = False
) -> Figure:
    """`tuples_figure` of rows of a dataset folder, with their latents where the seed is told."""
    latents = None
    if manifest.seed is not None:
        latents = model.sample_rows(rows["row"], seed=manifest.seed, standardize=manifest.standardize)
    return tuples_figure(name, model, manifest.modalities, rows, latents=latents, compact=compact)


def tuples_figure(
    name: str,
    model: CausalModel,
    modalities: Sequence[ModalityEntry],
    rows: Mapping[str, Any],
    *,
    latents: Latents | None = None,
    compact: bool = False,
) -> Figure:
    """Rows as a grid of tuples, with the pointwise information of pairs.

    Where all modalities together tell more of y than each tells, added up, theirs stands there too.

    Args:
        name: of the configuration.
        model: its causal model.
        modalities: as a manifest lists them.
        rows: column → the values of a few rows.
        latents: of these rows; None where the seed is not told.
        compact: without title, and of the numbers the row, y and what stands for all modalities alone; it can be
            read at the width of a phone.
    """
    from mmmi_hf.figures import style, tuple_grid

    shown = dict(list(zip(model.modalities, modalities, strict=True))[:MOST_MODALITIES])
    data = {one: _array(rows[one]).reshape(-1, *model.shapes[one]) for one in shown}
    for one in model.law.missing.keys() & shown.keys():
        data[one][np.array(rows[missing_column(one)])] = np.nan
    pairs = list(pmi_pairs(model).items())
    if len(pairs) > 3:
        first, last = model.modalities[0], model.modalities[-1]
        pairs = [(column, pair) for column, pair in pairs if pair in ((first, "y"), (last, "y"), model.modalities[:2])]
    numbers = {style.symbol(column): _target_values(model, rows[column]) for column in target_names(model)[:3]}
    everything, synergy = model.modalities, latents is not None and _is_more_than_its_parts(model)
    if compact:
        few = list(numbers.items())[: 1 if len(data) > 1 else 2]
        numbers = {"row": [str(row) for row in rows["row"]], **dict(few)}
    else:
        numbers |= {style.pointwise(*pair): _array(rows[column]) for column, pair in pairs}
    if latents is not None and synergy:
        numbers[style.pointwise(everything, "y")] = model.pointwise_mutual_information(latents, everything, "y")
    exact = ", ".join(
        f"{style.information(a, b)} = {style.nats(model.mutual_information(a, b))}" for _, (a, b) in pairs
    )
    if len(modalities) > 2 or synergy:
        exact += f", {style.information(everything, 'y')} = {style.nats(model.mutual_information(everything, 'y'))}"
    part = f" (the first {len(shown)} of {len(modalities)} modalities)" if len(shown) < len(modalities) else ""
    return tuple_grid(
        data,
        numbers,
        half_ranges={
            one: float(np.nanmax(np.abs(data[one]), initial=0.0)) or 1.0
            if entry.view is None
            else entry.view.half_range
            for one, entry in shown.items()
        },
        kinds={one: entry.view.kind for one, entry in shown.items() if entry.view is not None},
        captions={one: class_name(entry.pipeline, entry.class_label) or entry.pipeline for one, entry in shown.items()},
        title=None if compact else f"{name}{part}\n{exact} nats",
        compact=compact,
    )


def _is_more_than_its_parts(model: CausalModel) -> bool:
    """Whether I(x1,…;y) is known and exceeds the sum of I(xi;y)."""
    try:
        parts = sum(model.mutual_information(one, "y") for one in model.modalities)
        return model.mutual_information(model.modalities, "y") > parts + _ROUNDING
    except (InfiniteInformationError, NotExactError):
        return False


def _target_values(model: CausalModel, values: Any) -> Any:
    """Numbers, or names of classes."""
    names = () if model.target is None else model.target.class_names
    return [names[int(value)] for value in values] if names else _array(values)


def first_rows(files: Sequence[DataFile], count: int = ROWS_SHOWN) -> dict[str, list[Any]]:
    """Column → its first values, without the views, which are not needed here.

    Raises:
        ConfigurationError: a file that is missing or no Parquet.
    """
    rows: dict[str, list[Any]] = {}
    for file in files:
        wanted = count - len(rows.get("row", []))
        if wanted <= 0:
            break
        with _opened(file) as opened:
            columns = [column for column in opened.schema_arrow.names if not is_view_column(column)]
            for batch in islice(opened.iter_batches(batch_size=wanted, columns=columns), 1):
                for column, values in zip(columns, batch.columns, strict=True):
                    stored = values.storage if hasattr(values, "storage") else values
                    rows.setdefault(column, []).extend(stored.to_pylist())
    return rows


def _pointwise_figure(name: str, model: CausalModel, files: Sequence[DataFile]) -> Figure:
    from mmmi_hf.figures import pointwise_histograms

    columns, tables, have = pmi_pairs(model), [], 0
    for file in files:
        with _opened(file) as opened:
            for group in range(opened.metadata.num_row_groups):
                if have < ROWS_COUNTED:
                    tables.append(opened.read_row_group(group, columns=list(columns)))
                    have += len(tables[-1])
    values = {
        pair: np.concatenate([table.column(column).to_numpy() for table in tables])[:ROWS_COUNTED]
        for column, pair in columns.items()
    }
    return pointwise_histograms(model, values, title=name)


def _opened(file: DataFile) -> Any:
    try:
        return file.opened()
    except (OSError, ValueError) as error:
        reason = in_one_line(error)
        raise ConfigurationError(f"{file.name} cannot be read ({reason}); generate the configuration again") from error


def _array(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def _story(spec: object) -> str | None:
    return spec.get("story") if isinstance(spec, Mapping) else None


def _pattern(model: CausalModel) -> np.ndarray:
    """The templates of x1, each over its length, so that they are equal where only their scale differs."""
    patterns = [model.template(0, cause) for cause in range(len(model.eta)) if model.weights[0, cause]]
    return np.round(
        np.concatenate([np.zeros(1), *(t.ravel() / np.linalg.norm(t) for t in patterns if t is not None)]), 9
    )
