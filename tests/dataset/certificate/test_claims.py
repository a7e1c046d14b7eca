"""What a standing certificate states, consistently rewritten: false, incomparable or malformed claims are refused, and
those of other machines are not."""

import dataclasses
import json
import re

import numpy as np
import pytest

from mmmi_hf.causal import common_cause
from mmmi_hf.dataset import certification as certificate
from mmmi_hf.dataset.certificate import standing as claims
from mmmi_hf.dataset.certificate.bounds import Plan, bounds_without_failures, lower_bounds
from mmmi_hf.dataset.certificate.folder_checks import bound_certificate, check_folder
from mmmi_hf.dataset.certificate.placing import step_certificates
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.ground_truth import write_ground_truth
from tests.dataset.certificate import forgeries
from tests.dataset.certificate.forgeries import SMALL, changed, reasons_of, rewritten, without
from tests.support import generate


@pytest.mark.parametrize(
    "change",
    [
        without("sample"),
        without("lower_bounds"),
        without("replayed"),
        changed(3.0, "confidence"),
        changed(0.1, "confidence"),
        changed("all", "sample", "rows"),
        changed("seven", "sample", "chosen_seed"),
        changed(list(range(65)), "sample", "rows_float64"),
        changed(float("inf"), "lower_bounds", "I(x1;y)", "8bit"),
        changed(-1.0, "lower_bounds", "I(x1;y)", "8bit"),
        changed(10**400, "lower_bounds", "I(x1;y)", "8bit"),
        changed("small", "round_trip"),
    ],
)
def test_malformed_certificates_bind_nothing(place, change):
    record = forgeries.certificate_of(place.path, "small")
    change(record)
    place.certificate_path("small").write_text(json.dumps(record))
    assert bound_certificate(place, "small") is None
    assert "is not a certificate of this manifest" in check_folder(place.path, "small")[0]
    assert "remove it and verify again" in reasons_of(place)


def claiming(place, **changes):
    """The certificate and the ground truth claim all of the analytic information, consistently."""

    def change(record):
        for quantity, kinds in record["lower_bounds"].items():
            kinds.update(dict.fromkeys(kinds, record["upper_bounds"][quantity]))
        record |= {name: value for name, value in changes.items() if name not in record["sample"]}
        record["sample"] |= {name: value for name, value in changes.items() if name in record["sample"]}
        write_ground_truth(SMALL, place.ground_truth("small"), record["lower_bounds"])

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
        ({"data_seed": 12}, "another data_seed than the folder"),
    ],
)
def test_claims_cannot_avoid_the_comparison(place, changes, words):
    """Whatever made the standing certificate incomparable with the measurement let any claim pass."""
    claiming(place, **changes)
    assert words in reasons_of(place, rows_float64=None)


def test_a_claim_about_floats_has_little_room(place):
    """Not that of 8-bit views, whose inverses differ more between machines."""

    def change(record):
        record["lower_bounds"]["I(x1;y)"]["float32"] -= 0.5
        detail = record["bounds_in_detail"]["float32"]["I(x1;y)"]
        detail.update({bound: value - 0.5 for bound, value in detail.items()})
        write_ground_truth(SMALL, place.ground_truth("small"), record["lower_bounds"])

    rewritten(place, certificate=change)
    assert reasons_of(place, rows_float64=None) == ""  # modest
    record = forgeries.certificate_of(place.path, "small")
    measured = json.loads(json.dumps(record))
    for document, bound in ((record, 0.99), (measured, 0.98)):
        document["lower_bounds"]["I(x1;y)"]["float32"] = bound
        detail = document["bounds_in_detail"]["float32"]["I(x1;y)"]
        detail.update(dict.fromkeys(detail, bound))
    assert "bound 0.99 on I(x1;y) (float32) is not found again: 0.98" in " ".join(claims._bounds(record, measured, {}))


