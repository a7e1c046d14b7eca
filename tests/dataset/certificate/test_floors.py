"""Floors of folders: rows are made again, damaged ones are found or insured against, and no claim goes beyond."""

import dataclasses
import json

import numpy as np
import pytest
from pydantic import ValidationError

from mmmi_hf.cli.verify import print_certificate
from mmmi_hf.dataset.certificate import floors, measurement, replays
from mmmi_hf.dataset.certificate.bounds import FEWEST_ROWS
from mmmi_hf.dataset.certificate.floors import floor_values, map_shares, rests_on_replays
from mmmi_hf.dataset.certificate.replays import least_share, replay_count, replay_groups
from mmmi_hf.dataset.certificate.sampled_rows import sampled_rows
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.derived import write_derived
from mmmi_hf.dataset.format.certificate_record import (
    CertificateRecord,
    FloorEvidence,
    LevelCounts,
    MapEvidence,
    Sample,
    bound_certificate,
)
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.generation.rows import MICRO_BATCH
from mmmi_hf.dataset.releases.configuration import ConfigurationError
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.flow.evaluation.map_share import MapShare
from tests.causal.damaged_channels import Damage
from tests.dataset.certificate import forgeries
from tests.dataset.certificate.forgeries import SMALL, changed, reasons_of, rewritten, without


def destroyed(count, seed=0, name="x1"):
    """Some rows of a modality replaced by fresh noise."""

    def change(columns):
        generator = np.random.default_rng(seed)
        rows = generator.choice(len(columns["row"]), size=count, replace=False)
        columns[name][rows] = generator.standard_normal(columns[name][rows].shape)

    return change


def one(folder, **options):
    (result,) = certify(folder, progress=False, **{"rows_float64": 0, "write": False, **options}).values()
    return result


def counted(digest, **changes):
    """Counts of ten thousand latents of a map, as the package ships them."""
    given = {
        "seed": 0,
        "micro_batch": MICRO_BATCH,
        "inverted_together": 8,
        "tolerance": 2e-5,
        "software": {"torch": "2.0"},
        "rows": 10_000,
        "failed": 0,
        "bad_rows": (9_000,),
        "largest": 1e-5,
        "shipped": (8_000, 9_500),
    }
    return MapShare(pipeline=digest, **given | changes)


def evidence_of(pipeline="0" * 64, seen=10_000, bad=0, label=None):
    return MapEvidence(
        pipeline=pipeline, label=label, seen=seen, bad=bad, micro_batch=MICRO_BATCH, software={"torch": "2.0"}
    )


@pytest.fixture
def measured_map(honest, monkeypatch):
    """The map of the folder's modalities was measured on ten thousand latents."""
    (digest,) = {
        entry.pipeline_digest for entry in DatasetFolder(honest, reading=True).known_manifest("small").modalities
    }
    known = counted(digest)
    monkeypatch.setattr(floors, "map_shares", lambda: {(digest, None): known})
    return digest


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mmmi_hf" / "replays"


@pytest.mark.parametrize(("rows", "wanted"), [(150, 40), (150, 150), (150, 1280), (2000, 1280), (5, 5), (64, 33)])
def test_rows_to_make_again_have_each_place_once(rows, wanted):
    count = replay_count(rows, wanted)
    groups = replay_groups(rows, count, 7)
    chosen = np.concatenate(groups)
    assert len(set(chosen.tolist())) == len(chosen) == count >= min(rows, wanted)
    assert all(len(set(group % replays.MICRO_BATCH)) == len(group) for group in groups)
    assert 0.0 <= least_share(rows, count) <= count / rows
    assert all((a == b).all() for a, b in zip(groups, replay_groups(rows, count, 7), strict=True))
    if count < rows:
        assert not all((a == b).all() for a, b in zip(groups, replay_groups(rows, count, 8), strict=True))


def test_floors_of_replays_are_high_where_the_map_was_measured(honest, measured_map):
    record = one(honest, replays=150).record
    assert record.evidence.differing == 0
    assert record.evidence.maps["x2"] == evidence_of(measured_map, bad=1)
    assert record.evidence.float32 is None
    found = {quantity: bounds.float32.floor / bounds.analytic for quantity, bounds in record.bounds.items()}
    print(found)
    assert 0.96 < min(found.values()) < max(found.values()) < 1.0
    few = one(honest, replays=32).bounds["I(x1;y)"].float32
    assert few.floor < record.bounds["I(x1;y)"].float32.floor
    unmeasured = one(honest).record
    assert unmeasured.bounds["I(x1;y)"].float32.floor > 0.3


