"""The columns of the target: what a model's y is stored as, and how it is read back.

Owns their names, features and manifest entries. May import datasets and pyarrow; never torch.

    y                     float64, or ClassLabel with the names of the classes
    y1, y2, …             float64 each, of several numbers
    y_posterior           optional: p(class | x1 … xM) of the row, a fixed-length list of float64, exact
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from mmmi_hf.causal import CausalModel, Latents
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.dataset.format.manifest import POSTERIOR, Target
from mmmi_hf.dataset.format.reading import StoredDataError, as_array


def target_names(model: CausalModel) -> list[str]:
    """The columns that hold y."""
    return [f"{TARGET}{place + 1}" for place in range(model.law.target_shape[0])] if _several(model) else [TARGET]


def target_features(model: CausalModel, *, store_posterior: bool = False) -> dict[str, Any]:
    """Column → feature of y, and of its posterior where that is stored."""
    names = () if model.target is None else model.target.class_names
    feature = datasets.ClassLabel(names=list(names)) if names else datasets.Value("float64")
    columns: dict[str, Any] = dict.fromkeys(target_names(model), feature)
    if store_posterior:
        columns[POSTERIOR] = datasets.List(datasets.Value("float64"), length=model.classes)
    return columns


def target_values(model: CausalModel, latents: Latents, *, store_posterior: bool = False) -> dict[str, np.ndarray]:
    """Column → its values of some rows, (n,), and of the posterior (n, classes)."""
    names = target_names(model)
    columns = dict(zip(names, latents.y.T, strict=True)) if _several(model) else {TARGET: latents.y}
    if store_posterior:
        columns[POSTERIOR] = model.class_posterior(latents, model.modalities)
    return columns


def stored_target(model: CausalModel, column: Callable[[str], pa.Array]) -> np.ndarray:
    """y of stored rows, (n,), or (n, m) of several numbers.

    Args:
        column: a column of the rows by its name.

    Raises:
        StoredDataError: missing values, another type, or numbers that are no classes.
    """
    labels = model.classes is not None
    found = [as_array(column(name), name, (), np.int64 if labels else np.float64) for name in target_names(model)]
    if labels and ((found[0] < 0) | (found[0] >= (model.classes or 0))).any():
        raise StoredDataError(
            f"column {TARGET} has labels that are no classes, expected 0 … {(model.classes or 0) - 1}"
        )
    return np.stack(found, axis=1) if _several(model) else found[0]


def target_entries(model: CausalModel, *, store_posterior: bool) -> tuple[Target, ...] | None:
    """What a manifest says of the columns; None for the one number y."""
    if model.target is None and model.classes is None:
        return None
    kind: dict[str, Any] = {} if model.classes is None else {"kind": "class", "classes": model.classes}
    entries = [Target(name=name, **kind) for name in target_names(model)]
    if store_posterior:
        entries.append(Target(name=POSTERIOR, shape=(model.classes or 0,)))
    return tuple(entries)


def column_rows(models: Iterable[CausalModel], *, posterior: bool) -> list[dict[str, str]]:
    """What a table of columns says of the target: name, type and meaning, over all models."""
    rows: dict[tuple[str, str, str], None] = {}
    for model in models:
        names = target_names(model)
        shown = ", ".join(f"`{name}`" for name in (names if len(names) <= 3 else [names[0], "…", names[-1]]))
        if model.classes is not None and model.target is not None:
            few = model.target.class_names if model.classes <= 3 else (*model.target.class_names[:2], "…")
            rows[
                shown, "ClassLabel", f"the target: one of {model.classes} classes ({', '.join(map(_in_a_table, few))})"
            ] = None
        else:
            rows[shown, "float64", "the target" if len(names) == 1 else "the numbers of the target"] = None
    if posterior:
        meaning = "the exact probability of each class given all modalities of the row"
        rows[f"`{POSTERIOR}`", "float64 list", meaning] = None
    return [{"name": name, "type": kind, "meaning": meaning} for name, kind, meaning in rows]


def _several(model: CausalModel) -> bool:
    return bool(model.law.target_shape)


def _in_a_table(name: str) -> str:
    """A name as Markdown has it in a table."""
    return html.escape(name, quote=False).replace("|", "\\|")
