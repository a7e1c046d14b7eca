"""Loading what was published: by tag, by main, streaming, some columns, offline, with and without anything of ours."""

import copy
import json
import multiprocessing
import os
import re
import shutil

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from mmmi_hf.dataset.format.folder import file_entry
from mmmi_hf.dataset.format.ground_truth import SCHEMA, write_ground_truth
from mmmi_hf.hub.client.errors import DamagedFilesError, HubRequestError
from mmmi_hf.hub.loading.load import load
from tests.hub.clients import Nursery, environment, run_alone
from tests.hub.hub_data import configuration
from tests.support import ROOT, generate

DIGEST = """
import hashlib
def digest(table):
    table = table.combine_chunks()
    sink = hashlib.sha256()
    for name in sorted(table.column_names):
        sink.update(f"{name} {table.schema.field(name).type} {table.column(name).to_pylist()}".encode())
    return sink.hexdigest()
"""

PLAIN = (
    DIGEST
    + """
import sys
from datasets import load_dataset
repo, seen = args[0], {}
for config, revision in eval(args[1]):
    data = load_dataset(repo, config, revision=revision)
    seen[f"{config} {revision}"] = {s: digest(d.with_format("arrow")[:]) for s, d in data.items()}
    info = data["train"].info
    seen[f"info {config} {revision}"] = [str(info.version), info.description, info.homepage]
config, revision = eval(args[1])[0]
streamed = list(load_dataset(repo, config, revision=revision, streaming=True, split="test"))[0]
few = load_dataset(repo, config, revision=revision, split="train", columns=["y", "row"])
fewer = list(load_dataset(repo, config, revision=revision, streaming=True, split="train", columns=["y"]))[0]
seen["streamed"] = [streamed["row"], streamed["y"], str(type(streamed["x1_image"]).__name__)]
seen["columns"] = [few.column_names, few.num_rows, fewer]
seen["ours"] = sorted(name for name in sys.modules if name.startswith("mmmi_hf"))
print_json(seen)
"""
)

OURS = (
    DIGEST
    + """
import numpy as np
repo, seen = args[0], {}
for config, revision in eval(args[1]):
    found = load(repo, config, revision=revision, progress=False)
    seen[f"{config} {revision}"] = {s: digest(d.with_format("arrow")[:]) for s, d in found.dataset.items()}
    exact = found.model.mutual_information("x1", "y")
    seen[f"truth {config} {revision}"] = [found.ground_truth["I(x1;y)"].value, exact]
    what = [found.revision, found.commit, found.version, found.verified]
    seen[f"found {config} {revision}"] = [*what, list(found.splits)]
config, revision = eval(args[1])[0]
batch = next(load(repo, config, split="train", progress=False).numpy_batches(["x1", "y"], 4))
seen["batch"] = {k: [list(v.shape), str(v.dtype)] for k, v in batch.items()}
streamed = load(repo, config, revision=revision, streaming=True, columns=["y"], progress=False)
seen["streamed"] = [len(np.concatenate([b["y"] for b in streamed.numpy_batches(batch_size=7)])), streamed.verified]
print_json(seen)
"""
)


@pytest.fixture(scope="module")
def plain(running_hub, tmp_path_factory):
    """Clients with nothing of ours, and no token."""
    folder = tmp_path_factory.mktemp("plain")
    nursery = Nursery(environment(running_hub, folder / "home", ours=False), folder, imports="import datasets")
    yield nursery
    nursery.close()


def local_digests(folder, config):
    names = {}
    exec(DIGEST, names)
    return {
        split: names["digest"](pq.read_table(sorted((folder / "data" / config).glob(f"{split}-*"))))
        for split in ("train", "validation", "test")
    }


