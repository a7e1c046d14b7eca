"""Bayes accuracies of released label families by latents that were recovered from stored bytes.

    python -m tests.dataset.recovered_labels NAME [--rows 256] [--out FILE.npz]

Makes the first rows of a configuration, stores them as Parquet in memory, reads the float images back, inverts them
through the pipelines, and compares the guess of the exact posterior with the labels. An inverse costs tenths of a
second of one core: with --out what was inverted is kept, and the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import io
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mmmi_hf.causal import Latents
from mmmi_hf.common.files import write_bytes
from mmmi_hf.dataset.certificate.inversion import recover
from mmmi_hf.dataset.format.reading import as_array
from mmmi_hf.dataset.format.schema import missing_column
from mmmi_hf.dataset.generation.rows import MICRO_BATCH, class_labels, load_bijections, make_rows
from mmmi_hf.dataset.releases.registry import get_configuration


def recovered(
    name: str, rows: int, kept: Path | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Latents (rows, *shape) of every modality from the stored float images of a configuration, which rows (rows,) lack
    it by their flags, and the labels. Latents are NaN in rows that lack a modality, and where an inverse failed.

    Args:
        name: the configuration. rows: how many. kept: a file of what was inverted, which is read and written.
    """
    config = get_configuration(name)
    bijections, labels = load_bijections(config, device="cpu"), class_labels(config)
    found: dict[str, np.ndarray] = {}
    if kept is not None and kept.is_file():
        with np.load(kept) as content:
            found = dict(content)
    done = len(found.get("y", []))
    for start in range(done, rows, MICRO_BATCH):
        table = read_back(make_rows(config, start, min(start + MICRO_BATCH, rows), bijections=bijections))
        part = {"y": as_array(table["y"].chunk(0), "y", (), np.int64)}
        for modality, shape in config.model.shapes.items():
            stored = as_array(table[modality].chunk(0), modality, shape, np.float32)
            gone = np.zeros(len(stored), dtype=np.bool_)
            if modality in config.model.law.missing:
                flag = missing_column(modality)
                gone = part[flag] = as_array(table[flag].chunk(0), flag, (), np.bool_)
            part[modality] = recover(bijections[modality], labels[modality], stored, missing=gone)
        found = {key: np.concatenate([found[key], values]) if key in found else values for key, values in part.items()}
        if kept is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **found)
            write_bytes(kept, buffer.getvalue())
    none = np.zeros(rows, dtype=np.bool_)
    gone = {modality: found.get(missing_column(modality), none)[:rows] for modality in config.model.modalities}
    return {modality: found[modality][:rows] for modality in config.model.modalities}, gone, found["y"][:rows]


def read_back(table: pa.Table) -> pa.Table:
    """A table as it is read from Parquet that it was written to."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return pq.read_table(pa.BufferReader(sink.getvalue())).combine_chunks()


def judged(name: str, rows: int, kept: Path | None = None) -> tuple[float, float, float, int]:
    """The share of rows that are guessed right, the Bayes accuracy, the z-score, and inverses that failed.

    A row whose inverse failed counts as one that says nothing: its latents are zeros.
    """
    model = get_configuration(name).model
    latents, gone, labels = recovered(name, rows, kept)
    failed = 0
    for modality, values in latents.items():
        lost = np.isnan(values).reshape(len(values), -1).any(axis=1) & ~gone[modality]
        values[lost] = 0.0
        failed += int(lost.sum())
    whole = Latents(latents, labels)
    right = float((model.class_posterior(whole, model.modalities).argmax(axis=1) == labels).mean())
    expected = model.bayes_accuracy(model.modalities).value
    return right, expected, (right - expected) / math.sqrt(expected * (1.0 - expected) / len(labels)), failed


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="a configuration whose y is a label")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--out", type=Path, help="keep what was inverted here, and go on from it")
    options = parser.parse_args()
    right, expected, score, failed = judged(options.name, options.rows, options.out)
    print(
        f"{options.name}: {right:.4f} of {options.rows} rows are guessed right, Bayes accuracy {expected:.4f}, "
        f"z = {score:+.2f}; {failed} inverses failed"
    )


if __name__ == "__main__":
    main()