def recovering(monkeypatch, change):
    """Certificates are measured with `change(latents, from_8_bit_views)` of what is recovered."""
    original = certificate.recover

    def changed_ones(bijection, label, values, **options):
        return change(original(bijection, label, values, **options), options.get("coarse", False))

    monkeypatch.setattr(certificate, "recover", changed_ones)


def test_failures_excuse_no_more_than_they_cost(place, monkeypatch):
    """Bounds of 8-bit views are compared with those of the rows that could be inverted, where a failure lowers them."""
    noise = 0.0

    def failing(found, coarse):
        if coarse:
            found += noise * np.random.default_rng(0).standard_normal(found.shape)
            found[3] = np.nan
        return found

    def claims_all(record):
        for quantity, kinds in record["lower_bounds"].items():
            kinds["8bit"] = record["upper_bounds"][quantity]
            detail = record["bounds_in_detail"]["8bit"][quantity]
            detail.update(dict.fromkeys(detail, kinds["8bit"]))
        write_ground_truth(SMALL, place.ground_truth("small"), record["lower_bounds"])

    recovering(monkeypatch, failing)
    assert reasons_of(place, rows_float64=None) == ""
    rewritten(place, certificate=claims_all)
    noise = 0.5
    assert re.search(
        r"bound 1\.\d+ on I\(x1;y\) \(8bit\) is not found again: 0\.", reasons_of(place, rows_float64=None)
    )
    claimed, measured = (forgeries.certificate_of(place.path, "small") for _ in range(2))
    measured["lower_bounds"]["I(x1;y)"]["8bit"] = 0.1
    assert "is not found again: 0.1" in " ".join(claims._bounds(claimed, measured, {"I(x1;y)": 0.9}))
    assert claims._bounds(claimed, measured, {"I(x1;y)": 0.99}) == []
    measured["lower_bounds"]["I(x1;y)"]["float32"] = 0.1
    assert "(float32) is not found again: 0.1" in " ".join(claims._bounds(claimed, measured, {"I(x1;y)": 1.0}))


def test_bounds_of_the_rows_that_could_be_inverted():
    """Of every quantity they are those of a sample of these rows alone, and failures of other modalities are none."""
    model = common_cause((1, 8, 8), mi=1.0)
    drawn = model.sample_rows(range(80), seed=3)
    plan = Plan.of(model, 2, 0.999)
    recovered = {name: values.copy() for name, values in drawn.z.items()}
    assert bounds_without_failures(model, recovered, drawn.y, "whiten", plan, drawn) == {}
    recovered["x1"][:10] = np.nan
    for true in (None, drawn):
        found = bounds_without_failures(model, recovered, drawn.y, "whiten", plan, true)
        known = true and model.sample_rows(range(10, 80), seed=3)
        rest = {name: values[10:] for name, values in drawn.z.items()}
        wanted = lower_bounds(model, rest, drawn.y[10:], "whiten", plan, known)
        wanted.pop("I(x2;y)")
        assert found == {quantity: bounds["bound"] for quantity, bounds in wanted.items()}
        assert found["I(x1;y)"] > lower_bounds(model, recovered, drawn.y, "whiten", plan, true)["I(x1;y)"]["bound"]
    recovered["x1"][:60], recovered["x2"][5, 0, 2, 2] = np.nan, np.inf
    assert set(bounds_without_failures(model, recovered, drawn.y, "whiten", plan, drawn)) == {"I(x2;y)"}
    del recovered["x2"]
    assert bounds_without_failures(model, recovered, drawn.y, "whiten", plan, drawn) == {}


def test_a_bound_that_is_cut_at_the_analytic_value_of_another_machine(place):
    """Whose last bit may be another."""
    claimed, measured = (forgeries.certificate_of(place.path, "small") for _ in range(2))
    upper = float(np.nextafter(claimed["upper_bounds"]["I(x1;y)"], 0.0))
    claimed["upper_bounds"]["I(x1;y)"] = claimed["lower_bounds"]["I(x1;y)"]["float32"] = upper
    detail = claimed["bounds_in_detail"]["float32"]["I(x1;y)"]
    detail.update({**dict.fromkeys(detail, 2.0), "bound": upper})
    measured["lower_bounds"]["I(x1;y)"]["float32"] = 1.0
    assert claims._bounds(claimed, measured, {}) == []


