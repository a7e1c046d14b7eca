"""Making rows of a folder again from (seed, row), and comparing them with the stored ones.

Owns the choice of rows, what equal and close mean, and how a killed run over all rows goes on. May run bijections
forward; inverts nothing and knows nothing of information.

A row's bits depend on its place in a micro-batch and on nothing else in it. So rows are drawn within places: as many of
every place, and a micro-batch has one of each. What is drawn follows from the digests of the data, as the rows to
invert do: a maker learns it once the data are finished, and could try again and again, also by writing the same rows in
other bytes; a number of the reader's own, or all rows, exclude that.

Bits are compared where the manifest states the hardware and software of here. Elsewhere rounding differs: rows must
come within CLOSE, and no floor rests on them, because a row that is only close is not known to be the image of its
latent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from mmmi_hf.common.files import read_json, sha256_of, write_json
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.reading import as_array, batches
from mmmi_hf.dataset.generation.rows import MICRO_BATCH, class_labels, images_of, row_key
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.flow.threads import network_threads

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection

REPLAYS = 1408
"""Rows of a folder that are made again: so many that of 10,000 rows the floors of pairs pass 0.93 of their value."""
CLOSE = 1e-4
"""Largest ‖x̂ − x‖ / ‖x̂‖ of an honest row that was made elsewhere."""
AT_A_TIME = 32
"""Micro-batches between two records of how far a run has come."""
_SOFTWARE = ("mmmi_hf", "torch", "numpy", "diffusers")


@dataclass
class Replayed:
    """What was found.

    Attributes:
        rows: that were compared.
        equal: the same bit for bit in all modalities.
        largest: the largest relative error of the others.
        far: modality → rows that are not close.
        differing: modality → rows that are close and not equal.
        first: what of a modality was found first: "x1 far" → (row, error).
    """

    rows: int = 0
    equal: int = 0
    largest: float = 0.0
    far: dict[str, int] = field(default_factory=dict)
    differing: dict[str, int] = field(default_factory=dict)
    first: dict[str, tuple[int, float]] = field(default_factory=dict)

    def take(self, rows: np.ndarray, errors: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Count rows; modality → (n,) whether equal, and (n,) the relative error."""
        self.rows += len(rows)
        self.equal += int(np.logical_and.reduce([same for same, _ in errors.values()]).sum())
        for name, (same, error) in errors.items():
            far = ~(error <= CLOSE)
            for what, counts, wrong in (("far", self.far, far), ("differing", self.differing, ~same & ~far)):
                if wrong.any():
                    at = int(np.argmax(wrong))
                    counts[name] = counts.get(name, 0) + int(wrong.sum())
                    self.first.setdefault(f"{name} {what}", (int(rows[at]), float(error[at])))
            self.largest = max(self.largest, float(np.max(error[~same & ~far], initial=0.0)))

    def add(self, later: Replayed) -> None:
        """Count what was found of later rows too."""
        self.rows, self.equal = self.rows + later.rows, self.equal + later.equal
        self.largest = max(self.largest, later.largest)
        for counts, more in ((self.far, later.far), (self.differing, later.differing)):
            for name, count in more.items():
                counts[name] = counts.get(name, 0) + count
        self.first = later.first | self.first

    def problems(self, *, exact: bool) -> list[str]:
        """Rows that are false; with `exact` those too that differ in their last bits."""
        found = []
        for name, count in self.far.items():
            row, error = self.first[f"{name} far"]
            found.append(
                f"{name}: {count} of {self.rows} rows that were made again are not the images of their latents "
                f"(row {row} is off by {error:.2g}, tolerance {CLOSE:g})"
            )
        for name, count in self.differing.items() if exact else ():
            row, error = self.first[f"{name} differing"]
            found.append(
                f"{name}: {count} of {self.rows} rows that were made again differ by a little (row {row} by {error:.2g}"
                "), though the manifest states the processor and the software of here"
            )
        return found


Replayer = Callable[..., Replayed]
"""What `replay` is, or does the same elsewhere."""


