"""What a certificate that lies in a folder must say: everything that follows from the folder and the rules exactly, and
what was measured as far as the same sample gives it now.

Owns the sample of a certificate and the comparison of a standing one with a measurement. Runs no bijection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmmi_hf.causal.statistics.confidence import unseen_share
from mmmi_hf.dataset.certificate.bounds import FEWEST_ROWS, Plan, published
from mmmi_hf.dataset.certificate.floors import floor_values, map_evidence
from mmmi_hf.dataset.certificate.replays import CLOSE, REPLAYS, replay_count
from mmmi_hf.dataset.certificate.sampled_rows import sample_seed, sampled_rows
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, ColumnBound, FloorEvidence, RoundTrip, Sample
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.releases.configuration import MMMIConfig

ROWS = 64
ROUNDING_SHOWS_FROM = 6.0
"""Nats from which on the rounding of floats shows in bounds."""


@dataclass(frozen=True)
class Room:
    """How far what a certificate states may be from what the same sample gives now.

    What is published, the largest of the bounds that were tried, is compared by itself. Of a lesser one, on which
    nothing rests, it is compared that it is one: the jackknife of a correlation hangs on single rows of 8-bit views,
    and moves by 0.7 nats of 5 with errors of 1e-4, yet stays nearer to what is found now than to the published bound.

    Attributes:
        exact: whether numbers must be equal on both sides, not only claim no more than those of now.
        bounds: kind of column → nats, over 1 + the analytic value.
        rounding: nats besides, from ROUNDING_SHOWS_FROM on.
        lesser: of a bound that is not the largest of those tried, besides: a share of what it lacks of the largest.
        errors: of the round trip, as a share of those of now: stated ones may be smaller by so much. Larger ones, up
            to the tolerance, claim less.
        failures: rows of views, and a share of them, by which the inverse may fail more often or less.
        p_values: on both sides.
    """

    exact: bool
    bounds: Mapping[str, float]
    rounding: float
    lesser: float
    errors: float
    failures: tuple[int, float]
    p_values: float

    @classmethod
    def between(cls, claimed: CertificateRecord, record: CertificateRecord) -> Room:
        """That of two measurements, by the hardware and software that they state.

        On the same processor with the same software inverses are the same bit for bit, and nothing excuses a
        difference. Linear algebra chooses its kernels more finely than by vendor and instruction set, so that its
        choice counts too. A certificate may state another machine, or too little of it, and then has the room of one.
        """
        then, now = (each.statements.model_dump(exclude={"method"}) for each in (claimed, record))
        known = record.statements.device == ("cpu",) and bool(record.statements.versions.get("blas"))
        return HERE if then == now and known else ELSEWHERE


HERE = Room(True, {"float32": 1e-6, "view": 1e-6}, 1e-3, 0.0, 1.0 - 1e-6, (0, 0.0), 1e-4)
"""Sums of a matrix product may differ in their last bits between numbers of threads."""
ELSEWHERE = Room(False, {"float32": 1e-3, "view": 0.02}, 0.5 * math.log(2.0), 0.5, 0.1, (2, 0.1), 0.05)
"""Inverses differ in their last bits, those of views in more, and some of these fail on one machine alone; above six
nats a rounding that is twice as large in the mean square costs half of ln 2."""


def certificate_sample(
    config: MMMIConfig,
    manifest: Manifest,
    rows: int,
    rows_float64: int,
    confidence: float,
    chosen_seed: int | None = None,
    *,
    replays: int = 0,
) -> Sample:
    """The sample: row numbers, those inverted in float64 too, seeds, and what the sample may have missed.

    Args:
        config, manifest: a configuration of a folder.
        rows, rows_float64: how many are wanted; at most all.
        replays: how many rows are made again; whole micro-batches, at most all.
        confidence: with which `unseen_share` is an upper bound of the share of bad rows if the sample has none.
        chosen_seed: a reader's number; a certificate that is written has none.
    """
    seed = sample_seed(manifest, chosen_seed)
    chosen = sampled_rows(config.split_rows, rows, seed)
    order = np.random.default_rng([seed % 2**63, 1]).permutation(len(chosen))
    return Sample(
        rows=tuple(chosen),
        rows_float64=tuple(chosen[i] for i in np.sort(order[:rows_float64])),
        rows_replayed=replay_count(config.rows, replays),
        seed=str(seed),
        chosen_seed=chosen_seed,
        unseen_share=0.0 if len(chosen) == config.rows else unseen_share(len(chosen), 1.0 - confidence),
    )


def least_rows(config: MMMIConfig, *, by_maps: bool) -> int:
    """How many rows a certificate that is written has inverted.

    Where the floors of float columns rest on rows that were made again and on counts of maps (`by_maps`), as few as
    measured bounds can be stated of; otherwise floors rest on them.
    """
    return min(FEWEST_ROWS if by_maps else ROWS, config.rows)


def by_maps(record: CertificateRecord | None) -> bool:
    """Whether floors of float columns rest on rows that were made again and on counts of maps."""
    return record is not None and record.evidence is not None and record.evidence.differing is not None


def least_replays(config: MMMIConfig, manifest: Manifest) -> int:
    """How many rows a certificate that is written has made again; none where the seed is not told."""
    return 0 if manifest.seed is None else replay_count(config.rows, REPLAYS)


def sample_reasons(claimed: CertificateRecord, config: MMMIConfig, manifest: Manifest) -> list[str]:
    """Whether a standing certificate was measured on the rows that the rules ask for, whatever is measured now."""
    sample = claimed.sample
    least = least_rows(config, by_maps=by_maps(claimed))
    if len(sample.rows) < least:
        return [f"the certificate was measured on {len(sample.rows)} rows, the rules ask for {least}"]
    if sample.chosen_seed is not None:
        return [f"whoever made the certificate picked its sample, with the number {sample.chosen_seed}"]
    if claimed.replayed and claimed.format != 2 and sample.rows_replayed < least_replays(config, manifest):
        return [
            f"the certificate was measured on {sample.rows_replayed} rows that were made again, the rules ask for "
            f"{least_replays(config, manifest)}"
        ]
    wanted = certificate_sample(
        config,
        manifest,
        len(sample.rows),
        len(sample.rows_float64),
        claimed.confidence,
        replays=sample.rows_replayed,
    )
    # Format 2 did not see that nothing is unseen where all rows were inverted.
    share = wanted.unseen_share if claimed.format != 2 else unseen_share(len(sample.rows), 1.0 - claimed.confidence)
    if not math.isclose(sample.unseen_share, share, rel_tol=1e-9):
        return ["the certificate does not say what share of bad rows its sample could have missed"]
    if sample != wanted.model_copy(update={"unseen_share": sample.unseen_share}):
        return ["the certificate's sample is not the one that follows from the digests of the data"]
    return []


def claim_reasons(
    claimed: CertificateRecord,
    record: CertificateRecord,
    config: MMMIConfig,
    manifest: Manifest,
    without_failures: Mapping[str, float],
    *,
    may_rest_on_replays: bool,
) -> list[str]:
    """In what a standing certificate is not what it must be, given what was measured now.

    Args:
        claimed: the certificate, which binds the manifest (see `bound_certificate`).
        record: of this measurement, which found nothing wrong; its sample and confidence may be other ones.
        config, manifest: what both are about.
        without_failures: quantity → its bound from the rows whose views could be inverted now, where some could not:
            which rows fail is a matter of the machine.
        may_rest_on_replays: `floors.rests_on_replays` of the configuration.
    """
    reasons = _stated(claimed, record, config, manifest) + _floors(claimed, config, manifest, may_rest_on_replays)
    return reasons or _measured(claimed, record, without_failures)


def _stated(claimed: CertificateRecord, record: CertificateRecord, config: MMMIConfig, manifest: Manifest) -> list[str]:
    """What needs no measurement: identity, rules, analytic values, and which bounds there are."""
    reasons = [
        f"the certificate has another {field} than the {whose}"
        for field, whose in (("version", "folder"), ("tolerance", "rules"), ("tests_level", "rules"))
        if getattr(claimed, field) != getattr(record, field)
    ]
    if claimed.replayed != (manifest.seed is not None):
        reasons.append("the certificate does not say of the replay from the seed what the manifest does")
    kinds = {kind for found in record.round_trip.values() for kind in found}
    plan = Plan.of(config.model, 2 if "view" in kinds else 1, claimed.confidence)
    if claimed.looks != plan.looks or not math.isclose(claimed.single_error, plan.error, rel_tol=1e-9):
        reasons.append("the certificate divides its confidence otherwise than the rules")
    if set(claimed.bounds) != set(record.bounds):
        return [*reasons, "the certificate bounds other quantities than the rules ask for"]
    for quantity, found in record.bounds.items():
        stated = claimed.bounds[quantity]
        if not math.isclose(stated.analytic, found.analytic, rel_tol=1e-9, abs_tol=1e-12):
            reasons.append(
                f"the certificate's upper bound on {quantity} is {stated.analytic}, analytic {found.analytic}"
            )
        for kind, bound in stated.columns.items():
            if not bound.measured <= found.analytic + 1e-9:
                reasons.append(
                    f"the certificate's bound {bound.measured} on {quantity} ({kind}) is above the analytic "
                    f"{found.analytic}"
                )
    return reasons + _step_certificates(claimed, record)


def _floors(claimed: CertificateRecord, config: MMMIConfig, manifest: Manifest, may_rest_on_replays: bool) -> list[str]:
    """Whether floors are those of the evidence that is stated, and this is of the rules' kind."""
    evidence, stated = claimed.evidence, dict(_bounds_of(claimed))
    if evidence is None:
        if any(bound.floor is not None for bound in stated.values()):
            return ["the certificate states floors and no evidence of them"]
        wanting = claimed.format != 2 and claimed.replayed and bool(stated)
        return ["the certificate does not state the floors that the rules ask for"] if wanting else []
    reason = _kind_of_evidence(claimed, evidence, manifest, may_rest_on_replays)
    if reason:
        return [reason]
    try:
        wanted = floor_values(config, claimed.sample, claimed.confidence, evidence)
    except ValueError as error:
        return [f"the certificate's evidence of floors is impossible: {error}"]
    return [
        f"the certificate's floor {bound.floor} of {quantity} ({kind}) is not that of its evidence: "
        f"{wanted.get(kind, {}).get(quantity)}"
        for (quantity, kind), bound in stated.items()
        if not _same(bound.floor, wanted.get(kind, {}).get(quantity))
    ]


