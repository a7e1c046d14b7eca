"""What a standing certificate states, consistently rewritten: false, incomparable or malformed claims are refused, and
those of other machines are not."""

import dataclasses
import json
import re

import numpy as np
import pytest

from mmmi_hf.causal import common_cause
from mmmi_hf.dataset.certificate import measurement
from mmmi_hf.dataset.certificate import standing as claims
from mmmi_hf.dataset.certificate.bounds import Plan, bounds_without_failures, lower_bounds
from mmmi_hf.dataset.certificate.folder_checks import check_folder
from mmmi_hf.dataset.certificate.recording import step_certificates
from mmmi_hf.dataset.format.certificate_record import (
    CertificateRecord,
    RoundTrip,
    StepCertificate,
    bound_certificate,
)
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.generation.rows import blas
from tests.dataset.certificate import forgeries
from tests.dataset.certificate.forgeries import SMALL, changed, reasons_of, rewritten, without
from tests.support import generate

ELSEWHERE = claims.ELSEWHERE


@pytest.fixture
def elsewhere(monkeypatch):
    """Certificates are compared with measurements as those of another machine."""
    monkeypatch.setattr(claims, "HERE", ELSEWHERE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("sample"), "small.json, line 1: sample: is missing"),
        (without("bounds"), "bounds: is missing"),
        (without("replayed"), "replayed: is missing"),
        (changed("yes", "replayed"), "replayed: input should be a valid boolean, got 'yes'"),
        (changed(3.0, "confidence"), "confidence: input should be less than 1, got 3.0"),
        (changed(0.1, "confidence"), "confidence: input should be greater than 0.5"),
        (changed("all", "sample", "rows"), "sample.rows: input should be a valid array, got 'all'"),
        (changed("seven", "sample", "chosen_seed"), "sample.chosen_seed: input should be a valid integer"),
        (changed([0.5], "sample", "rows_float64"), "sample.rows_float64[0]: input should be a valid integer"),
        (changed(float("inf"), "bounds", "I(x1;y)", "view", "measured"), "view.measured: input should be a finite"),
        (changed(-1.0, "bounds", "I(x1;y)", "view", "measured"), "view.measured: input should be greater than or"),
        (changed(10**400, "bounds", "I(x1;y)", "view", "measured"), "view.measured: input should be a"),
        (changed(10**400, "bounds", "I(x1;y)", "analytic"), "analytic: input should be a"),
        (changed(10**400, "single_error"), "single_error: input should be"),
        (changed("small", "round_trip"), "round_trip: input should be an object"),
        (changed(-2, "round_trip", "x1", "view", "failed"), "round_trip.x1.view.failed: input should be greater"),
        (changed(1.5, "tests", "means"), "tests.means: input should be less than or equal to 1"),
        (changed(1, "format"), "format: input should be 2 or 4"),
        (changed(3, "format"), "small.json: format 3 is that of a version that was never released; measure again"),
        (changed("more", "remark"), "remark: unknown field"),
        (changed("more", "statements", "remark"), "statements.remark: unknown field"),
        (without("statements", "machine"), "statements.machine: is missing"),
        (changed("other", "config"), "it is that of 'other'"),
    ],
)
def test_malformed_certificates_bind_nothing(place, change, words):
    record = forgeries.certificate_of(place.path, "small")
    change(record)
    place.certificate_path("small").write_text(json.dumps(record))
    assert bound_certificate(place, "small") is None
    (reason,) = check_folder(place.path, "small")
    assert "is not a certificate of this manifest" in reason
    assert words in reason
    assert "\n" not in reason
    assert "remove it and verify again" in reasons_of(place)


