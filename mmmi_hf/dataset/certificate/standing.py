"""What a certificate that lies in a folder must say: everything that follows from the folder and the rules exactly, and
what was measured as far as the same sample gives it now.

Owns the sample of a certificate and the comparison of a standing one with a measurement. Runs no bijection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmmi_hf.causal.statistics.confidence import unseen_share
from mmmi_hf.causal.statistics.law_tests import refused
from mmmi_hf.causal.statistics.p_values import Test
from mmmi_hf.dataset.certificate.bounds import Plan, published
from mmmi_hf.dataset.certificate.folder_checks import is_amount
from mmmi_hf.dataset.certificate.sampled_rows import sample_seed, sampled_rows
from mmmi_hf.dataset.releases.configuration import MMMIConfig

ROWS = 64
TOLERANCE_OF_CLAIMS = {"float32": 1e-3, "8bit": 0.02}
"""How far, over 1 + the analytic value, published bounds may lie above those measured now: inverses differ between
machines in their last bits, those of 8-bit images in more."""
ROUNDING_SHOWS_FROM = 6.0
ROOM_FOR_ROUNDING = 0.5 * math.log(2.0)
"""From so many nats on, the rounding of floats lowers bounds: by this much more if that of another machine is twice as
large in the mean square."""
SMALLEST_SHARE_OF_ERRORS = 0.1
"""How small, relative to what is measured now, published errors of the round trip may be."""
MORE_FAILURES = 2, 0.1
"""How many more rows of 8-bit views, and what share of them, may fail to be inverted on another machine."""

STEP_CERTIFICATE = {"samples", "seed", "iterations", "contraction", "smallest_stretch", "monotonicity"}
"""What a certificate cites of the evidence that a pipeline's steps are invertible (dataset/step_certificates.json)."""

_OF_THE_FOLDER = ("format", "config", "version", "data", "causal_model", "pipelines", "data_seed")
_OF_THE_RULES = ("valid", "reasons", "tolerance", "tests_level", "method")


def certificate_sample(
    config: MMMIConfig,
    manifest: Mapping[str, Any],
    rows: int,
    rows_float64: int,
    confidence: float,
    chosen_seed: int | None = None,
) -> dict[str, Any]:
    """The record of a sample: row numbers, those inverted in float64 too, seeds, and what the sample may have missed.

    Args:
        config, manifest: a configuration of a folder.
        rows, rows_float64: how many are wanted; at most all.
        confidence: with which `unseen_share` is an upper bound of the share of bad rows if the sample has none.
        chosen_seed: a reader's number; a certificate that is written has none.
    """
    seed = sample_seed(manifest, chosen_seed)
    chosen = sampled_rows(config.split_rows, rows, seed)
    order = np.random.default_rng([seed % 2**63, 1]).permutation(len(chosen))
    return {
        "rows": chosen,
        "rows_float64": [chosen[i] for i in np.sort(order[:rows_float64])],
        "seed": str(seed),
        "chosen_seed": chosen_seed,
        "unseen_share": unseen_share(len(chosen), 1.0 - confidence),
    }


def sample_reasons(claimed: Mapping[str, Any], config: MMMIConfig, manifest: Mapping[str, Any]) -> list[str]:
    """Whether a standing certificate was measured on the rows that the rules ask for, whatever is measured now."""
    sample = claimed["sample"]
    if len(sample["rows"]) < min(ROWS, config.rows):
        return [f"the certificate was measured on {len(sample['rows'])} rows, the rules ask for {ROWS}"]
    if sample["chosen_seed"] is not None:
        return [f"whoever made the certificate picked its sample, with the number {sample['chosen_seed']}"]
    counts = len(sample["rows"]), len(sample["rows_float64"])
    wanted = certificate_sample(config, manifest, *counts, claimed["confidence"])
    share = sample.get("unseen_share")
    if not isinstance(share, float) or not math.isclose(share, wanted["unseen_share"], rel_tol=1e-9):
        return ["the certificate does not say what share of bad rows its sample could have missed"]
    if sample != wanted | {"unseen_share": share}:
        return ["the certificate's sample is not the one that follows from the digests of the data"]
    return []


