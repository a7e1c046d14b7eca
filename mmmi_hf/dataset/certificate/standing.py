"""What a certificate that lies in a folder must say: everything that follows from the folder and the rules exactly, and
what was measured as far as the same sample gives it now.

Owns the sample of a certificate and the comparison of a standing one with a measurement. Runs no bijection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mmmi_hf.causal.statistics.confidence import unseen_share
from mmmi_hf.dataset.certificate.bounds import Plan, published
from mmmi_hf.dataset.certificate.floors import floor_values, map_evidence
from mmmi_hf.dataset.certificate.replays import CLOSE, REPLAYS, replay_count
from mmmi_hf.dataset.certificate.sampled_rows import sample_seed, sampled_rows
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, ColumnBound, FloorEvidence, RoundTrip, Sample
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.releases.configuration import MMMIConfig

ROWS = 64
TOLERANCE_OF_CLAIMS = {"float32": 1e-3, "view": 0.02}
"""How far, over 1 + the analytic value, published bounds may lie above those measured now: inverses differ between
machines in their last bits, those of views in more."""
ROUNDING_SHOWS_FROM = 6.0
ROOM_FOR_ROUNDING = 0.5 * math.log(2.0)
"""From so many nats on, the rounding of floats lowers bounds: by this much more if that of another machine is twice as
large in the mean square."""
SMALLEST_SHARE_OF_ERRORS = 0.1
"""How small, relative to what is measured now, published errors of the round trip may be. Larger ones, up to the
tolerance, claim less."""
MORE_FAILURES = 2, 0.1
"""How many more rows of views, and what share of them, may fail to be inverted on another machine."""
ROOM_FOR_LESSER = 0.5
"""How far more, as a share of what they lack of the published bound, others that were tried may lie above those of now:
the jackknife of a correlation hangs on single rows of 8-bit views, and moves by 0.7 nats of 5 with errors of 1e-4."""
TOLERANCE_OF_P_VALUES = 0.05
"""How far p-values may lie from those of now; some count rows, and jump where two of them are equal up to rounding."""


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
        unseen_share=unseen_share(len(chosen), 1.0 - confidence),
    )


def least_rows(config: MMMIConfig) -> int:
    """How many rows a certificate that is written has inverted: as many as the measured bounds of views need."""
    return min(ROWS, config.rows)


def least_replays(config: MMMIConfig, manifest: Manifest) -> int:
    """How many rows a certificate that is written has made again; none where the seed is not told."""
    return 0 if manifest.seed is None else replay_count(config.rows, REPLAYS)


def sample_reasons(claimed: CertificateRecord, config: MMMIConfig, manifest: Manifest) -> list[str]:
    """Whether a standing certificate was measured on the rows that the rules ask for, whatever is measured now."""
    sample = claimed.sample
    if len(sample.rows) < least_rows(config):
        return [f"the certificate was measured on {len(sample.rows)} rows, the rules ask for {least_rows(config)}"]
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
    if not math.isclose(sample.unseen_share, wanted.unseen_share, rel_tol=1e-9):
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
    reasons = _bounds(claimed, record, without_failures) + _errors(claimed, record) + _tests(claimed, record)
    return reasons + _evidence(claimed, record)


def _evidence(claimed: CertificateRecord, record: CertificateRecord) -> list[str]:
    """Evidence of floors that is not found again. Bits of replays are comparable only where they are for both."""
    then, now, reasons = claimed.evidence, record.evidence, []
    if claimed.format == 2 or then is None or now is None:
        return []
    if claimed.replays is None or not claimed.replays.largest <= CLOSE:
        reasons.append("the certificate's rows that were made again are not close to the stored ones")
    elif claimed.sample == record.sample and (then.differing or 0) < (now.differing or 0):
        reasons.append(f"of the rows that were made again {now.differing} differ, not {then.differing or 0}")
    floors_now = dict(_bounds_of(record))
    for kind, counted, found in (("float32", then.float32, now.float32), ("view", then.view, now.view)):
        if counted is None or found is None:
            continue
        above = any(
            (bound.floor or 0.0) > (floors_now[key].floor or 0.0) + TOLERANCE_OF_CLAIMS[kind]
            for key, bound in _bounds_of(claimed)
            if key[1] == kind
        )
        fewer = any(
            stated < measured - MORE_FAILURES[0] - MORE_FAILURES[1] * measured
            for stated, measured in zip((*counted.targets, *counted.pairs), (*found.targets, *found.pairs), strict=True)
        )
        if above and fewer:
            reasons.append(f"the rows that the certificate counts for its floors ({kind}) are not found again")
    return reasons


def _bounds_of(record: CertificateRecord) -> list[tuple[tuple[str, str], ColumnBound]]:
    return [
        ((quantity, kind), bound) for quantity, each in record.bounds.items() for kind, bound in each.columns.items()
    ]


def _bounds(claimed: CertificateRecord, record: CertificateRecord, without_failures: Mapping[str, float]) -> list[str]:
    """Bounds far above those of today, or not accounted for; one that is lower is true as well."""
    stated, now = dict(_bounds_of(claimed)), dict(_bounds_of(record))
    tried = [{key: set(bound.tried) for key, bound in each.items()} for each in (stated, now)]
    if tried[0] != tried[1]:
        return ["the certificate bounds other quantities than the rules ask for, or in another way"]
    reasons = []
    for (quantity, kind), claim in stated.items():
        upper, found = record.bounds[quantity].analytic, now[quantity, kind].measured
        room = TOLERANCE_OF_CLAIMS[kind] * (1.0 + upper) + (upper > ROUNDING_SHOWS_FROM) * ROOM_FOR_ROUNDING
        if claim.measured != published(claim.tried, claimed.bounds[quantity].analytic):
            reasons.append(f"the certificate gives another account of its bound on {quantity} ({kind})")
            continue
        without = without_failures.get(quantity, 0.0) * (kind == "view")
        if not claim.measured <= max(found, without) + room:
            reasons.append(
                f"the certificate's bound {claim.measured} on {quantity} ({kind}) is not found again: {found}"
            )
            continue
        again = now[quantity, kind].tried
        reasons += [
            f"the certificate's bound {value} on {quantity} ({kind}) by {name} is not found again: {again[name]}"
            for name, value in claim.tried.items()
            if not value <= max(again[name] + ROOM_FOR_LESSER * max(found - again[name], 0.0), without) + room
        ]
    return reasons


def _errors(claimed: CertificateRecord, record: CertificateRecord) -> list[str]:
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
            if not _found_again(then[kind], now, kind, record.tolerance.get(kind, math.inf))
        ]
    return reasons


def _found_again(then: RoundTrip, now: RoundTrip, kind: str, tolerance: float) -> bool:
    """Whether errors of one kind of column are as those of today, on whatever machine they were measured."""
    if then.rows != now.rows or then.failed > then.rows:
        return False
    more, share = MORE_FAILURES if kind == "view" else (0, 0.0)
    if abs(then.failed - now.failed) > more + share * now.failed:
        return False
    if then.median is None and then.max is None:
        return bool(now.median is None or then.failed == then.rows)
    if then.median is None or then.max is None or not then.median <= then.max <= tolerance:
        return False
    if now.median is None or now.max is None:
        return bool(0 < now.failed == now.rows)
    # Which rows of views fail differs between machines, and with them the largest error of the others.
    compared = [(then.median, now.median)] + ([] if then.failed or now.failed else [(then.max, now.max)])
    return all(SMALLEST_SHARE_OF_ERRORS * measured <= stated for stated, measured in compared)


def _tests(claimed: CertificateRecord, record: CertificateRecord) -> list[str]:
    """The tests, none of which may have failed, and their p-values."""
    if set(claimed.tests) != set(record.tests):
        return ["the certificate's tests are not those of the rules"]
    return [
        f"the certificate's p-value {then} of the test of {name} is not found again: {record.tests[name]}"
        for name, then in claimed.tests.items()
        if then < claimed.tests_level / len(claimed.tests)
        or not abs(then - record.tests[name]) <= TOLERANCE_OF_P_VALUES
    ]