def claiming(place, **changes):
    """The certificate and the ground truth claim all of the analytic information, consistently."""

    def change(record):
        for bounds in record["bounds"].values():
            for kind in ("float32", "view"):
                bounds[kind]["measured"] = bounds["analytic"]
        in_sample = {"rows", "rows_float64", "rows_replayed", "chosen_seed"}
        record |= {name: value for name, value in changes.items() if name not in in_sample}
        record["sample"] |= {name: value for name, value in changes.items() if name in in_sample}

    rewritten(place, certificate=change)
    assert check_folder(place.path, "small") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": [], "rows_float64": []}, "was measured on 0 rows, the rules ask for 64"),
        ({"rows": list(range(64))}, "is not the one that follows from the digests"),
        ({"rows_float64": list(range(8))}, "is not the one that follows from the digests"),
        ({"chosen_seed": 1204}, "whoever made the certificate picked its sample, with the number 1204"),
        ({"confidence": 0.51}, "what share of bad rows its sample could have missed"),
        ({"replayed": False}, "does not say of the replay"),
        ({"version": "2.0.0"}, "another version than the folder"),
        ({"rows_replayed": 149}, "149 rows that were made again, the rules ask for 150"),
        ({"rows_replayed": 151}, "is not the one that follows from the digests"),
    ],
)
def test_claims_cannot_avoid_the_comparison(place, changes, words):
    """Whatever made the standing certificate incomparable with the measurement let any claim pass."""
    claiming(place, **changes)
    assert words in reasons_of(place, rows_float64=None)


def test_a_claim_about_floats_has_little_room(place, elsewhere):
    """Not that of 8-bit views, whose inverses differ more between machines."""

    def change(record):
        bound = record["bounds"]["I(x1;y)"]["float32"]
        bound["tried"] = {name: value - 0.5 for name, value in bound["tried"].items()}
        bound["measured"] = max(bound["tried"].values())

    rewritten(place, certificate=change)
    assert reasons_of(place, rows_float64=None) == ""  # modest
    claimed, measured = (typed(place, stating("I(x1;y)", "float32", bound)) for bound in (0.99, 0.98))
    assert "bound 0.99 on I(x1;y) (float32) is not found again: 0.98" in " ".join(
        claims._bounds(claimed, measured, {}, ELSEWHERE)
    )


def stating(quantity, kind, value):
    """The certificate gives this bound, and every bound that was tried."""

    def change(record):
        bound = record["bounds"][quantity][kind]
        bound |= {"measured": value, "tried": dict.fromkeys(bound["tried"], value)}

    return change


def typed(place, *changes):
    """The certificate with some changes."""
    record = forgeries.certificate_of(place.path, "small")
    for change in changes:
        change(record)
    return CertificateRecord.from_json(json.dumps(record), "certificate")


def recovering(monkeypatch, change):
    """Certificates are measured with `change(latents, from_8_bit_views)` of what is recovered."""
    original = measurement.recover_all

    def changed_ones(asked, *, tick):
        found = original(asked, tick=tick)
        for each, recovered in zip(asked, found, strict=True):
            recovered.latents = change(recovered.latents, each.tolerance is not None)
        return found

    monkeypatch.setattr(measurement, "recover_all", changed_ones)


def test_failures_excuse_no_more_than_they_cost(place, elsewhere, monkeypatch):
    """Bounds of 8-bit views are compared with those of the rows that could be inverted, where a failure lowers them."""
    noise = 0.0

    def failing(found, coarse):
        if coarse:
            found += noise * np.random.default_rng(0).standard_normal(found.shape)
            found[3] = np.nan
        return found

    def claims_all(record):
        for quantity, bounds in record["bounds"].items():
            stating(quantity, "view", bounds["analytic"])(record)

    recovering(monkeypatch, failing)
    assert reasons_of(place, rows_float64=None) == ""
    rewritten(place, certificate=claims_all)
    noise = 0.5
    assert re.search(
        r"bound 1\.\d+ on I\(x1;y\) \(view\) is not found again: 0\.", reasons_of(place, rows_float64=None)
    )
    claimed, measured = typed(place), typed(place, stating("I(x1;y)", "view", 0.1))
    assert "is not found again: 0.1" in " ".join(claims._bounds(claimed, measured, {"I(x1;y)": 0.9}, ELSEWHERE))
    assert claims._bounds(claimed, measured, {"I(x1;y)": 0.99}, ELSEWHERE) == []
    measured = typed(place, stating("I(x1;y)", "float32", 0.1))
    assert "(float32) is not found again: 0.1" in " ".join(
        claims._bounds(claimed, measured, {"I(x1;y)": 1.0}, ELSEWHERE)
    )


