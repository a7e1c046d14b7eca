"""How often the blind inverse of a map does not give a latent back: measured once for a map and a class.

Owns the measurement, its file and how a killed run goes on. May import torch; knows nothing of causal models, data sets
or confidence: it counts.

Latents are N(0, I), a function of (seed, class, row) alone, drawn in float64. Images are made and inverted in float32,
as rows of data sets are, in micro-batches that are aligned to the row number and never short. The inverse starts from
the image alone. The error of a row is ‖ẑ - z‖ / √d; a row is bad at a tolerance that it exceeds, and at every
tolerance if it could not be inverted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from mmmi_hf.common.files import read_json, write_json
from mmmi_hf.common.numbers import is_whole
from mmmi_hf.flow.evaluation.sample_store import latents_of_class

if TYPE_CHECKING:
    import os

    from mmmi_hf.flow.bijection import Bijection

FORMAT = 1
TOLERANCES = (1e-5, 2e-5)
"""Where rows are counted; the last is the contract's for a round trip in float32."""


@dataclass(frozen=True)
class MapShare:
    """Counts of one map and class.

    Attributes:
        pipeline: digest of the map.
        label: the class; None for a map without classes.
        seed: of the latents.
        batch_size: rows of a micro-batch.
        rows: rows 0 … rows - 1 were measured.
        failed: rows that could not be inverted.
        bad: tolerance → number of bad rows, those that failed among them.
        bad_rows: the rows that are bad at the largest tolerance, so that they can be looked at.
        largest: the largest error of the others.
        software: what computed it.
    """

    pipeline: str
    label: int | None
    seed: int
    batch_size: int
    rows: int
    failed: int
    bad: Mapping[float, int]
    bad_rows: Sequence[int]
    largest: float
    software: Mapping[str, str]

    @property
    def identity(self) -> tuple[Any, ...]:
        """What has to be the same for more rows to be added."""
        return self.pipeline, self.label, self.seed, self.batch_size, tuple(self.bad), dict(self.software)

    def with_errors(self, errors: Sequence[float]) -> MapShare:
        """The counts with those of the next rows added; NaN where a row could not be inverted."""
        beyond = {tolerance: [not error <= tolerance for error in errors] for tolerance in self.bad}
        worst = max(self.bad)
        rows = [self.rows + place for place, bad in enumerate(beyond[worst]) if bad]
        counts = {
            **asdict(self),
            "bad": {tolerance: self.bad[tolerance] + sum(beyond[tolerance]) for tolerance in self.bad},
        }
        counts["rows"] += len(errors)
        counts["failed"] += sum(math.isnan(error) for error in errors)
        counts["bad_rows"] = [*self.bad_rows, *rows]
        counts["largest"] = max([self.largest, *(error for error in errors if error <= worst)])
        return MapShare(**counts)


def measure_map_share(
    bijection: Bijection,
    class_label: int | None,
    rows: int,
    path: str | os.PathLike[str],
    *,
    seed: int = 0,
    batch_size: int = 8,
    progress: bool = True,
) -> MapShare:
    """Measure rows until at least `rows` of them are counted; those that the file already counts are not repeated.

    The file is written after every micro-batch. It is the result; what a later call adds continues it.

    Args:
        bijection: used in float32, whatever its precision.
        class_label: a class, None for a map without classes.
        rows: how many latents are wanted; rounded up to whole micro-batches.
        path: of the JSON file.
        seed: of the latents.
        batch_size: rows per evaluation of the network.
        progress: show a progress bar.

    Raises:
        ValueError: numbers below 1, a class that the map has not, or a file that counts something else.
    """
    check_class(bijection, class_label)
    for name, value, least in (("rows", rows, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not is_whole(value, least):
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    rows, batch_size, seed, path = int(rows), int(batch_size), int(seed), Path(path)
    found = MapShare(
        pipeline=bijection.digest,
        label=class_label,
        seed=seed,
        batch_size=batch_size,
        rows=0,
        failed=0,
        bad=dict.fromkeys(TOLERANCES, 0),
        bad_rows=[],
        largest=0.0,
        software={"torch": torch.__version__, "device": bijection.device.type},
    )
    if path.exists():
        stored = read_map_share(path)
        if stored.identity != found.identity:
            raise ValueError(
                f"{path} counts {stored.identity}, wanted {found.identity}; give another file, or delete this one"
            )
        found = stored
    exact = bijection.in_precision(torch.float32)
    with tqdm(total=rows, initial=found.rows, desc="inverses", unit="row", disable=not progress) as bar:
        while found.rows < rows:
            found = found.with_errors(_errors(exact, class_label, seed, range(found.rows, found.rows + batch_size)))
            write_json(path, _to_json(found))
            bar.update(batch_size)
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
        record = read_json(Path(path))
        if record.pop("format") != FORMAT:
            raise ValueError("another format")
        record["bad"] = {float(tolerance): count for tolerance, count in record["bad"].items()}
        found = MapShare(**record)
        counts = [found.failed, *sorted(found.bad.values()), found.rows]
        if counts != sorted(counts) or len(found.bad_rows) != found.bad[max(found.bad)] or found.failed < 0:
            raise ValueError("impossible counts")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} holds no counts of this format ({error}); measure them again") from error
    return found


def _to_json(found: MapShare) -> dict[str, Any]:
    record = asdict(found)
    record["bad"] = {str(tolerance): count for tolerance, count in found.bad.items()}
    return {"format": FORMAT, **record}


def _errors(bijection: Bijection, label: int | None, seed: int, rows: range) -> list[float]:
    """‖ẑ - z‖ / √d of every row; NaN where the inverse failed."""
    latents = latents_of_class(seed, label or 0, rows, bijection.latent_shape, purpose="map share")
    images = bijection(latents.to(bijection.device, torch.float32), label).images
    back = bijection.invert(images, label, on_failure="nan").to("cpu", torch.float64)
    errors: list[float] = ((back - latents).flatten(1).norm(dim=1) / math.sqrt(latents[0].numel())).tolist()
    return errors
