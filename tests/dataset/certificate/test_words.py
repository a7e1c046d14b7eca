"""What `verify` and the card say: of quantities without a floor, of rows that could have been missed, of folders that
are malformed. No sentence names a class of Python."""

import json
import re

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.statistics.shares import why_without
from mmmi_hf.cli.verify import print_certificate
from mmmi_hf.dataset.certificate.bounds import Plan, without_floor
from mmmi_hf.dataset.certificate.floors import floor_values, level_counts
from mmmi_hf.dataset.certificate.sampled_rows import read_rows
from mmmi_hf.dataset.certificate.standing import certificate_sample
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.certificate_record import FloorEvidence, bound_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from tests.dataset.certificate.forgeries import SMALL, changed, reasons_of, redigested, rewritten
from tests.support import generate

STORY = {"story": "common_cause", "shape": [1, 4, 4], "mi": 1.0}
WITHOUT = {
    "gaussian": ({}, set()),
    "classes": ({"target": {"classes": {"quantiles": 3}}}, set()),
    "square": ({"target": {"function": {"name": "square"}}}, {"I(x1;y)", "I(x2;y)", "I(x1,x2;y)"}),
    "missing": ({"missing": {"x1": 0.2}}, set()),
    "student": ({"common_scale": {"dof": 3}}, {"I(x1;y)", "I(x2;y)", "I(x1,x2;y)", "I(x1;x2)"}),
}
"""Models, and the quantities of which no floor is known."""


def config_of(name, **fields):
    given = {"rows": 80, "modalities": (Modality("identity"), Modality("identity")), "seed": 3, **fields}
    return MMMIConfig(name=name, causal_model={**STORY, **WITHOUT[name][0]}, **given)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_reason_stands_where_there_is_no_floor_and_nowhere_else(name):
    config = config_of(name)
    model: CausalModel = config.model
    plan = Plan.of(model, 1, 0.99)
    true = model.sample(80, seed=3)
    evidence = FloorEvidence(float32=level_counts(model, plan, "float32", true.z, true))
    sample = certificate_sample(config, fake_manifest(), 80, 0, 0.99)
    stated = set(floor_values(config, sample, 0.99, evidence)["float32"])
    reasons = {quantity: why_without(model, of) for quantity, of in plan.blocks.items()}
    assert {quantity for quantity, reason in reasons.items() if reason} == set(reasons) - stated == WITHOUT[name][1]


def fake_manifest():
    class Empty:
        config, data = "none", ()

    return Empty()


def test_verify_and_card_name_quantities_without_a_floor(tmp_path, capsys):
    config = config_of("square", description="Squares.")
    place = DatasetFolder(generate(config, tmp_path / "out").folder)
    record = bound_certificate(place, "square")
    assert record.bounds["I(x1;y)"].float32.floor is None
    assert record.bounds["I(x1;x2)"].float32.floor is not None
    reasons = without_floor(config.model, record)
    words = (
        "a floor holds with 99 % confidence whatever the unseen rows are; "
        f"no floor of I(x1;y), I(x2;y), I(x1,x2;y): {reasons['I(x1;y)']}"
    )
    assert words in place.card.read_text()
    (result,) = certify(place.path, progress=False).values()
    assert result.without_floor == result.to_dict()["without_floor"] == reasons
    capsys.readouterr()
    print_certificate(result)
    assert words in " ".join(capsys.readouterr().out.split())


def test_where_all_rows_were_inverted_none_was_missed(honest, capsys):
    for rows, words in (
        (64, "could have missed at that confidence: up to 6.94% of all"),
        (150, "All rows were inverted"),
    ):
        (result,) = certify(honest, rows=rows, rows_float64=0, progress=False, write=False).values()
        print_certificate(result)
        shown = " ".join(capsys.readouterr().out.split())
        assert words in shown
        assert ("could have missed" in shown) is (rows < SMALL.rows)
    assert result.record.sample.unseen_share == 0.0


def card(text):
    return lambda place: place.card.write_text(text)


def in_manifest(value, *path):
    def change(place):
        rewritten(place, changed(value, *path))

    return change


def causal_model(text):
    def change(place):
        place.causal_model("small").write_text(text)
        redigested(place)

    return change


def in_model(value, *path):
    def change(place):
        model = json.loads(place.causal_model("small").read_text())
        changed(value, *path)(model)
        causal_model(json.dumps(model))(place)

    return change


def certificate(text):
    return lambda place: place.certificate_path("small").write_text(text)


HOSTILE = [
    card("no front matter"),
    card("---\nconfigs: 3\n---\n"),
    card("---\nconfigs: [3]\n---\n"),
    card("---\nconfigs: [[]]\n---\n"),
    card("---\nlicense: mit\n---\n"),
    card("---\nconfigs: [{config_name: small, data_files: [{split: train, path: 3}]}]\n---\n"),
    card("---\nconfigs: [{config_name: [small], data_files: data}]\n---\n"),
    card("---\nconfigs: [{config_name: small, data_files: data}]\ndataset_info: 7\n---\n"),
    card("---\n" + "[" * 3000 + "\n---\n"),
    causal_model("[]"),
    causal_model("{}"),
    causal_model('{"format": 1, "shape": 3}'),
    causal_model("[" * 100_000),
    in_model(3, "eta"),
    in_model([["one"]], "weights"),
    in_model({"x": {}}, "shape"),
    in_model(7, "templates"),
    certificate("[]"),
    certificate("[" * 100_000),
    certificate('{"format": 2}'),
    certificate('{"format": 2, "valid": true, "reasons": 0, "config": 3}'),
    in_manifest({}, "splits"),
    in_manifest([], "files"),
    in_manifest([], "modalities"),
    in_manifest([7], "modalities", 0, "shape"),
    in_manifest(10**18, "rows"),
    in_manifest("ÿ", "config"),
    lambda place: place.ground_truth("small").write_bytes(b"PAR1"),
    lambda place: place.ground_truth("small").unlink(),
    lambda place: (place.ground_truth("small").unlink(), place.ground_truth("small").mkdir()),
    lambda place: place.causal_model("small").unlink(),
    lambda place: next((place.path / "data/small").glob("*")).write_bytes(b"PAR1"),
]


@pytest.mark.parametrize("wound", HOSTILE, ids=range(len(HOSTILE)))
def test_malformed_folders_are_told_of_in_sentences(place, wound):
    wound(place)
    try:
        said = reasons_of(place)
    except ValueError as error:  # what is no request for a folder of ours at all
        said = str(error)
    print(said)
    assert said
    assert "\n" not in said
    assert not re.search(
        r"\b[A-Z][a-zA-Z]*(Error|Exception|Invalid)\b|NoneType|object (is|has)|\bint\b|subscript", said
    )


def test_what_a_view_cuts_is_counted_and_said(tmp_path):
    """Values beyond its range are counted in the sampled rows; those of a narrow view leave nothing."""
    config = config_of("gaussian")
    place = DatasetFolder(generate(config, tmp_path / "out").folder)
    record = bound_certificate(place, "gaussian")
    half_range = place.known_manifest("gaussian").views["x1"].half_range
    values = read_rows(place, config, place.known_manifest("gaussian"), record.sample.rows, replay=False).values["x1"]
    assert record.round_trip["x1"]["view"].clipped == np.mean(np.abs(values) > half_range)
    assert record.round_trip["x1"]["float32"].clipped is None
    assert "views cut" not in place.card.read_text()