def _kind_of_evidence(
    claimed: CertificateRecord, evidence: FloorEvidence, manifest: Manifest, may_rest_on_replays: bool
) -> str:
    """Why evidence is not of the kind that the rules ask for; empty where it is."""
    if not claimed.replayed or claimed.replays is None:
        return "the certificate states floors without rows that were compared with their latents"
    by_replays = evidence.differing is not None
    different = claimed.sample.rows_replayed - claimed.replays.equal
    if different < 0:
        return f"the certificate counts {claimed.replays.equal} equal rows of {claimed.sample.rows_replayed} made again"
    if by_replays and (evidence.differing != different or not may_rest_on_replays):
        return "the certificate's floors do not rest on the rows that it made again"
    views = any(kind == "view" for _, kind in dict(_bounds_of(claimed)))
    if by_replays == (evidence.float32 is not None) or (evidence.view is not None) != views:
        return "the certificate's floors rest on other evidence than the rules ask for"
    entries = {entry.name: entry for entry in manifest.modalities}
    if set(evidence.maps) != (set(entries) if by_replays else set()) or any(
        map_evidence(entries[name], stated.seen) != stated for name, stated in evidence.maps.items()
    ):
        return "the certificate's floors rest on counts of maps that are not known here; another version may know them"
    return ""