def test_targets_of_ten_thousand_rows():
    """From 1,280 clean rows, or all of them, and 10,000 clean latents of each of two maps."""
    config = dataclasses.replace(SMALL, rows=10_000)
    known = {name: evidence_of(label=label) for label, name in enumerate(("x1", "x2"))}
    views = LevelCounts(targets=(0,) * 7, pairs=(0,) * 7)
    evidence = FloorEvidence(differing=0, maps=known, view=views)
    rows = tuple(sampled_rows(config.split_rows, 64, 1))
    for replayed, least in ((1280, (0.95, 0.90)), (10_000, (0.985, 0.96))):
        sample = Sample(rows=rows, rows_float64=(), rows_replayed=replayed, seed="1", unseen_share=0.07)
        found = floor_values(config, sample, 0.99, evidence)["float32"]
        print(replayed, found)
        assert found["I(x1;y)"] >= least[0]
        assert found["I(x1;x2)"] / config.model.mutual_information("x1", "x2") >= least[1]


def test_making_all_rows_again_finds_one_false_row(honest, tmp_path, cache):
    folder = forgeries.forge(honest, tmp_path / "forged", "small", destroyed(1))
    result = one(folder, all_rows=True)
    assert not result.valid
    assert "x1: 1 of 150 rows that were made again are not the images of their latents" in " ".join(result.reasons)
    assert [one(folder, rows=1, replays=0, sample_seed=seed).valid for seed in range(3)].count(True) >= 2


def test_a_last_bit_is_found_on_the_makers_machine_alone(honest, tmp_path, monkeypatch):
    def change(columns):
        columns["x2"][7] = np.nextafter(columns["x2"][7], np.float32(9.0))

    folder = forgeries.forge(honest, tmp_path / "forged", "small", change)
    assert "x2: 1 of 150 rows that were made again differ by a little (row 7" in " ".join(one(folder).reasons)
    monkeypatch.setattr(measurement, "computed_here", lambda *of: False)
    result = one(folder)
    assert result.valid
    assert (result.record.replays.equal, result.record.evidence.differing) == (149, None)
    assert 0.0 < result.record.replays.largest < 1e-6


def test_a_folder_of_other_software_has_floors_of_its_inverses(honest, tmp_path, measured_map):
    def older(manifest):
        manifest["statements"]["computing"][0]["versions"]["torch"] = "0.1"

    folder = forgeries.forge(honest, tmp_path / "other", "small", lambda columns: None, manifest_changes=older)
    forgeries.uncertified(DatasetFolder(folder))
    record = one(folder).record
    assert record.evidence.differing is None
    assert record.evidence.float32 == LevelCounts(targets=(0,), pairs=(0,))