def test_bounds_of_the_rows_that_could_be_inverted():
    """Of every quantity they are those of a sample of these rows alone, and failures of other modalities are none."""
    model = common_cause((1, 8, 8), mi=1.0)
    drawn = model.sample_rows(range(80), seed=3)
    plan = Plan.of(model, 2, 0.999)
    recovered = {name: values.copy() for name, values in drawn.z.items()}
    missing = {name: np.zeros(80, dtype=bool) for name in recovered}
    assert bounds_without_failures(model, recovered, drawn.y, "whiten", plan, drawn, missing) == {}
    recovered["x1"][:10] = np.nan
    for true in (None, drawn):
        found = bounds_without_failures(model, recovered, drawn.y, "whiten", plan, true, missing)
        known = true and model.sample_rows(range(10, 80), seed=3)
        rest = {name: values[10:] for name, values in drawn.z.items()}
        wanted = lower_bounds(
            model, rest, drawn.y[10:], "whiten", plan, known, {name: each[10:] for name, each in missing.items()}
        )
        wanted.pop("I(x2;y)")
        assert found == {quantity: bounds["bound"] for quantity, bounds in wanted.items()}
        assert (
            found["I(x1;y)"]
            > lower_bounds(model, recovered, drawn.y, "whiten", plan, true, missing)["I(x1;y)"]["bound"]
        )
    recovered["x1"][:65], recovered["x2"][5, 0, 2, 2] = np.nan, np.inf  # 15 rows of x1 are left: too few
    assert set(bounds_without_failures(model, recovered, drawn.y, "whiten", plan, drawn, missing)) == {"I(x2;y)"}
    del recovered["x2"]
    assert bounds_without_failures(model, recovered, drawn.y, "whiten", plan, drawn, missing) == {}


def test_a_bound_that_is_cut_at_the_analytic_value_of_another_machine(place):
    """Whose last bit may be another."""
    here = typed(place).bounds["I(x1;y)"].analytic
    upper = float(np.nextafter(here, 0.0))
    cut = changed(here, "bounds", "I(x1;y)", "float32", "measured")
    claimed = typed(
        place,
        stating("I(x1;y)", "float32", 2.0),
        changed(upper, "bounds", "I(x1;y)", "analytic"),
        changed(upper, "bounds", "I(x1;y)", "float32", "measured"),
    )
    assert claims._bounds(claimed, typed(place, stating("I(x1;y)", "float32", 2.0), cut), {}, ELSEWHERE) == []


CLIPPED = ("round_trip", "x1", "view", "clipped")
ERRORS = {"median": 0.01, "max": 0.1, "failed": 0, "rows": 64}


@pytest.mark.parametrize(
    ("then", "now", "kind", "found"),
    [
        ({}, {}, "view", True),
        ({"max": 0.001}, {}, "view", False),
        ({"max": 0.001, "failed": 1}, {"max": 5.0}, "view", False),  # a maximum below its median
        ({"max": 0.02, "failed": 1}, {"max": 5.0}, "view", True),  # the row of 5.0 failed there
        ({"max": 0.02}, {"max": 5.0, "failed": 1}, "view", True),
        ({"median": 1e-9, "failed": 1}, {}, "view", False),
        ({"max": None, "failed": 1}, {}, "view", False),
        ({"median": None, "max": None}, {}, "view", False),
        ({}, {"median": None, "max": None}, "view", False),
        ({"median": None, "max": None}, {"median": None, "max": None}, "view", True),  # without a replay
        ({"median": None, "max": None, "failed": 64}, {"failed": 62}, "view", True),  # of rows, none was inverted there
        ({"failed": 60}, {"median": None, "max": None, "failed": 64}, "view", True),
        ({"median": None, "max": None, "failed": 64}, {"failed": 20}, "view", False),
        ({"failed": 1}, {}, "float32", False),
        ({}, {"median": None, "max": None, "failed": 1}, "view", False),
        ({"failed": 65}, {"failed": 64}, "view", False),
        ({"rows": 63}, {}, "view", False),
    ],
)
@pytest.mark.parametrize("tolerance", [1.0, float("inf")])
def test_errors_of_the_round_trip_on_two_machines(then, now, kind, found, tolerance):
    assert (
        claims._found_again(RoundTrip(**ERRORS | then), RoundTrip(**ERRORS | now), kind, tolerance, ELSEWHERE) is found
    )