def claim_reasons(
    claimed: Mapping[str, Any],
    record: Mapping[str, Any],
    config: MMMIConfig,
    manifest: Mapping[str, Any],
    without_failures: Mapping[str, float],
) -> list[str]:
    """In what a standing certificate is not what it must be, given what was measured now.

    Args:
        claimed: the certificate, which binds the manifest (see `bound_certificate`).
        record: of this measurement, which found nothing wrong; its sample and confidence may be other ones.
        config, manifest: what both are about.
        without_failures: quantity → its bound from the rows whose 8-bit views could be inverted now, where some could
            not: which rows fail is a matter of the machine.
    """
    try:
        return _stated(claimed, record, config, manifest) or _measured(claimed, record, without_failures)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        return [f"the certificate is malformed: {type(error).__name__}: {error}"]


def _stated(
    claimed: Mapping[str, Any], record: Mapping[str, Any], config: MMMIConfig, manifest: Mapping[str, Any]
) -> list[str]:
    """What needs no measurement: identity, rules, analytic values, and which bounds there are."""
    if set(claimed) != set(record):
        return [f"the certificate has other fields than the rules ask for: {sorted(set(claimed) ^ set(record))}"]
    reasons = [
        f"the certificate has another {field} than the {whose}"
        for fields, whose in ((_OF_THE_FOLDER, "folder"), (_OF_THE_RULES, "rules"))
        for field in fields
        if claimed[field] != record[field]
    ]
    if claimed["replayed"] != (manifest["seed"] is not None):
        reasons.append("the certificate does not say of the replay from the seed what the manifest does")
    kinds = {kind for found in record["round_trip"].values() for kind in found}
    plan = Plan.of(config.model, 2 if "8bit" in kinds else 1, claimed["confidence"])
    if claimed["looks"] != plan.looks or not math.isclose(claimed["single_error"], plan.error, rel_tol=1e-9):
        reasons.append("the certificate divides its confidence otherwise than the rules")
    for quantity, value in record["upper_bounds"].items():
        stated = claimed["upper_bounds"].get(quantity)
        if stated is None or not math.isclose(stated, value, rel_tol=1e-9, abs_tol=1e-12):
            reasons.append(f"the certificate's upper bound on {quantity} is {stated}, analytic {value}")
    if not set(claimed["lower_bounds"]) <= set(claimed["upper_bounds"]) == set(record["upper_bounds"]):
        reasons.append("the certificate bounds other quantities than the rules ask for")
    for digest, known in record["step_certificates"].items():
        stated = claimed["step_certificates"].get(digest)
        if not (stated in (None, known) or (known is None and _is_step_certificate(stated))):
            reasons.append(f"the certificate has a step certificate of {digest[:12]} that is not known here")
    if set(claimed["step_certificates"]) != set(record["step_certificates"]):
        reasons.append("the certificate has step certificates of other pipelines")
    above = [
        f"the certificate's bound {claim} on {quantity} ({kind}) is above the analytic {upper}"
        for quantity, upper in record["upper_bounds"].items()
        for kind, claim in claimed["lower_bounds"].get(quantity, {}).items()
        if claim is not None and not claim <= upper + 1e-9
    ]
    return reasons + above


def _is_step_certificate(stated: Any) -> bool:
    """Whether it has the form of one, of a pipeline that this version of the package does not know."""
    return isinstance(stated, dict) and set(stated) == STEP_CERTIFICATE and all(map(is_amount, stated.values()))


def _measured(
    claimed: Mapping[str, Any], record: Mapping[str, Any], without_failures: Mapping[str, float]
) -> list[str]:
    """What the same sample gives now; nothing where this measurement took another one."""
    same = all(claimed["sample"][field] == record["sample"][field] for field in ("rows", "rows_float64"))
    same = same and all(claimed[field] == record[field] for field in ("confidence", "replayed"))
    if not same:
        return []
    return _bounds(claimed, record, without_failures) + _errors(claimed, record) + _tests(claimed, record)