def test_a_killed_run_over_all_rows_goes_on(honest, cache, monkeypatch):
    made, original = [], replays.images_of

    def counted(*of):
        made.append(of)
        if len(made) == 5:
            raise KeyboardInterrupt
        return original(*of)

    monkeypatch.setattr(replays, "AT_A_TIME", 1)
    monkeypatch.setattr(replays, "images_of", counted)
    with pytest.raises(KeyboardInterrupt):
        one(honest, all_rows=True)
    (kept,) = cache.iterdir()
    done = json.loads(kept.read_text())["rows"]
    assert 32 <= done <= 64
    before = len(made)
    result = one(honest, all_rows=True)
    assert result.valid
    assert result.record.replays.equal == result.record.sample.rows_replayed == 150
    assert len(made) - before == 2 * (5 - done // 32)
    assert not list(cache.iterdir())


def test_without_the_seed_there_is_no_floor_and_the_text_says_why(honest, tmp_path):
    folder = forgeries.forge(
        honest, tmp_path / "unseeded", "small", lambda columns: None, manifest_changes=forgeries.without_seed
    )
    result = one(folder, write=True)
    assert result.written
    assert {bound.floor for bounds in result.bounds.values() for bound in bounds.columns.values()} == {None}
    assert "no floor: without the seed no row can be called good" in (folder / "README.md").read_text()


@pytest.mark.parametrize("count", [1, 2, 8], ids=["half a percent", "one percent", "five percent"])
def test_floors_of_damaged_folders_are_below_the_truth(honest, tmp_path, measured_map, count):
    """Where rows were destroyed, few of them are made again, and nothing was found."""
    truth = Damage("anywhere", "noise").information(1.0, count / 150)
    for seed in range(2):
        folder = forgeries.forge(honest, tmp_path / str(seed), "small", destroyed(count, seed))
        forgeries.uncertified(DatasetFolder(folder))
        result = one(folder, replays=32)
        floor = result.bounds["I(x1;y)"].float32.floor if result.valid else 0.0
        print(f"{count} rows, seed {seed}: valid {result.valid}, floor {floor:.4f}, true {truth:.4f}")
        assert floor <= truth
        assert not one(folder).valid


@pytest.mark.statistical
@pytest.mark.parametrize("share", [0.005, 0.01, 0.05])
@pytest.mark.parametrize("repetitions", [400, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("replayed", "confidence"), [(320, 0.99), (1280, 0.99), (96, 0.9)])
@pytest.mark.parametrize("where", ["anywhere", "one place", "last split"])
def test_floors_hold_whichever_rows_were_destroyed(share, repetitions, replayed, confidence, where):
    """Folders of 2,000 rows; damaged rows are anywhere, in one place of micro-batches, or in the split of tests."""
    config = dataclasses.replace(SMALL, rows=2000)
    generator, wrong, bad = np.random.default_rng([replayed, int(1e4 * share)]), 0, round(share * 2000)
    among = {"anywhere": np.arange(2000), "one place": np.arange(3, 2000, 32), "last split": np.arange(1800, 2000)}[
        where
    ]
    damaged = generator.choice(among, size=min(bad, len(among)), replace=False)
    truth = Damage("anywhere", "noise").information(1.0, len(damaged) / 2000)
    known = {name: evidence_of(seen=10**6) for name in ("x1", "x2")}
    values = {}
    for seed in range(repetitions):
        chosen = np.concatenate(replay_groups(2000, replayed, seed))
        found = int(np.isin(chosen, damaged).sum())
        if found not in values:
            sample = Sample(rows=(0,), rows_float64=(), rows_replayed=replayed, seed="1", unseen_share=0.9)
            evidence = FloorEvidence(differing=found, maps=known)
            values[found] = floor_values(config, sample, confidence, evidence)["float32"]["I(x1;y)"]
        wrong += values[found] > truth
    error = 1.0 - confidence
    print(f"{share} {where}, {replayed} rows: {wrong / repetitions:.4f} of {error:.2f}, true {truth:.4f}")
    assert wrong / repetitions <= error + 3.0 * np.sqrt(error * (1.0 - error) / repetitions)


def rested(change):
    """Evidence changed, and the floors that follow from it."""

    def rewrite(record):
        change(record)
        sample = Sample.from_json(json.dumps(record["sample"]), "sample")
        evidence = FloorEvidence.from_json(json.dumps(record["evidence"]), "evidence")
        for kind, values in floor_values(SMALL, sample, record["confidence"], evidence).items():
            for quantity, value in values.items():
                record["bounds"][quantity][kind]["floor"] = value

    return rewrite


ZEROS = {"targets": [0] * 7, "pairs": [0] * 7}


def by_replays(seen, digest="0" * 64):
    def change(record):
        del record["evidence"]["float32"]
        record["evidence"]["differing"] = 0
        known = evidence_of(digest, seen).model_dump(mode="json", exclude_none=True)
        record["evidence"]["maps"] = dict.fromkeys(("x1", "x2"), known)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed(0.9, "bounds", "I(x1;y)", "float32", "floor"), "floor 0.9 of I(x1;y) (float32) is not that of its"),
        (without("bounds", "I(x1;y)", "view", "floor"), "floor None of I(x1;y) (view) is not that of its evidence"),
        (without("evidence"), "states floors and no evidence of them"),
        (rested(changed(ZEROS, "evidence", "view")), "counts for its floors (view) are not found again"),
        (rested(by_replays(10**6)), "rest on counts of maps that are not known here"),
        (changed({"targets": [0], "pairs": [0, 0]}, "evidence", "float32"), "evidence of floors is impossible"),
        (without("evidence", "view"), "rest on other evidence than the rules ask for"),
        (changed(1, "evidence", "differing"), "do not rest on the rows that it made again"),
        (without("replays"), "without rows that were compared with their latents"),
        (changed(1.0, "replays", "largest"), "are not close to the stored ones"),
    ],
)
def test_forged_floors_are_refused(place, change, words):
    rewritten(place, certificate=change)
    assert words in reasons_of(place, rows_float64=None)


def test_no_floors_where_the_rules_ask_for_them(place):
    def change(record):
        del record["evidence"]
        for bounds in record["bounds"].values():
            for kind in ("float32", "view"):
                del bounds[kind]["floor"]

    rewritten(place, certificate=change)
    assert "does not state the floors that the rules ask for" in reasons_of(place, rows_float64=None)


def test_counts_of_maps_of_older_packages(place, measured_map):
    """What an older version of the package had shipped, and no other number of the latents that are known."""
    assert one(place.path, write=True).written
    for seen, bad, reason in (
        (8_000, 0, ""),
        (9_500, 1, ""),
        (9_500, 0, "not known here"),
        (8_999, 0, "not known here"),
        (10_001, 0, "not known here"),
    ):

        def older(record, seen=seen, bad=bad):
            for counts in record["evidence"]["maps"].values():
                counts |= {"seen": seen, "bad": bad}

        rewritten(place, certificate=rested(older))
        reasons = reasons_of(place, rows_float64=None)
        assert reason in reasons
        assert bool(reason) == bool(reasons)