STEPS = {"samples": 10, "seed": 0, "iterations": 12, "contraction": 1.5, "smallest_stretch": 0.2, "monotonicity": 0.6}


@pytest.mark.parametrize(
    ("stated", "known", "passes"),
    [
        (STEPS, STEPS, True),
        (None, STEPS, True),
        (STEPS, None, True),
        (STEPS | {"contraction": 1.2}, STEPS, False),
    ],
)
def test_step_certificates_of_older_and_newer_packages(place, stated, known, passes):
    """Either may know of none yet for a pipeline."""
    claimed, record = (typed(place, changed({"a" * 64: steps}, "step_certificates")) for steps in (stated, known))
    reasons = claims._stated(claimed, record, SMALL, place.manifest("small"))
    assert (reasons == []) is passes, reasons
    assert CertificateRecord.from_json(claimed.to_json(), "again") == claimed


def test_the_room_of_another_machine_is_not_that_of_the_makers(place):
    claimed, statements = typed(place), ("statements", "hardware")
    assert claims.Room.between(claimed, claimed) is claims.HERE
    for change in (
        changed(["another processor"], *statements),
        without("statements", "hardware"),
        changed("riscv64", "statements", "machine"),
        changed({}, "statements", "versions"),
        changed("openblas 0.1 Abacus", "statements", "versions", "blas"),
        without("statements", "versions", "blas"),
    ):
        assert claims.Room.between(typed(place, change), claimed) is ELSEWHERE
    assert claimed.statements.versions["blas"] == blas() != ""
    for change in (changed("", "statements", "versions", "blas"), without("statements", "versions", "blas")):
        unsaid = typed(place, change)
        assert claims.Room.between(unsaid, unsaid) is ELSEWHERE
    of_a_gpu = typed(place, changed(["cuda"], "statements", "device"))
    assert claims.Room.between(of_a_gpu, of_a_gpu) is ELSEWHERE  # whose kernels may differ from run to run
    assert claims.Room.between(typed(place, changed("words", "statements", "method")), claimed) is claims.HERE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(2, "round_trip", "x1", "view", "failed"), "round trip of x1 (view) is not found again"),
        (changed(1e-5, "round_trip", "x1", "float32", "max"), "round trip of x1 (float32) is not found again"),
    ],
)
def test_the_makers_machine_excuses_nothing(place, monkeypatch, change, words):
    """Two rows of views that fail here and not there, or larger errors, are those of other hardware or of nobody."""
    rewritten(place, certificate=change)
    assert words in reasons_of(place, rows_float64=None)
    monkeypatch.setattr(claims, "HERE", ELSEWHERE)
    assert words not in reasons_of(place, rows_float64=None)


@pytest.mark.parametrize("change", [changed(0.5, *CLIPPED), without(*CLIPPED)])
def test_no_machine_excuses_what_views_cut(place, elsewhere, change):
    """It is a share of stored values; only format 2 did not say it."""
    claimed = typed(place, change)
    words = "the certificate's round trip of x1 (view) is not found again"
    assert claims._errors(claimed, typed(place), ELSEWHERE) == [words]
    older = claimed.model_copy(update={"format": 2})
    unsaid = claimed.round_trip["x1"]["view"].clipped is None
    assert claims._errors(older, typed(place), ELSEWHERE) == ([] if unsaid else [words])


def test_step_certificates_of_the_package():
    assert all(isinstance(steps, StepCertificate) for steps in step_certificates().values())


def raised_loser(record):
    """A bound that was tried and is not the largest, as large as the largest."""
    bound = record["bounds"]["I(x1;y)"]["float32"]
    least = min(bound["tried"], key=bound["tried"].get)
    assert bound["tried"][least] < bound["measured"] - 0.1
    bound["tried"][least] = bound["measured"]


