"""Floors of a certificate: what the stored columns carry whatever the unseen rows are.

Owns which evidence floors rest on, how the error probability is divided, and the counts of maps that come with the
package. The mathematics is in causal/statistics; runs no bijection.

All floors of a certificate hold together with its confidence; the measured bounds, whose assumption is another one, do
so for themselves. Of the error, floats have nine tenths and views one, as few rows are inverted for these and it
matters little there; without views floats have all of it. The floors of the floats rest on replays where the rules
allow it, which is known before any row is looked at: latents are whitened, the map of every modality was counted on
images that were made in micro-batches as rows are, and the manifest states the hardware and software of here. What is
counted is a share of the map as one kind of hardware and software computes it; that it is no larger on another is
assumed, and said beside the floors. Otherwise, and for views, they rest on the inverted rows, and the error is divided
evenly between targets and pairs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np

from mmmi_hf.causal import CausalModel, Latents
from mmmi_hf.causal.statistics.deviations import deviations, losses
from mmmi_hf.causal.statistics.shares import (
    EXACT_LEVELS,
    VIEW_LEVELS,
    Counted,
    floors,
    grades_of_deviations,
    grades_of_losses,
    grades_of_replays,
)
from mmmi_hf.dataset.certificate.bounds import Plan
from mmmi_hf.dataset.certificate.replays import least_share
from mmmi_hf.dataset.format.certificate_record import (
    FloorEvidence,
    LevelCounts,
    MapEvidence,
    Sample,
)
from mmmi_hf.dataset.format.manifest import Manifest, ModalityEntry
from mmmi_hf.dataset.generation.rows import MICRO_BATCH
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.flow.bijection import ROUND_TRIP
from mmmi_hf.flow.evaluation.map_share import MapShare

ERROR_OF_VIEWS = 0.1
"""Their part of the error probability."""
LEVELS = {"float32": EXACT_LEVELS, "view": VIEW_LEVELS}


def floor_values(
    config: MMMIConfig, sample: Sample, confidence: float, evidence: FloorEvidence
) -> dict[str, dict[str, float]]:
    """Kind of column → quantity → its floor in nats: a function of the evidence alone.

    Raises:
        InvalidQueryError: counts that are impossible.
    """
    model = config.model
    plan = Plan.of(model, 1, confidence)
    blocks = plan.blocks
    of_views = 0.0 if evidence.view is None else ERROR_OF_VIEWS
    errors = {"float32": (1.0 - of_views) * (1.0 - confidence), "view": of_views * (1.0 - confidence)}
    found: dict[str, dict[str, float]] = {}
    if evidence.differing is not None:
        seen = sample.rows_replayed
        counted = Counted(evidence.differing, seen, config.rows, least_share(config.rows, seen))
        maps = {name: f"{each.pipeline}:{each.label}" for name, each in evidence.maps.items()}
        inverses = {maps[name]: Counted(each.bad, each.seen, each.seen) for name, each in evidence.maps.items()}
        grades = grades_of_replays(model, blocks, counted, maps, inverses, ROUND_TRIP["float32"], errors["float32"])
        found["float32"] = {quantity: floor.value for quantity, floor in floors(model, blocks, grades).items()}
    least = _least(config, sample)
    for kind, counts in (("float32", evidence.float32), ("view", evidence.view)):
        if counts is None:
            continue
        levels, part = LEVELS[kind], errors[kind] / (2.0 if plan.pairs else 1.0)
        lost = dict.fromkeys(plan.targets, _values(counts.targets, len(sample.rows), levels))
        grades = dict(grades_of_losses(lost, config.rows, levels, part, least))
        if counts.pairs:
            off = dict.fromkeys(plan.pairs, _values(counts.pairs, len(sample.rows), levels))
            grades |= grades_of_deviations(model, plan.pairs, off, config.rows, levels, part, least)
        found[kind] = {quantity: floor.value for quantity, floor in floors(model, blocks, grades).items()}
    return found


def level_counts(
    model: CausalModel, plan: Plan, kind: str, recovered: Mapping[str, np.ndarray], true: Latents
) -> LevelCounts:
    """How many of the inverted rows lose more than each level.

    Args:
        model, plan: what floors are stated of.
        kind: of column.
        recovered: modality → (n, *shape) latents; NaN where the inverse failed. Quantities of modalities that are
            missing here are left out.
        true: of the same rows.
    """
    have = Latents(dict(recovered), true.y, true.standardize)
    stated = plan.among(recovered)
    lost = [losses(model, names, have, true) for quantity, names in plan.targets.items() if quantity in stated]
    pairs = plan.pairs if model.with_target(None).law.whole.is_gaussian else {}
    off = [deviations(model, pair, have, true) for quantity, pair in pairs.items() if quantity in stated]
    counts = [
        tuple(int(np.count_nonzero(~(np.max(values, axis=0) <= level))) for level in LEVELS[kind]) if values else ()
        for values in (lost, off)
    ]
    return LevelCounts(targets=counts[0], pairs=counts[1])


def rests_on_replays(config: MMMIConfig) -> bool:
    """Whether the floors of all quantities can rest on rows that were made again and on counts of maps.

    Latents must have the law that maps are counted under, and it must be known what their errors cost a quantity.
    Otherwise all of them rest on the inverted rows.
    """
    if not config.is_of_the_map:
        return False
    model, plan = config.model, Plan.of(config.model, 1, 0.99)
    blocks = plan.blocks
    clean = Counted(0, 1, 1)
    maps, inverses = {name: name for name in model.modalities}, dict.fromkeys(model.modalities, clean)
    grades = grades_of_replays(model, blocks, clean, maps, inverses, ROUND_TRIP["float32"], 0.01)
    return all(grades.get(quantity) for quantity in blocks)


def known_maps(manifest: Manifest) -> dict[str, MapEvidence] | None:
    """Modality → what is known of its map; None where that of any modality was not measured."""
    found = {entry.name: map_evidence(entry) for entry in manifest.modalities}
    known = {name: evidence for name, evidence in found.items() if evidence is not None}
    return known if len(known) == len(found) else None


def map_evidence(entry: ModalityEntry, seen: int | None = None) -> MapEvidence | None:
    """What is known of the map of a modality, or was by a version that shipped the first `seen` latents alone.

    Any other number would let a certificate end its counts just before a latent that came back badly. Counts of images
    that were made in other micro-batches than rows are no evidence.
    """
    counted = map_shares().get((entry.pipeline_digest, entry.class_label))
    if counted is None or counted.micro_batch != MICRO_BATCH or counted.tolerance != ROUND_TRIP["float32"]:
        return None
    if seen is not None and seen not in (counted.rows, *counted.shipped):
        return None
    seen = counted.rows if seen is None else seen
    return MapEvidence(
        pipeline=counted.pipeline,
        label=counted.label,
        seen=seen,
        bad=counted.bad_among(seen),
        micro_batch=counted.micro_batch,
        software=counted.software,
    )


@cache
def map_shares() -> dict[tuple[str, int | None], MapShare]:
    """(Pipeline digest, class) → its counts, for the pipelines that come with the package."""
    text = (files("mmmi_hf.dataset.certificate") / "map_shares.json").read_text()
    counted = [MapShare.from_json(json.dumps(each), "map_shares.json") for each in json.loads(text)]
    return {(each.pipeline, each.label): each for each in counted}


def _least(config: MMMIConfig, sample: Sample) -> float:
    """The smallest share of the rows of a split that was inverted."""
    rows = np.asarray(sample.rows)
    return min(
        np.count_nonzero((rows >= split.start) & (rows < split.stop)) / len(split)
        for split in config.split_rows.values()
    )


def _values(counts: tuple[int, ...], rows: int, levels: tuple[float, ...]) -> np.ndarray:
    """(rows,) values of which as many exceed each level: the form in which counts are taken."""
    values = np.zeros(rows)
    for count, above in zip(counts, (*levels[1:], np.inf), strict=True):
        values[:count] = above
    return values