def test_a_certificate_of_the_maker_is_right_elsewhere(place, measured_map, monkeypatch, capsys):
    assert one(place.path, write=True).written
    stated = bound_certificate(place, "small").bounds["I(x1;y)"].float32.floor
    monkeypatch.setattr(measurement, "computed_here", lambda *of: False)
    result = one(place.path)
    assert result.valid
    assert result.bounds["I(x1;y)"].float32.floor < stated
    (remark,) = result.remarks
    assert "could not be repeated here" in remark
    capsys.readouterr()
    print_certificate(result)
    assert "Not compared: the floors of float columns" in capsys.readouterr().out


def test_fewer_rows_are_inverted_where_the_map_was_measured(place, measured_map, monkeypatch):
    """Floors of floats do not rest on them then; where they do, as many as before, also in place of such a one."""
    place.certificate_path("small").unlink()
    with place.locked():
        write_derived(place)
    few = one(place.path, write=None)
    assert few.written
    assert len(few.record.sample.rows) == FEWEST_ROWS == 32
    assert one(place.path).valid
    monkeypatch.setattr(measurement, "computed_here", lambda *of: False)
    seen = one(place.path)
    assert seen.valid
    assert seen.record.sample == few.record.sample
    for nothing_again in ({"use_seed": False}, {"replays": 0}):
        assert len(one(place.path, **nothing_again).record.sample.rows) == 64
    many = one(place.path, write=True)
    assert many.written
    assert len(many.record.sample.rows) == 64


def test_few_rows_without_counts_of_the_map_are_refused(place, measured_map, monkeypatch):
    assert one(place.path, rows=32, write=True).written
    monkeypatch.setattr(measurement, "computed_here", lambda *of: False)
    weak = one(place.path, rows=32, write=True)
    assert not weak.written

    def rests_on_inverses(record):
        record["evidence"] = weak.record.evidence.model_dump(mode="json", exclude_none=True)

    rewritten(place, certificate=rests_on_inverses)
    assert "was measured on 32 rows, the rules ask for 64" in reasons_of(place, rows_float64=None)


def test_format_2_states_no_floors_that_it_did_not_know(honest):
    fields = one(honest).record.model_dump(mode="json")
    with pytest.raises(ValidationError, match="format 2 knew no rows that were made again"):
        CertificateRecord.model_validate_json(json.dumps(fields | {"format": 2}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replays": -1}, "replays is -1"),
        ({"all_rows": True, "replays": 3}, "leave out replays"),
        ({"all_rows": True, "use_seed": False}, "leave out replays and use_seed"),
    ],
)
def test_requests_that_make_no_sense(honest, options, words):
    with pytest.raises(ConfigurationError, match=words):
        one(honest, **options)


def test_fewer_replays_than_the_rules_ask_for_are_not_written(place):
    assert not one(place.path, replays=32, write=True).written


def test_what_floors_can_rest_on_is_asked_once(honest, measured_map, monkeypatch):
    """It takes what errors of latents may cost every quantity, which is long for many modalities."""
    asked = []
    monkeypatch.setattr(measurement, "rests_on_replays", lambda config: asked.append(config) or True)
    assert one(honest).valid
    assert len(asked) == 1


def test_counts_of_other_micro_batches_are_no_evidence(honest, measured_map, monkeypatch):
    """The size of a micro-batch changes the last bits of images: what was counted is another map."""
    known = {}
    monkeypatch.setattr(floors, "map_shares", lambda: {(measured_map, None): known["is"]})
    for changes, used in (({}, True), ({"micro_batch": 8}, False), ({"tolerance": 1e-4}, False)):
        known["is"] = counted(measured_map, **changes)
        evidence = one(honest).record.evidence
        assert (evidence.differing is not None) is bool(evidence.maps) is used


def test_counts_of_the_package():
    """Whatever is shipped can be read, and was made as rows are made."""
    for (pipeline, label), known in map_shares().items():
        assert (known.pipeline, known.label) == (pipeline, label)
        assert known.rows >= 64
        assert known.micro_batch == MICRO_BATCH
        assert set(known.software) == {"torch", "device", "hardware"}


def test_floors_rest_on_replays_where_all_quantities_can(small_config):
    def target(**made):
        return small_config.replace(causal_model={**small_config.causal_model, "target": made})

    assert rests_on_replays(small_config)
    assert rests_on_replays(target(classes={"quantiles": 3}))
    assert not rests_on_replays(get_configuration("regimes-2.0"))
    assert not rests_on_replays(small_config.replace(standardize="rms"))