def test_publish_load_add_load(hub, clients, published, plain, two, three, repo, home, tmp_path):
    """Done-when 1 of the issue: two configurations, loaded every way; a third; the first two unchanged everywhere."""
    published(two, repo, version="1.0.0")
    first = plain.run(PLAIN, repo, [("a", "v1.0.0"), ("b", "main")]).value
    assert first["ours"] == []
    assert first["streamed"][0] == 54
    assert first["streamed"][2] == "PngImageFile"
    assert first["columns"][:2] == [["y", "row"], 48]
    assert list(first["columns"][2]) == ["y"]
    assert first["info a v1.0.0"] == ["1.0.0", "The test configuration a.", "https://arxiv.org/abs/2510.21686"]
    ours = clients.run(OURS, repo, [("a", "v1.0.0"), ("b", None)]).value
    assert ours["found b None"] == [
        "v1.0.0",
        hub.repo(repo).tags["v1.0.0"],
        "1.0.0",
        True,
        ["train", "validation", "test"],
    ]
    assert ours["truth b None"] == pytest.approx([0.5, 0.5])
    assert ours["batch"] == {"x1": [[4, 1, 6, 6], "float32"], "y": [[4], "float64"]}
    assert ours["streamed"] == [48, False]

    published(three, repo, version="1.1.0")
    everything = [(config, revision) for config in "ab" for revision in ("v1.0.0", "v1.1.0")]
    again = plain.run(PLAIN, repo, everything).value
    mine = clients.run(OURS, repo, [*everything, ("c", None), ("a", None)]).value
    assert mine["found c None"][0] == mine["found a None"][0] == "v1.1.0"
    for config, revision in everything:
        expected = local_digests(two, config)
        assert again[f"{config} {revision}"] == expected
        assert mine[f"{config} {revision}"] == expected
    assert first["a v1.0.0"] == local_digests(two, "a")
    assert mine["c None"] == local_digests(three, "c")
    assert published(three, repo, version="1.1.0")["refused"] == "VersionExistsError"

    hub.requests.clear()
    offline = Nursery(environment(hub, home, offline=True), tmp_path / "offline")
    seen = offline.run(OURS.split("streamed = ")[0] + "print_json(seen)", repo, [*everything, ("a", None)]).value
    assert seen["found a None"] == mine["found a None"]
    assert all(seen[f"{c} {r}"] == mine[f"{c} {r}"] for c, r in everything)
    refused = offline.run("load('org/never-loaded', 'a')")
    assert "has no release in the cache" in refused.err
    refused = offline.run(f"load({repo!r}, 'b', revision='v9.0.0', progress=False)")
    assert "is not (wholly) in the cache" in refused.err
    offline.close()
    assert hub.requests == []


def test_the_newest_release_that_holds_the_configuration(hub, clients, published, two, three, repo):
    """An explicit lower version may be published later than a higher one; each configuration is found all the same."""
    published(two, repo, version="2.0.0")
    published(three, repo, version="1.5.0")
    program = "print_json([load(args[0], c, progress=False).revision for c in 'abc'])"
    assert clients.run(program, repo).value == ["v2.0.0", "v2.0.0", "v1.5.0"]


def test_the_benchmark_reads_releases_as_load_does(hub, clients, published, two, three, repo):
    published(two, repo)
    published(three, repo)
    program = """
        from mmmi_hf.benchmark.protocol.data import Source
        newest, first = Source.open(args[0]), Source.open(args[0], "v1.0.0")
        rows = first.rows("b", "test", ["x1", "y"], range(2, 5))
        print_json([newest.configurations, first.configurations, newest.revision, first.revision,
                    first.truth("b", "x1", "y"), rows["x1"].shape, rows["y"].tolist()])
    """
    names, before, newest, first, truth, shape, y = clients.run(program, repo).value
    assert (names, before, truth) == (["a", "b", "c"], ["a", "b"], pytest.approx(0.5))
    tags = hub.repo(repo).tags
    assert [newest, first] == [tags["v1.1.0"], tags["v1.0.0"]]
    assert shape == [3, 1, 6, 6]
    assert y == pq.read_table(two / "data" / "b" / "test-00000-of-00001.parquet")["y"].to_pylist()[2:5]


def test_a_tampered_download_is_refused(hub, clients, published, two, home, repo):
    published(two, repo)
    program = """
        from pathlib import Path
        found = load(args[0], "a", progress=False)
        victim = next(Path(args[1]).glob(f"hub/datasets--{args[0].replace('/', '--')}/snapshots/*/data/a/train-*"))
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.resolve().write_bytes(content)
        try:
            load(args[0], "a", progress=False)
            print_json("loaded")
        except ValueError as error:
            print_json([type(error).__name__, str(error), load(args[0], "a", split="test", progress=False).verified])
    """
    kind, says, others = clients.run(program, repo, home).value
    assert kind == "DamagedFilesError"
    assert "its SHA-256 is not that of the manifest; load it again with force_download=True" in says
    assert others
    repaired = "print_json(load(args[0], 'a', force_download=True, progress=False).verified)"
    assert clients.run(repaired, repo).value