def _same(stated: float | None, wanted: float | None) -> bool:
    if stated is None or wanted is None:
        return stated is wanted
    return math.isclose(stated, wanted, rel_tol=1e-6, abs_tol=1e-9)


def _step_certificates(claimed: CertificateRecord, record: CertificateRecord) -> list[str]:
    """Packages of another age may know of none for a pipeline, or of one that is not known here."""
    reasons = [
        f"the certificate has a step certificate of {digest[:12]} that is not known here"
        for digest, known in record.step_certificates.items()
        if known is not None and claimed.step_certificates.get(digest) not in (None, known)
    ]
    if set(claimed.step_certificates) != set(record.step_certificates):
        reasons.append("the certificate has step certificates of other pipelines")
    return reasons


def _measured(
    claimed: CertificateRecord, record: CertificateRecord, without_failures: Mapping[str, float]
) -> list[str]:
    """What the same sample gives now; nothing where this measurement took another one."""
    then, now = (
        (each.sample.rows, each.sample.rows_float64, each.confidence, each.replayed) for each in (claimed, record)
    )
    if then != now:
        return []
    room = Room.between(claimed, record)
    reasons = _bounds(claimed, record, without_failures, room) + _errors(claimed, record, room)
    return reasons + _tests(claimed, record, room) + _evidence(claimed, record, room)


def _evidence(claimed: CertificateRecord, record: CertificateRecord, room: Room) -> list[str]:
    """Evidence of floors that is not found again. Bits of replays are comparable only where they are for both."""
    then, now, reasons = claimed.evidence, record.evidence, []
    if claimed.format == 2 or then is None or now is None:
        return []
    if claimed.replays is None or not claimed.replays.largest <= CLOSE:
        reasons.append("the certificate's rows that were made again are not close to the stored ones")
    elif claimed.sample == record.sample:
        if (then.differing or 0) < (now.differing or 0):
            reasons.append(f"of the rows that were made again {now.differing} differ, not {then.differing or 0}")
        elif room.exact and claimed.replays != record.replays:
            reasons.append("the certificate's account of the rows that were made again is not found again")
    floors_now = dict(_bounds_of(record))
    for kind, counted, found in (("float32", then.float32, now.float32), ("view", then.view, now.view)):
        if counted is None or found is None:
            continue
        above = any(
            (bound.floor or 0.0) > (floors_now[key].floor or 0.0) + room.bounds[kind]
            for key, bound in _bounds_of(claimed)
            if key[1] == kind
        )
        rows, share = room.failures
        fewer = any(
            stated < measured - rows - share * measured
            for stated, measured in zip((*counted.targets, *counted.pairs), (*found.targets, *found.pairs), strict=True)
        )
        if (above and fewer) or (room.exact and counted != found):
            reasons.append(f"the rows that the certificate counts for its floors ({kind}) are not found again")
    return reasons


