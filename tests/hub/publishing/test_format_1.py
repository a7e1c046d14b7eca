"""What was published in format 1, by mmmi_hf 0.1: it is loaded, checked and added to, and its revisions stay as they
are."""

import dataclasses
import json
import shutil

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmmi_hf.dataset.certificate.folder_checks import check_folder
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.format_1 import TABLE
from mmmi_hf.dataset.format.ground_truth import SCHEMA
from mmmi_hf.hub.client.errors import DamagedFilesError
from mmmi_hf.hub.loading.load import load
from tests.dataset.format.format_1_writer import as_format_1
from tests.hub.hub_data import configuration
from tests.support import generate


@pytest.fixture(scope="module")
def old(two, tmp_path_factory):
    """The configurations a and b in format 1. Shared: copy it before changing anything."""
    return as_format_1(two, tmp_path_factory.mktemp("old") / "data")


@pytest.fixture
def copied(old, tmp_path):
    return shutil.copytree(old, tmp_path / "copy")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def publish_as_then(hub, folder, repo):
    """The repository as mmmi_hf 0.1 left it: one commit and its tag."""
    remote = hub.store.create("dataset", repo)
    files = [("file", {"path": path, "content": content}) for path, content in bytes_of(folder).items()]
    hub.store.commit(remote, "main", files, title="Release v1.0.0: a, b", message="Release-Digest: 0")
    hub.store.tag(remote, "main", "v1.0.0")
    return remote


def test_the_writer_writes_what_was_written_then(old):
    manifest = json.loads((old / "manifests/a.json").read_text())
    assert manifest["format"] == 1
    assert "ground_truth/a.parquet" in [entry["path"] for entry in manifest["files"]]
    assert json.loads((old / "certificates/a.json").read_text())["format"] == 2
    assert pq.read_schema(old / "ground_truth/a.parquet").names == TABLE.names
    assert datasets.load_dataset(str(old), "ground_truth", split="train").column_names == TABLE.names


def test_a_folder_is_loaded_and_verified_as_it_is(old, two):
    before = bytes_of(old)
    found, now = (load(folder, "a", progress=False) for folder in (old, two))
    assert found.manifest.format == 1
    without_floors = {
        name: dataclasses.replace(quantity, floor_float32=None, floor_view=None, rows_replayed=each.rows_replayed)
        for (name, quantity), each in zip(now.ground_truth.items(), found.ground_truth.values(), strict=True)
    }
    assert found.ground_truth == without_floors
    assert found.certificate.bounds == now.certificate.without_floors().bounds
    assert found.dataset["train"].with_format("arrow")[:].equals(now.dataset["train"].with_format("arrow")[:])
    assert check_folder(old, "a") == []
    (result,) = certify(old, "a", progress=False).values()
    assert result.valid, result.reasons
    assert result.written
    assert bytes_of(old) == before


def test_verify_does_not_rewrite_a_folder_whose_card_says_it_in_other_words(copied):
    card = (copied / "README.md").read_text().replace("measured bounds hold together", "all bounds hold together")
    (copied / "README.md").write_text(card)
    before = bytes_of(copied)
    (result,) = certify(copied, "a", progress=False).values()
    assert result.written
    assert bytes_of(copied) == before


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("value", 5.0, r"I\(x1;y\) is 5.0 in the ground truth"),
        ("lower_bound_8bit", 0.999999, r"gives I\(x1;y\) the lower_bound_8bit 0.999999, the certificate 0\.9"),
        ("method", "guessed", "tells another method"),
    ],
)
def test_a_forged_ground_truth_is_refused(copied, field, value, says):
    path = copied / "ground_truth/a.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0][field] = value
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLE), path)
    with pytest.raises(DamagedFilesError, match=says):
        load(copied, "a", progress=False)


@pytest.mark.parametrize(
    ("path", "change", "says"),
    [
        ("manifests/a.json", {"seed": 4}, "the manifest gives two seeds, 4 and 11"),
        ("manifests/a.json", {"remark": 1}, "unknown fields"),
        ("certificates/a.json", {"valid": False}, "it is not that of a valid measurement"),
        ("certificates/a.json", {"bounds_in_detail": {}}, "not a certificate of this manifest .*there is no 'float32'"),
        ("certificates/a.json", {"confidence": 2}, "confidence: input should be less than 1"),
    ],
)
def test_damaged_records_are_named(copied, path, change, says):
    (copied / path).write_text(json.dumps(json.loads((copied / path).read_text()) | change))
    with pytest.raises(DamagedFilesError, match=says):
        load(copied, "a", progress=False)