def test_refusals_of_the_hub(hub, clients, published, two, repo):
    published(two, repo)
    program = """
        said = []
        for name, options in [(args[0], dict(config="z")), (args[0], dict(config="a", revision="v7.0.0")),
                              ("org/nowhere", dict(config="a")), (args[0], dict(config="z", revision="main"))]:
            try:
                load(name, progress=False, **options)
            except ValueError as error:
                said.append(str(error))
        print_json(said)
    """
    no_config, no_revision, nowhere, not_there = clients.run(program, repo).value
    assert no_config == f"no release of {repo} has a configuration 'z'; it has a, b"
    assert no_revision == f"load {repo} at v7.0.0: there is no such revision; see the tags of the repository"
    assert "not found on the Hub (404)" in nowhere
    assert not_there == f"{repo} at main has no configuration 'z'; it has a, b"


def test_no_release_yet(hub, clients, two, repo):
    hub.store.create("dataset", repo)
    outcome = clients.run("load(args[0], 'a', progress=False)", repo)
    assert "has no release (tags vX.Y.Z); give a revision" in outcome.err


def test_transient_failures_of_a_download_pass(hub, clients, published, two, repo):
    published(two, repo)
    hub.fault("GET", f"{repo}/refs", "status", status=503)
    hub.fault("GET", f"{repo}/tree", "reset")
    program = """
        from mmmi_hf.hub.client.retries import Backoff
        print_json(load(args[0], "a", progress=False, backoff=Backoff(base=0.01)).verified)
    """
    assert clients.run(program, repo).value
    assert len(hub.fired) == 2


def test_the_cache_is_used_when_the_hub_is_gone(running_hub, clients, published, two, home, repo, tmp_path):
    published(two, repo)
    clients.run("load(args[0], 'a', progress=False)", repo)
    gone = Nursery(environment(running_hub, home) | {"HF_ENDPOINT": "http://127.0.0.1:9"}, tmp_path / "gone")
    outcome = gone.run("found = load(args[0], 'a', progress=False); print_json([found.revision, found.verified])", repo)
    gone.close()
    assert outcome.value == ["v1.0.0", True]
    assert "out of reach" in outcome.err


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_folder(two):
    found = load(two, "a", progress=False)
    assert isinstance(found.dataset, datasets.DatasetDict)
    assert found.splits == ("train", "validation", "test")
    assert (found.revision, found.commit) == (None, None)
    assert found.certificate.sample.rows == tuple(range(60))
    assert found.model.digest == found.manifest.causal_model
    truth = found.ground_truth["I(x1;y)"]
    assert 0.99 < truth.measured_float32 <= truth.value
    assert 0.99 < truth.floor_float32 <= truth.measured_float32  # all rows were made again
    assert 0.0 < truth.floor_view < truth.measured_view
    assert (truth.confidence, truth.rows_replayed, truth.rows_inverted) == (0.99, 60, 60)
    assert found.dataset["train"].info.version == "1.0.0"
    plain = datasets.load_dataset("parquet", data_files=str(two / "data/a/train-*"), split="train")
    assert found.dataset["train"].features == plain.features
    assert found.dataset["train"].with_format("arrow")[:].equals(plain.with_format("arrow")[:])
    again = load(two, "a", split="train", progress=False)
    assert isinstance(again.dataset, datasets.Dataset)
    assert again.dataset._fingerprint == found.dataset["train"]._fingerprint


def test_loading_reaches_neither_flow_nor_torch(two):
    program = """
        import sys
        from mmmi_hf.benchmark.protocol.data import Source
        from mmmi_hf.hub import load
        load(args[0], "a", progress=False)
        assert Source.open(args[0]).configurations == ["a", "b"]
        print_json([name for name in sys.modules if name.startswith("mmmi_hf.flow") or name == "torch"])
    """
    assert run_alone(program, two, env={**os.environ, "PYTHONPATH": str(ROOT)}).value == []