ERRORS = {"median": 0.01, "max": 0.1, "failed": 0, "rows": 64}


@pytest.mark.parametrize(
    ("then", "now", "kind", "found"),
    [
        ({}, {}, "8bit", True),
        ({"max": 0.001}, {}, "8bit", False),
        ({"max": 0.001, "failed": 1}, {"max": 5.0}, "8bit", False),  # a maximum below its median
        ({"max": 0.02, "failed": 1}, {"max": 5.0}, "8bit", True),  # the row of 5.0 failed there
        ({"max": 0.02}, {"max": 5.0, "failed": 1}, "8bit", True),
        ({"median": 1e-9, "failed": 1}, {}, "8bit", False),
        ({"max": float("inf"), "failed": 1}, {}, "8bit", False),
        ({"max": 10**400}, {}, "8bit", False),
        ({"max": None, "failed": 1}, {}, "8bit", False),
        ({"median": None, "max": None}, {}, "8bit", False),
        ({}, {"median": None, "max": None}, "8bit", False),
        ({"median": None, "max": None}, {"median": None, "max": None}, "8bit", True),  # without a replay
        ({"median": None, "max": None, "failed": 64}, {"failed": 62}, "8bit", True),  # of rows, none was inverted there
        ({"failed": 60}, {"median": None, "max": None, "failed": 64}, "8bit", True),
        ({"median": None, "max": None, "failed": 64}, {"failed": 20}, "8bit", False),
        ({"failed": 1}, {}, "float32", False),
        ({}, {"median": None, "max": None, "failed": 1}, "8bit", False),
        ({"median": -1.0}, {}, "8bit", False),
    ],
)
@pytest.mark.parametrize("tolerance", [1.0, float("inf")])
def test_errors_of_the_round_trip_on_two_machines(then, now, kind, found, tolerance):
    assert claims._found_again(ERRORS | then, ERRORS | now, kind, tolerance) is found


STEPS = {"samples": 10, "seed": 0, "iterations": 12, "contraction": 1.5, "smallest_stretch": 0.2, "monotonicity": 0.6}


@pytest.mark.parametrize(
    ("stated", "known", "passes"),
    [
        (STEPS, STEPS, True),
        (None, STEPS, True),
        (STEPS, None, True),
        (STEPS | {"contraction": 1.2}, STEPS, False),
        (["anything"], None, False),
        (STEPS | {"remark": 1.0}, None, False),
        (STEPS | {"contraction": "small"}, None, False),
        (STEPS | {"contraction": float("nan")}, None, False),
        (STEPS | {"contraction": 10**400}, None, False),
    ],
)
def test_step_certificates_of_older_and_newer_packages(place, stated, known, passes):
    """Either may know of none yet for a pipeline."""
    claimed, record = (forgeries.certificate_of(place.path, "small") for _ in range(2))
    for document, steps in ((claimed, stated), (record, known)):
        document["step_certificates"] = {"a" * 64: steps}
    reasons = claims._stated(claimed, record, SMALL, json.loads(place.manifest_path("small").read_text()))
    assert (reasons == []) is passes, reasons


def test_step_certificates_that_the_package_knows_have_the_form_that_is_asked():
    assert all(set(steps) == claims.STEP_CERTIFICATE for steps in step_certificates().values())