def replay_count(rows: int, wanted: int) -> int:
    """How many rows are made again if `wanted` are asked for: whole micro-batches, at most all."""
    return min(rows, -(-wanted // MICRO_BATCH) * MICRO_BATCH)


def least_share(rows: int, count: int) -> float:
    """The smallest share of the rows of a place that is among `count` of `replay_count`."""
    return 1.0 if count == rows else (count // MICRO_BATCH) / -(-rows // MICRO_BATCH)


def replay_groups(rows: int, count: int, seed: int) -> list[np.ndarray]:
    """Micro-batches of row numbers, each place once: all rows in order, or a random sample within places."""
    if count == rows:
        return [np.arange(start, min(start + MICRO_BATCH, rows)) for start in range(0, rows, MICRO_BATCH)]
    generator = np.random.default_rng([seed % 2**63, 3])
    of_place = [
        np.sort(generator.choice(np.arange(place, rows, MICRO_BATCH), size=count // MICRO_BATCH, replace=False))
        for place in range(MICRO_BATCH)
    ]
    return list(np.transpose(of_place))


def computed_here(config: MMMIConfig, manifest: Manifest, bijections: dict[str, Bijection]) -> bool:
    """Whether the manifest states the hardware and software of here for all rows."""
    return bool(manifest.statements.computing) and all(
        (each.device, each.hardware, each.machine, each.micro_batch, each.dtype)
        == (tuple(key["device"]), tuple(key["hardware"]), key["machine"], key["micro_batch"], key["dtype"])
        and all(each.versions.get(name) == key["versions"][name] for name in _SOFTWARE)
        for each in manifest.statements.computing
        for key in [row_key(config, bijections)]
    )


def how_computed(manifest: Manifest) -> dict[str, bool]:
    """`channels_last` and `compiled`, as the manifest states them of all rows; neither where it states several."""
    stated = {(each.channels_last, each.compiled) for each in manifest.statements.computing}
    channels_last, compiled = stated.pop() if len(stated) == 1 else (False, False)
    return {"channels_last": channels_last, "compiled": compiled}


def replay(
    folder: DatasetFolder,
    config: MMMIConfig,
    manifest: Manifest,
    bijections: dict[str, Bijection],
    groups: list[np.ndarray],
    *,
    progress: bool = True,
    kept: Path | None = None,
) -> Replayed:
    """Make rows again and compare them.

    A run over all rows that was killed goes on where it stopped: how far it came is kept with the user, never in the
    folder, which may be somebody else's.

    Args:
        folder, config, manifest: a configuration with a seed, whose files are in order.
        bijections: of its modalities, set up as the rows were made.
        groups: of `replay_groups`.
        progress: show a progress bar.
        kept: of a part of all rows, in order: where it is kept how far it came; the file stays.
    """
    total, part = sum(map(len, groups)), kept is not None
    if total == config.rows and not part:
        kept = kept_at(folder, config, bijections)
    found, labels = read_kept(kept), class_labels(config)
    done = -(-found.rows // MICRO_BATCH)

    def compared(group: np.ndarray, stored: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        latents = config.model.sample_rows(group.tolist(), seed=config.seed, standardize=config.standardize)
        places, errors = group % MICRO_BATCH, {}
        for name, bijection in bijections.items():
            z = latents.z[name].astype(np.float32)
            batch = np.repeat(z[:1], MICRO_BATCH, axis=0)
            batch[places] = z
            images = images_of(bijection, labels[name], batch, name in config.model.law.missing)
            errors[name] = _errors(images[places], stored[name])
        return errors

    on_cpu = all(bijection.device.type == "cpu" for bijection in bijections.values())
    with (
        threadpool_limits(limits=1, user_api="blas"),
        progress_bar(f"making again {config.name}", total, initial=found.rows, shown=progress) as bar,
        network_threads(on_cpu) as (pool, _),
    ):
        for together in _stored(folder, config, manifest, groups[done:]):
            futures = [(group, pool.submit(compared, group, stored)) for group, stored in together]
            for group, future in futures:
                found.take(group, future.result())
                bar.update(len(group))
            if kept is not None:
                write_json(kept, asdict(found))
    if kept is not None and not part:
        kept.unlink(missing_ok=True)
    return found


def _errors(made: np.ndarray, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) whether rows are the same bit for bit, and (n,) their relative error."""
    made, stored = (values.reshape(len(values), -1) for values in (made, stored))
    same = (made.view(np.uint32) == np.ascontiguousarray(stored).view(np.uint32)).all(axis=1)
    exact = made.astype(np.float64)
    error = np.linalg.norm(exact - stored, axis=1) / np.maximum(np.linalg.norm(exact, axis=1), np.finfo(float).tiny)
    return same, np.where(same, 0.0, error)


def _stored(
    folder: DatasetFolder, config: MMMIConfig, manifest: Manifest, groups: list[np.ndarray]
) -> Iterator[list[tuple[np.ndarray, dict[str, np.ndarray]]]]:
    """Groups with their stored values, AT_A_TIME of them, in order, as they are read."""
    if not groups:
        return
    wanted = np.zeros(config.rows, dtype=bool)
    wanted[np.concatenate(groups)] = True
    shapes, pending, start, next_group = config.model.shapes, {}, 0, 0
    together: list[tuple[np.ndarray, dict[str, np.ndarray]]] = []
    for split, rows_of in config.split_rows.items():
        files = folder.data_files(manifest, split)
        needed = None if wanted.all() else wanted[rows_of.start : rows_of.stop]
        for first, batch in batches(files, [*shapes], needed):
            position = start + first
            inside = np.flatnonzero(wanted[position : position + len(batch)])
            if len(inside):
                values = {
                    name: as_array(batch[name], name, shape, np.float32)[inside] for name, shape in shapes.items()
                }
                for at, row in enumerate(inside):
                    pending[position + int(row)] = {name: values[name][at] for name in shapes}
            position += len(batch)
            while next_group < len(groups) and groups[next_group].max() < position:
                group = groups[next_group]
                rows = [pending.pop(int(row)) for row in group]
                together.append((group, {name: np.stack([row[name] for row in rows]) for name in shapes}))
                next_group += 1
                if len(together) == AT_A_TIME:
                    yield together
                    together = []
        start = rows_of.stop
    if together:
        yield together


def kept_at(folder: DatasetFolder, config: MMMIConfig, bijections: dict[str, Bijection]) -> Path:
    """Where it is kept how far a run over all rows of these files came, with this software."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmmi_hf" / "replays"
    key: dict[str, Any] = row_key(config, bijections) | {"close": CLOSE}
    text = sha256_of(folder.manifest_path(config.name)) + json.dumps(key, sort_keys=True)
    return cache / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def read_kept(kept: Path | None) -> Replayed:
    """How far a run came; nothing where that is not told."""
    if kept is not None:
        with suppress(OSError, ValueError, TypeError):
            found = Replayed(**read_json(kept))
            found.first = {name: (int(row), float(error)) for name, (row, error) in found.first.items()}
            return found
    return Replayed()