def both(*changes):
    def change(document):
        for each in changes:
            each(document)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(100.0, "bounds", "I(x1;y)", "analytic"), "upper bound on I(x1;y) is 100.0, analytic 1"),
        (without("bounds", "I(x1;y)"), "bounds other quantities"),
        (changed({"analytic": 3.0}, "bounds", "I(x1;x9)"), "bounds other quantities"),
        (without("bounds", "I(x1;y)", "view"), "bounds other quantities than the rules ask for, or in another way"),
        (without("bounds", "I(x1;y)", "view", "tried", "paired"), "or in another way"),
        (changed(1e-30, "round_trip", "x1", "float32", "max"), "round trip of x1 (float32) is not found again"),
        (without("round_trip", "x2", "float64", "median"), "round trip of x2 (float64) is not found again"),
        (changed(5, "round_trip", "x2", "float32", "failed"), "round trip of x2 (float32) is not found again"),
        (changed(60, "round_trip", "x2", "view", "failed"), "round trip of x2 (view) is not found again"),
        (without("round_trip", "x1", "float64"), "measured other columns of x1"),
        (changed({}, "round_trip"), "round trips of other modalities"),
        (changed({"float32": {"failed": 0, "rows": 1}}, "round_trip", "x7"), "round trips of other modalities"),
        (changed({}, "tests"), "tests are not those of the rules"),
        (changed(1e-9, "tests", "means"), "p-value 1e-09 of the test of means is not found again"),
        (changed(0.9, "tests", "rows of two modalities"), "p-value 0.9 of the test of rows of two modalities"),
        (changed(1e-30, "tests_level"), "another tests_level than the rules"),
        (changed({"float32": 1.0}, "tolerance"), "another tolerance than the rules"),
        (changed(1, "looks"), "divides its confidence otherwise"),
        (changed(0.3, "single_error"), "divides its confidence otherwise"),
        (changed({"a" * 64: STEPS}, "step_certificates"), "step certificates of other pipelines"),
        (changed(0.9999, "bounds", "I(x1;y)", "view", "measured"), "another account of its bound on I(x1;y) (view)"),
        (changed(1.2, "bounds", "I(x1;y)", "view", "tried", "paired"), "another account of its bound"),
        (raised_loser, "is not found again"),
        (changed(10**6, "replays", "equal"), "the certificate counts 1000000 equal rows of"),
        (changed(1e9, "round_trip", "x1", "float32", "max"), "round trip of x1 (float32) is not found again"),
        (changed(1e-6, "round_trip", "x1", "float32", "median"), "round trip of x1 (float32) is not found again"),
        (changed(0.5, "sample", "unseen_share"), "what share of bad rows its sample could have missed"),
    ],
)
def test_all_that_a_certificate_states_is_compared(place, elsewhere, change, words):
    rewritten(place, certificate=change)
    reasons = reasons_of(place, rows_float64=None)
    print(reasons)
    assert words in reasons


def test_what_is_modest_or_provenance_may_differ(place):
    """Another machine errs a little more or less, and says that it is another."""
    rewritten(
        place,
        certificate=both(
            changed({"method": "trust me", "machine": "riscv64", "versions": {}}, "statements"),
            changed(9e-6, "round_trip", "x1", "float32", "max"),
            changed(0.99, "tests", "means"),
        ),
    )
    assert reasons_of(place, rows_float64=None) == ""


@pytest.mark.parametrize("information", [5.0, 9.0, 12.0])
def test_another_machines_rounding(tmp_path, elsewhere, monkeypatch, information):
    """Errors of the same size, of other bits."""
    generator = np.random.default_rng(0)

    def rounding(found, coarse):
        size = 1e-4 if coarse else 1e-6
        return found + size * generator.standard_normal(found.shape).astype(found.dtype)

    recovering(monkeypatch, rounding)
    config = dataclasses.replace(SMALL, causal_model=common_cause((1, 8, 8), mi=information))
    place = DatasetFolder(generate(config, tmp_path / "out").folder)
    assert bound_certificate(place, "small") is not None
    for _ in range(3):
        assert reasons_of(place, rows_float64=None) == ""


def test_a_readers_own_sample_is_compared_where_it_can_be(place):
    """With other rows or another confidence, what was measured on the certificate's is left alone."""
    for options in ({"sample_seed": 3}, {"rows": 70}, {"rows_float64": 2}, {"confidence": 0.9}):
        assert reasons_of(place, **{"rows_float64": None, **options}) == ""
    rewritten(place, certificate=changed(1, "looks"))
    assert "divides its confidence otherwise" in reasons_of(place, sample_seed=3)
