"""The certificate holds for honest folders, refuses consistently rewritten forgeries, and is put in place whole."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import mmmi_hf
from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities
from mmmi_hf.dataset import derived
from mmmi_hf.dataset.certificate.folder_checks import check_folder
from mmmi_hf.dataset.certificate.recovered_rows import TOLERANCE
from mmmi_hf.dataset.certification import CertificateRefusedError, certify
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, bound_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from mmmi_hf.hub.loading.load import load
from tests.dataset.certificate import forgeries
from tests.support import ROOT, generate

IDENTITY = (Modality("identity"), Modality("identity"))


def configuration(name="small", **changes):
    fields = {
        "name": name,
        "version": "1.0.0",
        "description": "A test configuration.",
        "causal_model": {"story": "common_cause", "shape": [1, 8, 8], "mi": 1.0},
        "modalities": IDENTITY,
        "rows": 150,
        "seed": 11,
    }
    return MMMIConfig(**{**fields, **changes})


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A certified folder. Tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("honest") / "out"
    generate(configuration(), folder, figures=True)
    return folder


@pytest.fixture
def copied(honest, tmp_path):
    return shutil.copytree(honest, tmp_path / "copy")


def one(folder, **options):
    (result,) = certify(folder, progress=False, **{"rows_float64": 2, **options}).values()
    return result


def bytes_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_honest_folder_is_certified_by_generate(honest):
    record = bound_certificate(DatasetFolder(honest), "small")
    assert check_folder(honest, "small") == []
    truth = {row["quantity"]: row for row in pq.read_table(honest / "ground_truth/small.parquet").to_pylist()}
    for quantity in ("I(x1;y)", "I(x2;y)", "I(x1,x2;y)", "I(x1;x2)"):
        row = truth[quantity]
        assert 0.999 * row["value"] <= row["measured_float32"] <= row["value"]
        assert 0.9 * row["value"] <= row["measured_view"] <= row["value"]
        assert row["measured_float32"] == record.bounds[quantity].float32.measured
        assert row["measured_view"] == record.bounds[quantity].view.measured
        assert row["floor_float32"] == record.bounds[quantity].float32.floor
        assert row["floor_view"] == record.bounds[quantity].view.floor
        assert quantity == "I(x1;x2)" or 0.2 * row["value"] < row["floor_view"] <= row["floor_float32"] < row["value"]
        assert (row["confidence"], row["rows_replayed"], row["rows_inverted"]) == (0.99, 150, 64)
    assert {truth["TC(x1,x2,y)"][column] for column in ("measured_float32", "confidence", "rows_inverted")} == {None}
    assert record.round_trip["x1"]["float32"].max <= 2e-5
    assert {len(record.sample.rows), len(set(record.sample.rows))} == {64}
    assert any(row >= 135 for row in record.sample.rows)
    assert (
        "64 sampled rows were inverted and gave the latents of their seed again" in (honest / "README.md").read_text()
    )


def test_verify_finds_the_same_again_and_writes_nothing(honest):
    before = bytes_of(honest)
    result = one(honest, rows_float64=None)
    assert result.valid
    assert result.written
    assert result.record == bound_certificate(DatasetFolder(honest), "small")
    assert bytes_of(honest) == before


def test_a_read_only_copy_can_be_verified(copied, monkeypatch):
    monkeypatch.setattr(DatasetFolder, "writable", property(lambda self: False))
    assert one(copied).valid
    with pytest.raises(ConfigurationError, match="cannot be written"):
        one(copied, write=True)


def test_without_the_seed_the_bounds_are_weaker_and_nothing_is_written(copied):
    before = bytes_of(copied)
    result = one(copied, use_seed=False)
    assert result.valid
    assert not result.record.replayed
    assert not result.written
    assert 0.0 < result.bounds["I(x1;y)"].float32.measured < 0.95
    assert bytes_of(copied) == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (forgeries.shuffled(), "x1: 6. of 64 sampled rows"),
        (forgeries.shuffled(0.1), "of 64 sampled rows are not the images"),
        (forgeries.shuffled(0.1, "x2", 5), "x2: .* of 64 sampled rows are not the images"),
        (forgeries.clipped(3.0), "are not the images of their latents"),
        (forgeries.renormalised(), "x1: 64 of 64"),
        (forgeries.injected(), "x1: .* are not the images"),
    ],
    ids=["shuffled", "tenth shuffled", "tenth of x2", "clipped", "re-normalised", "injected"],
)
def test_forgeries_are_refused_by_replay(honest, tmp_path, change, reason):
    folder = forgeries.forge(honest, tmp_path / "forged", "small", change)
    assert check_folder(folder, "small") == []
    result = one(folder)
    assert not result.valid
    assert result.bounds == {}
    print(result.reasons)
    import re

    assert re.search(reason, "\n".join(result.reasons))


def test_another_bijection_is_refused(honest, tmp_path):
    from mmmi_hf.flow import load_bijection

    latents = configuration().model.sample(150, seed=11)
    change = forgeries.remade(load_bijection("asinh", (1, 8, 8)), None, latents)
    assert not one(forgeries.forge(honest, tmp_path / "forged", "small", change)).valid

    def admitted(manifest):
        manifest["modalities"][0]["pipeline"] = "asinh"

    result = one(forgeries.forge(honest, tmp_path / "other", "small", lambda columns: None, manifest_changes=admitted))
    assert "was made by the pipeline" in result.reasons[0]


def test_a_false_causal_model_is_refused(honest, tmp_path):
    claimed = common_cause((1, 8, 8), mi=1.2)
    folder = forgeries.forge(honest, tmp_path / "forged", "small", forgeries.pmi_of(claimed, 11), model=claimed)
    result = one(folder)
    assert not result.valid
    print(result.reasons)
    assert any("sampled rows are not the images" in reason or "bound" in reason for reason in result.reasons)


def test_another_seed_is_refused(honest, tmp_path):
    def other(manifest):
        manifest["seed"] = 12

    folder = forgeries.forge(honest, tmp_path / "forged", "small", lambda columns: None, manifest_changes=other)
    assert "y is not the one of (seed, row)" in " ".join(one(folder).reasons)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (forgeries.shuffled(), 64),
        (forgeries.shuffled(0.1), 400),
        (forgeries.clipped(2.0), 64),
        (forgeries.renormalised(), 64),
    ],
    ids=["shuffled", "tenth shuffled", "clipped", "re-normalised"],
)
def test_statistics_alone_refuse_where_the_seed_is_not_told(tmp_path, change, rows):
    honest = tmp_path / "honest"
    generate(configuration(rows=400), honest, certify=False)
    folder = forgeries.forge(honest, tmp_path / "forged", "small", change, manifest_changes=forgeries.without_seed)
    result = one(folder, rows=rows)
    print(result.reasons)
    assert not result.valid
    assert not result.record.replayed


def test_an_honest_folder_that_does_not_tell_its_seed(honest, tmp_path):
    folder = forgeries.forge(
        honest, tmp_path / "silent", "small", lambda columns: None, manifest_changes=forgeries.without_seed
    )
    result = one(folder)
    assert result.valid, result.reasons
    assert not result.record.replayed


def test_claims_above_what_is_measured_are_refused(copied):
    place = DatasetFolder(copied)

    def change(record):
        view = record["bounds"]["I(x1;x2)"]["view"]
        view |= {"measured": 5.0, "tried": dict.fromkeys(view["tried"], 5.0)}

    forgeries.rewritten(place, certificate=change)
    assert check_folder(copied, "small") == []
    assert "above the analytic" in " ".join(one(copied, rows_float64=8).reasons)


def test_files_that_differ_from_the_manifest_are_named(copied):
    data = next((copied / "data/small").glob("train*"))
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    (copied / "data/small/train-extra.parquet").write_bytes(b"x")
    assert any("not in the manifest" in each for each in check_folder(copied, "small"))
    (copied / "data/small/train-extra.parquet").unlink()
    assert any("differs from the manifest" in each for each in check_folder(copied, "small"))
    result = one(copied)
    assert not result.valid
    assert "differs from the manifest" in result.reasons[0]


def test_ground_truth_must_be_the_models(copied):
    place = DatasetFolder(copied)
    path = place.ground_truth("small")
    table = pq.read_table(path).to_pylist()
    table[0]["value"] += 0.1
    import pyarrow as pa

    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(path)), path)
    assert any("by the causal model" in each for each in check_folder(copied, "small"))


@pytest.mark.parametrize("completing", ["generate", "certify"])
@pytest.mark.parametrize("standing", [False, True])
@pytest.mark.parametrize("point", range(1, 4))
def test_a_kill_while_the_certificate_is_put_in_place_leaves_no_claim(
    honest, tmp_path, monkeypatch, point, standing, completing
):
    """Die before the n-th file is written; whatever is left is valid as it is, and the same call completes it."""
    folder = tmp_path / "out"
    generate(configuration(), folder, certify=False, figures=True)
    assert bound_certificate(DatasetFolder(folder), "small") is None
    if standing:
        certify(folder, rows=80, rows_float64=0, progress=False)
        before = bound_certificate(DatasetFolder(folder), "small")
    steps = iter(range(1, 100))

    def dying(function):
        def run(*arguments, **options):
            if next(steps) == point:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return run

    rules = {"rows": 64, "rows_float64": 8, "write": standing or None}
    with monkeypatch.context() as patch:
        for name in ("write_ground_truth", "write_text"):
            patch.setattr(derived, name, dying(getattr(derived, name)))
        patch.setattr(CertificateRecord, "write", dying(CertificateRecord.write))
        with pytest.raises(KeyboardInterrupt):
            certify(folder, progress=False, **rules)
    assert check_folder(folder, "small") == []
    assert load(folder, "small", progress=False).verified
    if completing == "generate":
        assert generate(configuration(), folder, figures=True).rows_made == 0
        kept = standing and bound_certificate(DatasetFolder(folder), "small") == before
    else:
        kept = False
        assert one(folder, **rules).written
    assert check_folder(folder, "small") == []
    if not kept:
        assert {p.name: c for p, c in bytes_of(folder).items()} == {p.name: c for p, c in bytes_of(honest).items()}


def test_generate_refuses_what_the_certificate_refuses(tmp_path, monkeypatch):
    monkeypatch.setitem(TOLERANCE, "float32", 1e-12)
    with pytest.raises(CertificateRefusedError, match="sampled rows are not the images"):
        generate(configuration(), tmp_path / "out")
    assert not (tmp_path / "out/certificates/small.json").exists()
    assert "**Not measured** yet: `small`." in (tmp_path / "out/README.md").read_text()


def test_fewer_rows_than_the_rules_ask_for_are_shown_and_not_written(tmp_path):
    folder = tmp_path / "out"
    generate(configuration(), folder, certify=False)
    result = one(folder, rows=16)
    assert result.valid
    assert not result.written
    assert not any(each.columns for each in result.bounds.values())
    assert not (folder / "certificates").exists()


@pytest.mark.parametrize("rows", [1, 2])
def test_tiny_datasets(tmp_path, rows):
    generate(configuration(rows=rows), tmp_path / "out")
    record = bound_certificate(DatasetFolder(tmp_path / "out"), "small")
    assert not any(each.columns for each in record.bounds.values())
    assert check_folder(tmp_path / "out", "small") == []


MATRIX = np.random.default_rng(0).standard_normal((1 + 16 + 9, 60))


@pytest.mark.parametrize(
    "changes",
    [
        {"causal_model": CausalModel.from_matrix(MATRIX, [(1, 4, 4), (9,)])},
        {"standardize": "rms"},
        {"standardize": "none"},
        {"causal_model": common_cause((5,), mi=0.5, modalities=1), "modalities": (Modality("normal-cdf"),)},
        {"causal_model": {"story": "independent", "shape": [1, 8, 8]}},
        {
            "causal_model": decaying_modalities((3, 4, 4), modalities=10, alpha=1.2, beta=1.2),
            "modalities": (Modality("asinh"),) * 10,
        },
        {"store_latents": True, "modalities": (Modality("half-cube"), Modality("asinh"))},
    ],
    ids=["dense", "rms", "none", "one series", "null", "ten modalities", "latents"],
)
def test_every_kind_of_configuration(tmp_path, changes):
    config = configuration(rows=80, **changes)
    generate(config, tmp_path / "out")
    for quantity, bounds in bound_certificate(DatasetFolder(tmp_path / "out"), "small").bounds.items():
        share = bounds.float32.measured / bounds.analytic if bounds.analytic else 1.0
        print(quantity, bounds, f"{share:.6f}")
        assert share >= 0.99 or bounds.float32.measured == 0.0
    assert one(tmp_path / "out").valid


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"rows_float64": -1}, "rows_float64 is -1"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"configs": "other"}, "holds no configuration 'other'; it holds small"),
        ({"pipeline": "nothing-like-it"}, "no pipeline"),
        ({"sample_seed": 3, "write": True}, "has the sample of the data's digests"),
    ],
)
def test_requests_that_make_no_sense(honest, options, words):
    with pytest.raises(ConfigurationError, match=words):
        certify(honest, progress=False, **options)


def test_a_folder_of_something_else(tmp_path):
    with pytest.raises(ConfigurationError, match="holds no dataset of ours"):
        mmmi_hf.certify(tmp_path)


def test_a_name_that_differs_from_its_release_is_said(tmp_path):
    generate("common-cause-0.5", tmp_path / "out", rows=3, pipeline="identity")
    (result,) = certify(tmp_path / "out", progress=False).values()
    said = " ".join(result.differs_from_release)
    assert "rows 3 (released: 10000)" in said
    assert "identity" in said
    assert "differs from the release" in (tmp_path / "out/README.md").read_text()


def test_a_certificate_of_another_manifest_binds_nothing(copied):
    place = DatasetFolder(copied)
    record = forgeries.certificate_of(copied, "small")
    place.certificate_path("small").write_text(json.dumps({**record, "manifest_sha256": "0" * 64}))
    assert bound_certificate(place, "small") is None
    assert "it names the SHA-256 of another manifest" in check_folder(copied, "small")[0]


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_a_kill_leaves_a_whole_folder_and_the_same_call_completes_it(every):
    """At some of the writes, syncs and renames of `certify` and of the end of `generate`, or at each."""
    program = [sys.executable, "-m", "tests.dataset.certificate.certify_kills", "--every", str(every)]
    program += ["--offset", "3"] if every > 1 else []
    shown = subprocess.run(program, capture_output=True, text=True, check=True, timeout=3600, cwd=ROOT)
    print(shown.stdout)
    ways = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [way["way"] for way in ways] == ["generate", "first certificate", "another certificate"]
    for way in ways:
        assert way["wrong"] == []
        assert way["killed"] >= (2 if every > 1 else 30)