def test_a_read_only_folder(two, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(two, copy)
    copy.chmod(0o500)
    assert load(copy, "b", progress=False).dataset["test"].num_rows == 6
    copy.chmod(0o700)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("data/a/validation-00000-of-00001.parquet", "is damaged"),
        ("ground_truth/a.parquet", "'a' is damaged: a file of the configuration is malformed"),
        ("causal_models/a.json", "is damaged"),
    ],
)
def test_damaged_folders(two, tmp_path, path, says):
    copy = tmp_path / "copy"
    shutil.copytree(two, copy)
    content = bytearray((copy / path).read_bytes())
    content[len(content) // 2] ^= 1
    content[4:8] = b"\xff" * 4  # the ground truth has no digest, and a flipped bit of its metadata may change nothing
    (copy / path).write_bytes(content)
    with pytest.raises(DamagedFilesError, match=says):
        load(copy, "a", progress=False)
    (copy / path).unlink()
    with pytest.raises(DamagedFilesError, match="is missing"):
        load(copy, "a", progress=False)


def restate(folder, change):
    """Change the manifest of a, whose list of files then tells the digests of the changed small files."""
    path = folder / "manifests/a.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    for number, entry in enumerate(manifest.get("files", [])):
        manifest["files"][number] = file_entry(folder, entry["path"]).model_dump(exclude_none=True)
    path.write_text(json.dumps(manifest))


def forged_truth(folder, *, certified=True, **fields):
    if not certified:
        (folder / "certificates/a.json").unlink()
    path = folder / "ground_truth/a.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0] |= fields
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda folder, manifest: forged_truth(folder, value=5.0, certified=False),
            r"I\(x1;y\) is 5.0 in the ground truth, 1.0",
        ),
        (
            lambda folder, manifest: (folder / "certificates/a.json").write_text("{"),
            "not a certificate of this manifest",
        ),
        (lambda folder, manifest: (folder / "certificates/a.json").unlink(), "the certificate nothing"),
        (lambda folder, manifest: manifest.update(seed=4), "seed are not those that the rows were made with"),
        (lambda folder, manifest: manifest.update(config="../../b"), "is that of '../../b'"),
        (lambda folder, manifest: manifest["splits"]["train"].update(rows=7), "the splits are not those of 60 rows"),
        (lambda folder, manifest: manifest["splits"]["train"].update(files=["../x"]), "list of files is not that"),
        (lambda folder, manifest: manifest.pop("splits"), "splits: is missing"),
        (lambda folder, manifest: manifest.pop("version"), "version: is missing"),
        (lambda folder, manifest: manifest.pop("files"), "files: is missing"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_statements_that_contradict_each_other(two, tmp_path, change, says, streaming):
    """Digests that fit do not make a ground truth of another model, or bounds that nothing was measured for."""
    copy = tmp_path / "copy"
    shutil.copytree(two, copy)
    restate(copy, lambda manifest: change(copy, manifest))
    with pytest.raises(DamagedFilesError, match=says):
        load(copy, "a", streaming=streaming, progress=False)


@pytest.mark.parametrize("field", ["measured_float32", "floor_view", "confidence"])
def test_bounds_that_the_certificate_does_not_give(two, tmp_path, field):
    copy = tmp_path / "copy"
    shutil.copytree(two, copy)
    forged_truth(copy, **{field: 0.9})
    with pytest.raises(DamagedFilesError, match=rf"the ground truth gives I\(x1;y\) the {field} 0.9, the certificate"):
        load(copy, "a", progress=False)


def column(name, change):
    """A change of a table's column, or its removal."""

    def changed(table):
        at = table.column_names.index(name)
        made = change(table[name])
        return table.remove_column(at) if made is None else table.set_column(at, name, made)

    return changed


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (column("y", lambda y: y.cast("string")), r"has other columns than the causal model asks for \(y\)"),
        (column("y", lambda y: y.cast("float32")), r"asks for \(y\)"),
        (column("y", lambda y: None), r"asks for \(y\)"),
        (column("y", lambda y: pa.nulls(len(y), "float64")), "test of 'a' has missing values in y"),
        (column("x1", lambda x: pa.array([[0.0]] * len(x), pa.list_(pa.float32()))), r"asks for \(x1\)"),
        (lambda table: table.append_column("more", table["y"]), r"asks for \(more\)"),
        (lambda table: table.append_column("y", table["y"]), "test-.* is no Parquet file of ours"),
        (
            lambda table: table.replace_schema_metadata(
                {"huggingface": '{"info": {"features": {"y": {"feature": "a"}}}}'}
            ),
            "test-.* is no Parquet file of ours",
        ),
        (lambda table: table.select(table.column_names[::-1]), "another order"),
        (lambda table: pa.concat_tables([table, table]), "test has 12 rows, the manifest states 6"),
        (lambda table: table.slice(1), "test has 5 rows, the manifest states 6"),
    ],
)
def test_consistently_forged_rows_of_another_shape(two, tmp_path, change, says):
    """Digests that fit do not make rows of the configuration."""
    folder = shutil.copytree(two, tmp_path / "copy")
    (folder / "certificates/a.json").unlink()
    write_ground_truth(configuration("a"), folder / "ground_truth/a.parquet", None)
    (path,) = (folder / "data/a").glob("test-*")
    pq.write_table(change(pq.read_table(path)), path)
    restate(folder, lambda manifest: None)
    with pytest.raises(DamagedFilesError, match=says):
        load(folder, "a", progress=False)
    assert load(folder, "a", split="train", progress=False).verified