def test_two_accounts_of_a_bound_are_refused(copied):
    path = copied / "certificates/a.json"
    record = json.loads(path.read_text())
    record["lower_bounds"]["I(x1;y)"]["8bit"] = 0.9999
    path.write_text(json.dumps(record))
    with pytest.raises(DamagedFilesError, match="it gives two bounds on"):
        load(copied, "a", progress=False)


def test_generate_adds_to_a_folder(copied):
    """Ground truth is rewritten for all, so that it loads as one; records of the others stay."""
    before = bytes_of(copied)
    generate(configuration("c", seed=13, mi=0.25), copied, progress=False)
    after = bytes_of(copied)
    assert {path for path in before if after[path] != before[path]} == {
        "README.md",
        "ground_truth/a.parquet",
        "ground_truth/b.parquet",
    }
    assert [check_folder(copied, name) for name in "abc"] == [[], [], []]
    truth = datasets.load_dataset(str(copied), "ground_truth", split="train")
    assert truth.column_names == SCHEMA.names
    assert sorted(set(truth["config"])) == ["a", "b", "c"]
    assert load(copied, "a", progress=False).manifest.format == 1


def test_generate_knows_a_configuration_of_format_1(copied):
    """It is complete, and its rows are not made again."""
    made = generate(configuration("a"), copied, progress=False)
    assert made.rows_made == 0
    assert json.loads((copied / "manifests/a.json").read_text())["format"] == 1
    assert check_folder(copied, "a") == []


def test_verify_writes_a_certificate_of_today(copied):
    (result,) = certify(copied, "a", write=True, progress=False).values()
    assert result.written
    assert json.loads((copied / "certificates/a.json").read_text())["format"] == 3
    assert [check_folder(copied, name) for name in "ab"] == [[], []]
    assert pq.read_schema(copied / "ground_truth/b.parquet").names == SCHEMA.names


def test_a_repository_is_added_to(hub, clients, published, old, three, repo):
    remote = publish_as_then(hub, old, repo)
    before = {path: hub.store.read("dataset", repo, path) for path in remote.files()}
    program = """
        import datasets
        rows = {}
        for config, revision in eval(args[1]):
            found = load(args[0], config, revision=revision, progress=False)
            quantity = found.ground_truth["I(x1;y)"]
            rows[f"{config} {revision}"] = [found.manifest.format, quantity.value, quantity.measured_float32,
                                            quantity.floor_float32, found.dataset["train"]["y"][:3]]
        for revision in ("v1.0.0", "main"):
            truth = datasets.load_dataset(args[0], "ground_truth", split="train", revision=revision)
            rows[revision] = [truth.column_names, sorted(set(truth["config"]))]
        print_json(rows)
    """
    first = clients.run(program, repo, [("a", "v1.0.0"), ("b", "v1.0.0")]).value
    assert first["main"] == [TABLE.names, ["a", "b"]]
    result = published(three, repo)
    assert result["version"] == "1.1.0"
    changed = {change["path"]: change["action"] for change in result["changes"] if change["action"] != "add"}
    assert changed == dict.fromkeys(("README.md", "ground_truth/a.parquet", "ground_truth/b.parquet"), "replace")
    for path in set(before) - set(changed):
        assert hub.store.read("dataset", repo, path) == before[path]
    now = clients.run(program, repo, [(c, r) for c in "ab" for r in ("v1.0.0", "v1.1.0")] + [("c", None)]).value
    assert {key: now[key] for key in first if key != "main"} == {key: first[key] for key in first if key != "main"}
    assert now["main"] == [SCHEMA.names, ["a", "b", "c"]]
    for config in "ab":
        assert now[f"{config} v1.1.0"] == first[f"{config} v1.0.0"]
        assert now[f"{config} v1.1.0"][:1] == [1]
        assert now[f"{config} v1.1.0"][3] is None
    assert now["c None"][0] == 2
    assert published(three, repo)["changes"] == []


def test_the_same_rows_in_format_2(hub, published, two, old, repo):
    """A folder that was generated again has records of today, and the rows that were published."""
    publish_as_then(hub, old, repo)
    changes = {change["path"] for change in published(two, repo)["changes"]}
    assert not any(path.startswith(("data/", "causal_models/")) for path in changes)
    assert {"manifests/a.json", "certificates/a.json", "ground_truth/a.parquet", "README.md"} <= changes
    again = published(old, repo)
    assert {change["path"] for change in again["changes"]} > {"manifests/a.json", "certificates/a.json"}


def test_a_folder_of_format_1_is_published(hub, published, old, repo):
    published(old, repo)
    stored = pq.read_table(pa.BufferReader(hub.store.read("dataset", repo, "ground_truth/a.parquet")))
    assert stored.schema.names == SCHEMA.names
    assert hub.store.read("dataset", repo, "manifests/a.json") == (old / "manifests/a.json").read_bytes()
    assert published(old, repo)["changes"] == []