def _bounds_of(record: CertificateRecord) -> list[tuple[tuple[str, str], ColumnBound]]:
    return [
        ((quantity, kind), bound) for quantity, each in record.bounds.items() for kind, bound in each.columns.items()
    ]


def _bounds(
    claimed: CertificateRecord, record: CertificateRecord, without_failures: Mapping[str, float], room: Room
) -> list[str]:
    """Bounds far above those of today, or not accounted for; elsewhere one that is lower is true as well."""
    stated, now = dict(_bounds_of(claimed)), dict(_bounds_of(record))
    tried = [{key: set(bound.tried) for key, bound in each.items()} for each in (stated, now)]
    if tried[0] != tried[1]:
        return ["the certificate bounds other quantities than the rules ask for, or in another way"]
    reasons = []
    for (quantity, kind), claim in stated.items():
        upper, found = record.bounds[quantity].analytic, now[quantity, kind].measured
        space = room.bounds[kind] * (1.0 + upper) + (upper > ROUNDING_SHOWS_FROM) * room.rounding
        if claim.measured != published(claim.tried, claimed.bounds[quantity].analytic):
            reasons.append(f"the certificate gives another account of its bound on {quantity} ({kind})")
            continue
        without = 0.0 if room.exact or kind != "view" else without_failures.get(quantity, 0.0)
        if not claim.measured <= max(found, without) + space:
            reasons.append(
                f"the certificate's bound {claim.measured} on {quantity} ({kind}) is not found again: {found}"
            )
            continue
        again = now[quantity, kind].tried
        reasons += [
            f"the certificate's bound {value} on {quantity} ({kind}) by {name} is not found again: {again[name]}"
            for name, value in claim.tried.items()
            if not value <= max(again[name] + room.lesser * max(found - again[name], 0.0), without) + space
            or (room.exact and value < again[name] - space)
        ]
    return reasons


def _errors(claimed: CertificateRecord, record: CertificateRecord, room: Room) -> list[str]:
    """Errors of the round trip unlike those of today, or of other rows."""
    if set(claimed.round_trip) != set(record.round_trip):
        return ["the certificate has round trips of other modalities"]
    reasons = []
    for name, kinds in record.round_trip.items():
        then = claimed.round_trip[name]
        if set(then) != set(kinds):
            return [f"the certificate measured other columns of {name}"]
        reasons += [
            f"the certificate's round trip of {name} ({kind}) is not found again"
            for kind, now in kinds.items()
            if not _same_clipped(then[kind], now, claimed)
            or not _found_again(then[kind], now, kind, record.tolerance.get(kind, math.inf), room)
        ]
    return reasons


def _same_clipped(then: RoundTrip, now: RoundTrip, claimed: CertificateRecord) -> bool:
    """Whether a view cuts as much as is stated: a share of the stored values, on any machine."""
    unsaid = claimed.format == 2 and then.clipped is None
    return unsaid or then.clipped == now.clipped


def _found_again(then: RoundTrip, now: RoundTrip, kind: str, tolerance: float, room: Room) -> bool:
    """Whether errors of one kind of column are as those of today."""
    if then.rows != now.rows or then.failed > then.rows:
        return False
    more, share = room.failures if kind == "view" else (0, 0.0)
    if abs(then.failed - now.failed) > more + share * now.failed:
        return False
    if then.median is None and then.max is None:
        return bool(now.median is None or then.failed == then.rows)
    if then.median is None or then.max is None or not then.median <= then.max <= tolerance:
        return False
    if now.median is None or now.max is None:
        return bool(0 < now.failed == now.rows)
    # Which rows of views fail differs between machines, and with them the largest error of the others.
    alike = room.exact or not (then.failed or now.failed)
    compared = [(then.median, now.median)] + ([(then.max, now.max)] if alike else [])
    return all(
        room.errors * measured <= stated and (not room.exact or room.errors * stated <= measured)
        for stated, measured in compared
    )


def _tests(claimed: CertificateRecord, record: CertificateRecord, room: Room) -> list[str]:
    """The tests, none of which may have failed, and their p-values."""
    if set(claimed.tests) != set(record.tests):
        return ["the certificate's tests are not those of the rules"]
    return [
        f"the certificate's p-value {then} of the test of {name} is not found again: {record.tests[name]}"
        for name, then in claimed.tests.items()
        if then < claimed.tests_level / len(claimed.tests) or not abs(then - record.tests[name]) <= room.p_values
    ]
