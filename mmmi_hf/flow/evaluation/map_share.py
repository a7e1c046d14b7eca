"""How often the blind inverse of a map does not give a latent back: measured once for a map and a class.

Owns the measurement, its record and how a killed run goes on. Imports torch where it computes; knows nothing of causal
models, data sets or confidence: it counts.

Latents are N(0, I), a function of (seed, class, row) alone, drawn in float64. Images are made and inverted in float32,
every operation in one thread, as rows of data sets are: made in micro-batches that are aligned to the row number and
never short, because the size of a micro-batch changes the last bits of an image, and inverted in parts of these. The
inverse starts from the image alone. The error of a row is ‖ẑ - z‖ / √d; a row is bad if it exceeds the tolerance of a
round trip in float32, or if it could not be inverted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator
from tqdm.auto import tqdm

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.common.records import Amount, Count, Digest, Positive, Record, RecordError
from mmmi_hf.flow.bijection import ROUND_TRIP
from mmmi_hf.flow.threads import network_threads

if TYPE_CHECKING:
    import os

    from mmmi_hf.flow.bijection import Bijection


class MapShare(Record):
    """Counts of one map and class.

    Attributes:
        format: of the file.
        pipeline: digest of the map.
        label: the class; None for a map without classes.
        seed: of the latents.
        micro_batch: rows that were made together.
        inverted_together: rows that were inverted together.
        tolerance: the largest error of a good row.
        software: what computed it: version of torch, device, hardware.
        rows: rows 0 … rows - 1 were measured.
        failed: rows that could not be inverted.
        bad_rows: which were bad, those that failed among them.
        largest: the largest error of the others.
        shipped: what `rows` was in earlier versions of the package.
    """

    format: Literal[2] = 2
    pipeline: Digest
    label: Count | None = None
    seed: Count
    micro_batch: Positive
    inverted_together: Positive
    tolerance: Amount
    software: dict[str, str]
    rows: Count
    failed: Count
    bad_rows: tuple[Count, ...]
    largest: Amount
    shipped: tuple[Count, ...] = ()

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if list(self.bad_rows) != sorted(set(self.bad_rows)) or any(row >= self.rows for row in self.bad_rows):
            raise ValueError(f"bad_rows must ascend and be of the {self.rows} that were measured")
        if self.failed > len(self.bad_rows):
            raise ValueError(f"failed is {self.failed}, and only {len(self.bad_rows)} rows are bad")
        if self.largest > self.tolerance:
            raise ValueError(f"largest is {self.largest}, the error of a bad row")
        if any(rows > self.rows for rows in self.shipped):
            raise ValueError(f"shipped has numbers above the {self.rows} rows that were measured")
        return self

    def bad_among(self, rows: int) -> int:
        """How many of the first `rows` were bad."""
        return sum(row < rows for row in self.bad_rows)

    @property
    def way(self) -> dict[str, Any]:
        """What has to be the same for more rows to be added: all but the counts."""
        return self.model_dump(exclude={"rows", "failed", "bad_rows", "largest", "shipped"})

    def with_errors(self, errors: Sequence[float]) -> MapShare:
        """The counts with those of the next rows added; NaN where a row could not be inverted."""
        bad = [self.rows + place for place, error in enumerate(errors) if not error <= self.tolerance]
        return self.model_copy(
            update={
                "rows": self.rows + len(errors),
                "failed": self.failed + sum(math.isnan(error) for error in errors),
                "bad_rows": (*self.bad_rows, *bad),
                "largest": max([self.largest, *(error for error in errors if error <= self.tolerance)]),
            }
        )


def measure_map_share(
    bijection: Bijection,
    class_label: int | None,
    rows: int,
    path: str | os.PathLike[str],
    *,
    micro_batch: int,
    inverted_together: int = 8,
    seed: int = 0,
    progress: bool = True,
) -> MapShare:
    """Measure rows until at least `rows` of them are counted; those that the file already counts are not repeated.

    The file is written after every micro-batch. It is the result; what a later call adds continues it.

    Args:
        bijection: used in float32, whatever its precision.
        class_label: a class, None for a map without classes.
        rows: how many latents are wanted; rounded up to whole micro-batches.
        path: of the JSON file.
        micro_batch: rows that are made together; what is counted holds for images that are made so.
        inverted_together: rows that are inverted together, at most.
        seed: of the latents.
        progress: show a progress bar.

    Raises:
        ValueError: numbers below 1, a class that the map has not, or a file that counts something else or is none.
    """
    import torch

    from mmmi_hf.flow.devices import hardware

    check_class(bijection, class_label)
    numbers = {"rows": rows, "micro_batch": micro_batch, "inverted_together": inverted_together, "seed": seed}
    for name, value in numbers.items():
        least = int(name != "seed")
        if not is_whole(value, least):
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    device, path = bijection.device, Path(path)
    found = MapShare(
        pipeline=bijection.digest,
        label=class_label,
        seed=int(seed),
        micro_batch=int(micro_batch),
        inverted_together=int(inverted_together),
        tolerance=ROUND_TRIP["float32"],
        software={"torch": torch.__version__, "device": device.type, "hardware": hardware(device)},
        rows=0,
        failed=0,
        bad_rows=(),
        largest=0.0,
    )
    if path.exists():
        stored = read_map_share(path)
        if stored.way != found.way:
            raise ValueError(f"{path} counts {stored.way}, wanted {found.way}; give another file, or delete this one")
        found = stored
    exact = bijection.in_precision(torch.float32)
    with (
        tqdm(total=int(rows), initial=found.rows, desc="inverses", unit="row", disable=not progress) as bar,
        network_threads(device.type == "cpu") as (pool, _),
    ):
        while found.rows < rows:
            found = found.with_errors(_errors(exact, found, pool))
            found.write(path)
            bar.update(found.micro_batch)
    return found


def check_class(bijection: Bijection, class_label: int | None) -> None:
    """Refuse a class that a map has not, with ValueError."""
    classes = bijection.num_classes
    if not (class_label is None if classes is None else is_whole(class_label, 0) and class_label < classes):
        valid = "None: this map has no classes" if classes is None else f"a whole number in 0 … {classes - 1}"
        raise ValueError(f"the class must be {valid}, got {class_label!r}")


def read_map_share(path: str | os.PathLike[str]) -> MapShare:
    """The counts that `measure_map_share` wrote.

    Raises:
        ValueError: a file of another format, or with fields or numbers that make no sense.
    """
    try:
        return MapShare.read(Path(path))
    except RecordError as error:
        raise ValueError(f"{error}; these are no counts of this format: measure them again") from error


def _errors(bijection: Bijection, found: MapShare, pool: Any) -> list[float]:
    """‖ẑ - z‖ / √d of the rows of the next micro-batch; NaN where the inverse failed."""
    import torch

    from mmmi_hf.flow.evaluation.sample_store import latents_of_class

    rows, label = range(found.rows, found.rows + found.micro_batch), found.label
    latents = latents_of_class(found.seed, label or 0, rows, bijection.latent_shape, purpose="map share")
    given = latents.to(bijection.device, torch.float32)
    images = pool.submit(lambda: bijection(given, label).images).result()
    parts = [
        pool.submit(bijection.invert, part, label, on_failure="nan") for part in images.split(found.inverted_together)
    ]
    back = torch.cat([part.result() for part in parts]).to("cpu", torch.float64)
    errors: list[float] = ((back - latents).flatten(1).norm(dim=1) / math.sqrt(latents[0].numel())).tolist()
    return errors