def both(*changes):
    def change(document):
        for each in changes:
            each(document)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(100.0, "upper_bounds", "I(x1;y)"), "upper bound on I(x1;y) is 100.0, analytic 1"),
        (without("upper_bounds", "I(x1;y)"), "upper bound on I(x1;y) is None"),
        (changed(3.0, "upper_bounds", "I(x1;x9)"), "bounds other quantities"),
        (changed(1e-30, "round_trip", "x1", "float32", "max"), "round trip of x1 (float32) is not found again"),
        (changed(None, "round_trip", "x2", "float64", "median"), "round trip of x2 (float64) is not found again"),
        (changed(5, "round_trip", "x2", "float32", "failed"), "round trip of x2 (float32) is not found again"),
        (changed(60, "round_trip", "x2", "8bit", "failed"), "round trip of x2 (8bit) is not found again"),
        (without("round_trip", "x1", "float64"), "measured other columns of x1"),
        (changed({}, "round_trip"), "malformed: KeyError: 'x1'"),
        (changed({"float32": {"max": 0.0}}, "round_trip", "x7"), "round trip of another modality"),
        (changed([], "tests"), "tests are not those of the rules"),
        (changed(1e-9, "tests", 0, "p_value"), "one of them failed"),
        (changed(1e-30, "tests_level"), "another tests_level than the rules"),
        (changed({"float32": 1.0}, "tolerance"), "another tolerance than the rules"),
        (changed(1, "looks"), "divides its confidence otherwise"),
        (changed(0.3, "single_error"), "divides its confidence otherwise"),
        (changed(10**400, "single_error"), "the certificate is malformed: OverflowError"),
        (changed(10**400, "upper_bounds", "I(x1;y)"), "the certificate is malformed: OverflowError"),
        (changed(["bad"], "reasons"), "another reasons than the rules"),
        (changed("trust me", "method"), "another method than the rules"),
        (changed({"a" * 64: {"samples": 9}}, "step_certificates"), "step certificates of other pipelines"),
        (changed({}, "bounds_in_detail"), "bounds other quantities than the rules"),
        (changed(0.9999, "bounds_in_detail", "8bit", "I(x1;y)", "bound"), "another account of its bound"),
        (
            changed(1.2, "bounds_in_detail", "8bit", "I(x1;y)", "paired"),
            "another account of its bound on I(x1;y) (8bit)",
        ),
        (changed({"I(x1;y)": {"bound": 99.0}}, "bounds_in_detail", "exact"), "bounds other quantities than the rules"),
        (changed({"bound": 99.0}, "bounds_in_detail", "8bit", "I(x9;y)"), "bounds other quantities than the rules"),
        (changed(-2, "round_trip", "x1", "8bit", "failed"), "round trip of x1 (8bit) is not found again"),
        (changed(1e9, "round_trip", "x1", "float32", "max"), "round trip of x1 (float32) is not found again"),
        (changed(1e-6, "round_trip", "x1", "float32", "median"), "round trip of x1 (float32) is not found again"),
        (changed(1e9, "tests", 0, "p_value"), "one of them failed"),
        (changed(0.5, "sample", "unseen_share"), "what share of bad rows its sample could have missed"),
        (changed(1, "format"), "is not a certificate of this manifest"),
        (changed("more", "remark"), "other fields than the rules ask for: ['remark']"),
        (without("machine"), "other fields than the rules ask for: ['machine']"),
    ],
)
def test_all_that_a_certificate_states_is_compared(place, change, words):
    rewritten(place, certificate=change)
    reasons = reasons_of(place, rows_float64=None)
    print(reasons)
    assert words in reasons


def test_what_is_modest_or_provenance_may_differ(place):
    """Another machine errs a little more or less, and says that it is another."""
    rewritten(
        place,
        certificate=both(
            changed("riscv64", "machine"),
            changed({}, "versions"),
            changed(9e-6, "round_trip", "x1", "float32", "max"),
            changed(["rows 3 (released: 4)"], "differs_from_release"),
            changed(0.5, "tests", 0, "p_value"),
        ),
    )
    assert reasons_of(place, rows_float64=None) == ""


@pytest.mark.parametrize("information", [5.0, 9.0, 12.0])
def test_another_machines_rounding(tmp_path, monkeypatch, information):
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