def _bounds(claimed: Mapping[str, Any], record: Mapping[str, Any], without_failures: Mapping[str, float]) -> list[str]:
    """Bounds far above those of today, or not accounted for."""
    stated = {
        (quantity, kind): claim for quantity, found in claimed["lower_bounds"].items() for kind, claim in found.items()
    }
    now = {
        (quantity, kind): value for quantity, found in record["lower_bounds"].items() for kind, value in found.items()
    }
    details = [
        {
            (kind, quantity): set(bounds)
            for kind, found in each["bounds_in_detail"].items()
            for quantity, bounds in found.items()
        }
        for each in (claimed, record)
    ]
    if set(stated) != set(now) or details[0] != details[1]:
        return ["the certificate bounds other quantities than the rules ask for, or in another way"]
    reasons = []
    for (quantity, kind), claim in stated.items():
        upper = record["upper_bounds"][quantity]
        room = TOLERANCE_OF_CLAIMS[kind] * (1.0 + upper) + (upper > ROUNDING_SHOWS_FROM) * ROOM_FOR_ROUNDING
        detail = claimed["bounds_in_detail"][kind][quantity]
        tried = {bound: value for bound, value in detail.items() if bound != "bound"}
        if detail["bound"] != claim or claim != published(tried, claimed["upper_bounds"][quantity]):
            reasons.append(f"the certificate gives another account of its bound on {quantity} ({kind})")
        elif not claim <= max(now[quantity, kind], without_failures.get(quantity, 0.0) * (kind == "8bit")) + room:
            reasons.append(
                f"the certificate's bound {claim} on {quantity} ({kind}) is not found again: {now[quantity, kind]}"
            )
    return reasons


def _errors(claimed: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """Errors of the round trip far below those of today, or of other rows."""
    reasons = []
    for name, kinds in record["round_trip"].items():
        if set(claimed["round_trip"][name]) != set(kinds):
            return [f"the certificate measured other columns of {name}"]
        for kind, now in kinds.items():
            if not _found_again(claimed["round_trip"][name][kind], now, kind, record["tolerance"].get(kind, math.inf)):
                reasons.append(f"the certificate's round trip of {name} ({kind}) is not found again")
    if set(claimed["round_trip"]) != set(record["round_trip"]):
        reasons.append("the certificate has a round trip of another modality")
    return reasons


def _found_again(then: Mapping[str, Any], now: Mapping[str, Any], kind: str, tolerance: float) -> bool:
    """Whether errors of one kind of column are as those of today, on whatever machine they were measured."""
    if set(then) != set(now) or then["rows"] != now["rows"] or not 0 <= then["failed"] <= then["rows"]:
        return False
    more, share = MORE_FAILURES if kind == "8bit" else (0, 0.0)
    if abs(then["failed"] - now["failed"]) > more + share * now["failed"]:
        return False
    stated = then["median"], then["max"]
    if stated == (None, None):
        return bool(now["median"] is None or then["failed"] == then["rows"])
    if None in stated or not 0.0 <= stated[0] <= stated[1] <= tolerance or not is_amount(stated[1]):
        return False
    if now["median"] is None:
        return bool(0 < now["failed"] == now["rows"])
    # Which rows of 8-bit views fail differs between machines, and with them the largest error of the others.
    compared = ("median",) if then["failed"] or now["failed"] else ("median", "max")
    return all(SMALLEST_SHARE_OF_ERRORS * now[error] <= then[error] for error in compared)


def _tests(claimed: Mapping[str, Any], record: Mapping[str, Any]) -> list[str]:
    """The list of tests, none of which may have failed."""
    tests = [Test(**test) for test in claimed["tests"]]
    passed = not refused(tests, record["tests_level"]) and all(test.p_value <= 1.0 for test in tests)
    if [test.name for test in tests] != [test["name"] for test in record["tests"]] or not passed:
        return ["the certificate's tests are not those of the rules, or one of them failed"]
    return []
