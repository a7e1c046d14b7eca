"""Labelled one-dimensional signals, such as sounds: what the trainer and the evaluation read.

Owns the reading of a dataset folder or Hub dataset with a column of lists of numbers and a label column. May import
datasets and torch; knows nothing of pipelines, causal models or generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from mmmi_hf.flow.training.examples import Examples, checked_labels, class_names_in, only_column

if TYPE_CHECKING:
    from jaxtyping import Float, Num


@dataclass(frozen=True)
class LabelledSignals(Examples):
    """Signals of one length: values are numbers (n, length) as a data set has them, int16 or float32.

    Attributes:
        gain: times this they are what a pipeline makes.
    """

    noun = "signals"
    gain: float = 1.0

    def floats(self, values: Num[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """Times the gain."""
        return values.to(torch.float32) * self.gain


def load_signals(
    source: str,
    *,
    split: str = "train",
    length: int,
    gain: float = 1.0,
    signal_column: str,
    label_column: str | None = None,
    revision: str | None = None,
    progress: bool = True,
) -> LabelledSignals:
    """Read a split of a dataset folder or Hub dataset into memory.

    Args:
        source: a folder, or a Hub dataset id, that `datasets.load_dataset` accepts.
        split: its split.
        length: of the signals returned: longer ones are cut after so many samples, shorter ones end in zeros.
        gain: by which all numbers are multiplied.
        signal_column: a column of lists of numbers.
        label_column: by default the only ClassLabel column, or a column called `label`.
        revision: of a Hub dataset.
        progress: show a progress bar.

    Raises:
        ValueError: no such column, another kind of column, or numbers that are not finite.
    """
    import datasets

    data = datasets.load_dataset(source, split=split, revision=revision)
    label_column = label_column or only_column(data.features, datasets.ClassLabel, "label", source)
    for column in (signal_column, label_column):
        if column not in data.features:
            raise ValueError(f"{source} has no column {column!r}; it has {sorted(data.features)}")
    feature = data.features[signal_column]
    kind = getattr(getattr(feature, "feature", None), "dtype", "")
    if not isinstance(feature, datasets.List) or not kind.startswith(("int", "uint", "float")):
        raise ValueError(f"column {signal_column!r} of {source} must hold lists of numbers, got {feature}")
    names = class_names_in(data, label_column)
    small = kind in ("int8", "uint8", "int16")
    values = np.zeros((len(data), length), np.int16 if small else np.float32)
    labels: list[int] = []
    data = data.select_columns([signal_column, label_column]).with_format("arrow")
    with tqdm(total=len(data), desc=f"reading {split}", unit="signal", disable=not progress) as bar:
        for batch in data.iter(batch_size=1000):
            for row, signal in enumerate(batch[signal_column], start=len(labels)):
                if signal.values is None or signal.values.null_count:
                    raise ValueError(f"row {row} of {source} has numbers missing in {signal_column!r}")
                numbers = signal.values.to_numpy()[:length]
                values[row, : len(numbers)] = numbers
                bar.update()
            labels.extend(batch[label_column].to_pylist())
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(f"row {row} of {source} has NaN or infinity in {signal_column!r}; repair or remove it")
    found = checked_labels(labels, names, f"split {split!r} of {source}")
    return LabelledSignals(torch.from_numpy(values), found, names, gain)