def test_a_forged_file_that_is_no_parquet(two, tmp_path):
    folder = shutil.copytree(two, tmp_path / "copy")
    (folder / "certificates/a.json").unlink()
    write_ground_truth(configuration("a"), folder / "ground_truth/a.parquet", None)
    (path,) = (folder / "data/a").glob("test-*")
    path.write_text("rows")
    restate(folder, lambda manifest: None)
    with pytest.raises(DamagedFilesError, match=r"is no Parquet file of ours \(.*\);") as refused:
        load(folder, "a", progress=False)
    assert not re.search(r"Arrow\w+|\w+Error", str(refused.value))


def test_a_certificate_of_other_files_is_refused(two, tmp_path):
    folder = tmp_path / "bare"
    generate(configuration("a", seed=99), folder, certify=False)
    (folder / "certificates").mkdir()
    shutil.copy(two / "certificates/a.json", folder / "certificates")
    with pytest.raises(DamagedFilesError, match="not a certificate of this manifest"):
        load(folder, "a", progress=False)
    (folder / "certificates/a.json").unlink()
    found = load(folder, "a", progress=False)
    assert found.certificate is None
    assert found.ground_truth["I(x1;y)"].measured_float32 is None


def test_what_was_loaded_can_be_sent_to_other_processes(two):
    found = load(two, "a", progress=False)
    again = copy.deepcopy(found)  # by way of what pickling uses
    assert (again.config, again.model.digest, again.ground_truth) == ("a", found.model.digest, found.ground_truth)
    rows = torch.utils.data.DataLoader(
        again.dataset["train"].with_format("torch", columns=["row"]),
        batch_size=7,
        num_workers=1,
        multiprocessing_context=multiprocessing.get_context("spawn"),
    )
    assert torch.equal(torch.cat([batch["row"] for batch in rows]), torch.arange(48))
    assert len(repr(found)) < 5000


def test_unverified_bytes_never_pass_for_verified_ones(two, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(two, copy)
    victim = next((copy / "data/a").glob("test-*"))
    table = pq.read_table(victim)
    pq.write_table(table.slice(0, 3), victim)
    assert load(copy, "a", split="test", verify=False, progress=False).dataset.num_rows == 3
    assert load(two, "a", split="test", progress=False).dataset.num_rows == 6


def test_another_causal_model_is_refused(two, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(two, copy)
    manifest = json.loads((copy / "manifests/a.json").read_text())
    manifest["causal_model"] = "0" * 64
    (copy / "manifests/a.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedFilesError, match="the causal model is another than the manifest's"):
        load(copy, "a", progress=False)
    manifest["files"] = [entry for entry in manifest["files"] if not entry["path"].startswith("causal_models")]
    (copy / "manifests/a.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedFilesError, match=r"does not state causal_models/a\.json"):
        load(copy, "a", progress=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"config": "z"}, "holds no configuration 'z'; it has a, b"),
        ({"revision": "v1.0.0"}, "revision must be None for a folder"),
        ({"repo_or_dir": "nothing here"}, "is not owner/name"),
        ({"split": "dev"}, "has no split 'dev'; train, validation, test"),
        ({"columns": ["x9"]}, "no column 'x9'; there are x1_image, x1"),
        ({"columns": ["x9"], "streaming": True}, "no column 'x9'; there are x1_image, x1"),
        ({"columns": "y"}, r"columns must be a list of different names, such as \['x1', 'y'\], got 'y'"),
        ({"columns": ["y", "y"], "streaming": True}, "columns must be a list of different names"),
        ({"columns": []}, "columns must be a list of different names"),
        ({"repo_or_dir": "org/a--b"}, "repo must be owner/name"),
        ({"repo_or_dir": "org/a", "revision": ""}, "revision is empty"),
    ],
)
def test_wrong_requests(two, arguments, says):
    with pytest.raises(HubRequestError, match=says):
        load(**{"repo_or_dir": two, "config": "a", "progress": False} | arguments)
