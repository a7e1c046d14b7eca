"""Publishing against the loopback Hub: versions, what stays, what is refused, dry runs, pull requests."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
import yaml

from mmmi_hf.hub.publishing.publish import publish
from tests.dataset.certificate import forgeries
from tests.hub.clients import environment, run_alone
from tests.hub.hub_data import TOKEN, configuration, make
from tests.support import generate


def front_matter(hub, repo, revision="main"):
    return yaml.safe_load(hub.store.read("dataset", repo, "README.md", revision).decode().split("---\n")[1])


def test_one_commit_one_tag(hub, published, two, repo):
    result = published(two, repo, version="1.0.0")
    remote = hub.repo(repo)
    assert (result["version"], result["commit"], result["created"]) == ("1.0.0", remote.tags["v1.0.0"], True)
    assert [seen.event for seen in remote.history] == ["create", "commit Release v1.0.0: a, b", "tag v1.0.0"]
    assert not remote.tag_objects  # the tag names the commit itself
    local = {path.relative_to(two).as_posix() for path in two.rglob("*") if path.is_file()}
    assert set(remote.files()) == local | {".gitattributes"}
    for path in local - {"README.md"}:
        assert hub.store.read("dataset", repo, path) == (two / path).read_bytes(), path
    card = hub.store.read("dataset", repo, "README.md").decode()
    assert f'load_dataset("{repo}", "a", split="train", revision="v1.0.0")' in card
    assert {entry["path"] for entry in result["changes"]} == local


def test_a_version_is_published_once(hub, published, two, repo):
    published(two, repo, version="v1.0.0")
    before = list(hub.repo(repo).history)
    again = published(two, repo, version="1.0.0")
    assert again["refused"] == "VersionExistsError"
    assert "exactly this release; nothing is left to do" in again["why"]
    assert "such as 1.1.0" in again["why"]
    unchanged = published(two, repo)
    assert (unchanged["version"], unchanged["changes"], unchanged["resumed"]) == ("1.0.0", [], False)
    assert hub.repo(repo).history == before


def test_adding_bumps_the_minor_version_and_keeps_the_old_revision(hub, published, two, three, repo):
    published(two, repo)
    first = hub.repo(repo).resolve("v1.0.0").tree
    result = published(three, repo)
    remote = hub.repo(repo)
    assert result["version"] == "1.1.0"
    assert remote.resolve("v1.0.0").tree == first
    now = remote.resolve("v1.1.0").tree
    assert {path: now[path] for path in first if path != "README.md"} == {
        path: entry for path, entry in first.items() if path != "README.md"
    }
    assert [entry["config_name"] for entry in front_matter(hub, repo)["configs"]] == ["a", "b", "ground_truth", "c"]
    card = hub.store.read("dataset", repo, "README.md").decode()
    assert all(f"| `{name}` | 1.0.0 | 60 |" in card for name in "abc")


def test_a_choice_of_configurations(hub, published, two, repo):
    result = published(two, repo, configs=["b"])
    assert result["names"] == ["b"]
    assert not any("/a" in path for path in hub.repo(repo).files())


FOREIGN_CARD = """\
---
license: mit
language: [en]
tags: [theirs]
configs:
- config_name: one
  version: 0.3.0
  description: Theirs.
  default: true
  data_files: [{split: train, path: one/*}]
dataset_info:
  config_name: one
  features: [{name: x, dtype: float64}]
  splits: [{name: train, num_bytes: 8, num_examples: 2000}]
my_own: {kept: yes}
---
# Their words

Stay.
"""


def test_nothing_of_others_is_dropped(hub, published, two, three, repo):
    remote = hub.store.create("dataset", repo)
    theirs = [("file", {"path": "README.md", "content": FOREIGN_CARD.encode()})]
    theirs.append(("file", {"path": "one/x.csv", "content": b"x\n1\n"}))
    hub.store.commit(remote, "main", theirs, title="theirs", message="")
    published(two, repo)
    published(three, repo)
    data = front_matter(hub, repo)
    before = yaml.safe_load(FOREIGN_CARD.split("---\n")[1])
    configs = {entry["config_name"]: entry for entry in data["configs"]}
    assert configs["one"] == before["configs"][0]
    assert set(configs) == {"one", "a", "b", "c", "ground_truth"}
    assert [name for name, entry in configs.items() if entry.get("default")] == ["one"]
    assert data["dataset_info"][0] == before["dataset_info"]
    assert (data["license"], data["language"], data["my_own"]) == ("mit", ["en"], before["my_own"])
    assert data["tags"][0] == "theirs"
    assert "mutual-information" in data["tags"]
    assert data["size_categories"] == ["1K<n<10K"]
    text = hub.store.read("dataset", repo, "README.md").decode()
    assert text.count("# Their words\n\nStay.") == 1
    assert text.count("# Multimodal data with known mutual information") == 1
    assert hub.store.read("dataset", repo, "one/x.csv") == b"x\n1\n"


def test_default_version_and_description_of_ours_stay_too(hub, published, two, three, repo):
    published(two, repo)
    before = {entry["config_name"]: entry for entry in front_matter(hub, repo)["configs"]}
    published(three, repo)
    after = {entry["config_name"]: entry for entry in front_matter(hub, repo)["configs"]}
    assert {name: after[name] for name in before} == before
    assert before["a"]["default"]
    assert "default" not in after["c"]


def test_a_configuration_of_theirs_is_not_taken_over(hub, published, two, repo):
    remote = hub.store.create("dataset", repo)
    card = FOREIGN_CARD.replace("config_name: one", "config_name: a")
    hub.store.commit(remote, "main", [("file", {"path": "README.md", "content": card.encode()})], title="x", message="")
    refused = published(two, repo)
    assert refused["refused"] == "HubRequestError"
    assert "'a' that was not published by mmmi_hf" in refused["why"]


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"theirs": 1}'])
def test_manifests_that_are_not_ours(hub, published, two, tmp_path, repo, content):
    remote = hub.store.create("dataset", repo)
    theirs = [("file", {"path": path, "content": content}) for path in ("manifests/a.json", "manifests/other.json")]
    hub.store.commit(remote, "main", theirs, title="theirs", message="")
    assert "'a' that was not published by mmmi_hf" in published(two, repo)["why"]
    assert published(two, repo, configs=["b"])["version"] == "1.0.0"
    assert hub.store.read("dataset", repo, "manifests/other.json") == content


def test_a_configuration_from_another_version_of_the_package(hub, published, two, repo):
    published(two, repo, configs=["a"])
    manifest = json.loads(hub.store.read("dataset", repo, "manifests/a.json")) | {"format": 99}
    newer = [("file", {"path": "manifests/a.json", "content": json.dumps(manifest).encode()})]
    hub.store.commit(hub.repo(repo), "main", newer, title="newer", message="")
    for configs in (["a"], ["b"]):
        refused = published(two, repo, configs=configs)
        assert "'a' from another version of mmmi_hf; install the newest" in refused["why"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "README.md is no UTF-8 text"),
        (b"---\nconfigs: words\n---\n", "no list of mappings: 'words'"),
        (b"---\ndataset_info: [3]\n---\n", r"no list of mappings: [3]"),
    ],
)
def test_a_card_of_theirs_that_cannot_be_read(hub, published, two, repo, content, says):
    remote = hub.store.create("dataset", repo)
    hub.store.commit(remote, "main", [("file", {"path": "README.md", "content": content})], title="x", message="")
    refused = published(two, repo)
    assert refused["refused"] == "HubRequestError"
    assert says in refused["why"]


def test_a_published_configuration_changes_only_with_its_version(hub, published, two, tmp_path, repo):
    published(two, repo)
    changed = make(tmp_path / "changed", configuration("a", seed=99))
    refused = published(changed, repo)
    assert refused["refused"] == "ReleaseChangedError"
    assert "'a' 1.0.0 with other bytes" in refused["why"]
    newer = make(tmp_path / "newer", configuration("a", seed=99, rows=80, version="1.1.0"))
    assert published(newer, repo, version="2.0.0")["version"] == "2.0.0"
    entry = next(entry for entry in front_matter(hub, repo)["configs"] if entry["config_name"] == "a")
    assert entry["version"] == "1.1.0"
    assert hub.store.read("dataset", repo, "manifests/a.json", "v1.0.0") == (two / "manifests/a.json").read_bytes()
    older = published(two, repo)
    assert older["refused"] == "ReleaseChangedError"
    assert "an older version is loaded by its tag" in older["why"]


def test_files_of_an_earlier_version_are_removed(hub, published, two, tmp_path, repo):
    folder = tmp_path / "with-extras"
    shutil.copytree(two, folder)
    for path in ("figures/a/information.png", "figures/b/information.png"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("picture")
    published(folder, repo)
    newer = tmp_path / "newer"
    generate(configuration("a", rows=2, version="1.1.0"), newer, certify=False)
    result = published(newer, repo)
    gone = {change["path"] for change in result["changes"] if change["action"] == "delete"}
    splits = ("validation", "test")
    assert {"certificates/a.json", "figures/a/information.png"} < gone
    assert {path for path in gone if path.startswith("data/")} == {
        f"data/a/{split}-00000-of-00001.parquet" for split in splits
    }
    assert "figures/b/information.png" in hub.repo(repo).files()


def test_damage_is_refused(hub, published, two, tmp_path, repo):
    folder = tmp_path / "damaged"
    shutil.copytree(two, folder)
    victim = next((folder / "data/b").glob("train-*"))
    content = bytearray(victim.read_bytes())
    content[100] ^= 1
    victim.write_bytes(content)
    refused = published(folder, repo)
    assert refused["refused"] == "DamagedFilesError"
    assert f"data/b/{victim.name} differs from the manifest" in refused["why"]
    assert ("dataset", repo) not in hub.store.repos
    assert published(folder, repo, configs=["a"])["names"] == ["a"]


def test_bytes_that_change_after_the_check_are_refused_by_their_digest(hub, clients, tmp_path, repo):
    folder = make(tmp_path / "changing", configuration("changing", seed=77))
    victim = next((folder / "data/changing").glob("train-*"))
    outcome = clients.run(
        "from pathlib import Path\n"
        "import mmmi_hf.hub.publishing.dataset_content as content\n"
        "from mmmi_hf.hub.client.retries import Backoff\n"
        "checked = content.problems\n"
        "def then_changed(*given, **options):\n"
        "    found = checked(*given, **options)\n"
        "    victim = Path(args[2])\n"
        "    victim.write_bytes(victim.read_bytes()[:-1] + b'!')\n"
        "    return found\n"
        "content.problems = then_changed\n"
        "publish(args[0], args[1], measure=False, progress=False, backoff=Backoff(attempts=2, base=0.01))",
        folder,
        repo,
        victim,
    )
    assert outcome.code == 1
    assert "given up after 2 attempts" in outcome.err
    assert [seen.event for seen in hub.repo(repo).history] == ["create"]


def test_a_forgery_that_is_consistent_is_refused(hub, published, tmp_path, repo):
    honest = make(tmp_path / "honest", configuration("forged", seed=78, rows=80))
    folder = tmp_path / "forged"
    forgeries.forge(honest, folder, "forged", forgeries.shuffled())
    refused = published(folder, repo, measure=True)
    assert refused["refused"] == "DamagedFilesError"
    assert "are not the images of their latents" in refused["why"]
    assert ("dataset", repo) not in hub.store.repos


def test_an_unmeasured_configuration_is_measured_and_certified(hub, published, tmp_path, repo):
    folder = tmp_path / "unmeasured"
    generate(configuration("unmeasured", seed=79, rows=80), folder, certify=False)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    plan = published(folder, repo, dry_run=True, measure=True)
    assert not plan["commit"]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    done = published(folder, repo, measure=True)
    assert {(entry["action"], entry["path"]) for entry in plan["changes"]} == {
        (entry["action"], entry["path"]) for entry in done["changes"]
    }
    assert "certificates/unmeasured.json" in hub.repo(repo).files()
    assert "**Not measured** yet" not in plan["card"]


def test_a_certificate_is_not_lost_with_data_that_stay(hub, published, two, three, tmp_path, repo):
    published(two, repo)
    bare = tmp_path / "bare"
    generate(configuration("a"), bare, certify=False)
    assert (
        json.loads((bare / "manifests/a.json").read_text())["files"][0]
        == (json.loads((two / "manifests/a.json").read_text())["files"][0])
    )
    before = list(hub.repo(repo).history)
    refused = published(bare, repo)
    assert refused["refused"] == "ReleaseChangedError"
    assert "'a' with a certificate, and this folder has the same data without one; measure it first" in refused["why"]
    assert hub.repo(repo).history == before
    generate(configuration("c", seed=13, mi=0.25), bare, certify=False)
    assert published(bare, repo, configs=["c"])["version"] == "1.1.0"
    assert published(three, repo)["version"] == "1.2.0"  # a certificate that is new
    assert {"certificates/a.json", "certificates/c.json"} < set(hub.repo(repo).files())


def test_dry_run_writes_nothing_and_says_what_would_change(hub, published, two, three, repo):
    plan = published(two, repo, dry_run=True)
    assert (plan["created"], plan["version"], plan["commit"], plan["dry_run"]) == (True, "1.0.0", None, True)
    assert {entry["action"] for entry in plan["changes"]} == {"add"}
    assert ("dataset", repo) not in hub.store.repos
    published(two, repo)
    before = list(hub.repo(repo).history)
    hub.requests.clear()
    plan = published(three, repo, dry_run=True)
    assert hub.repo(repo).history == before
    assert not [request for request in hub.requests if request[0] != "GET" and request[0] != "HEAD"]
    done = published(three, repo)
    assert plan["changes"] == done["changes"]
    assert plan["card"] == done["card"]
    nothing = published(three, repo, dry_run=True)
    assert (nothing["changes"], nothing["dry_run"]) == ([], True)


def test_private(hub, published, two, three, repo):
    published(two, repo, private=True)
    assert hub.repo(repo).private
    assert published(three, repo, private=True)["version"] == "1.1.0"
    published(two, f"{repo}-public")
    refused = published(three, f"{repo}-public", private=True)
    assert "exists and is public" in refused["why"]


def test_pull_request_then_merge_then_tag(hub, published, two, three, repo):
    refused = published(two, repo, pr=True)
    assert "does not exist" in refused["why"]
    published(two, repo)
    result = published(three, repo, pr=True)
    remote = hub.repo(repo)
    assert result["pull_request"].endswith("/discussions/1")
    assert list(remote.tags) == ["v1.0.0"]
    assert not any("data/c/" in path for path in remote.files())
    hub.store.merge(remote, "refs/pr/1", "Release v1.1.0: c (#1)")
    finished = published(three, repo)
    assert (finished["version"], finished["resumed"], finished["changes"]) == ("1.1.0", True, [])
    assert remote.tags["v1.1.0"] == remote.branches["main"]


def test_a_token_in_the_address_of_the_hub_is_nowhere(hub, two, tmp_path, repo):
    """In messages, in the whole chain of an exception, and in what the clients log at every level."""
    program = """
        import logging, traceback
        logging.basicConfig(level=logging.DEBUG)
        from huggingface_hub.utils import logging as of_the_client
        of_the_client.set_verbosity_debug()
        from mmmi_hf import FlowMatchingPipeline, load, publish
        from mmmi_hf.hub.client.retries import Backoff
        few = Backoff(attempts=2, base=0.001)
        for call in (
            lambda: load(args[1], "a", backoff=few),
            lambda: publish(args[0], args[1], backoff=few, measure=False),
            lambda: publish(args[0], args[2], backoff=few, measure=False),
            lambda: load(args[2], "a", backoff=few),
            lambda: FlowMatchingPipeline.from_pretrained(args[1]),
        ):
            try:
                call()
            except Exception:
                traceback.print_exc()
            else:
                raise SystemExit("nothing was refused")
    """
    secret = "thisusermustnevershowup:" + TOKEN
    env = environment(hub, tmp_path / "home") | {"HF_ENDPOINT": f"http://{secret}@127.0.0.1:9"}
    outcome = run_alone(program, two, repo, f"http://{secret}@127.0.0.1:9/{repo}", env=env)
    assert outcome.code == 0, outcome.out + outcome.err[-2000:]
    assert "thisuser" not in outcome.out + outcome.err
    assert TOKEN not in outcome.out + outcome.err


def test_the_token_is_nowhere(hub, clients, two, tmp_path, repo):
    program = """
        import logging, sys
        logging.basicConfig(level=logging.DEBUG)
        from mmmi_hf.cli import main
        main(["publish", args[0], args[1], "--version", "1.0.0", "--no-measure"])
    """
    hub.fault("POST", "commit/main", "status", status=503)
    outcome = clients.run(program, two, repo)
    assert outcome.code == 0, outcome.err
    assert TOKEN not in outcome.out + outcome.err
    refused = clients.run(program, two, repo)
    assert refused.code == 2
    assert TOKEN not in refused.out + refused.err
    assert not any(TOKEN.encode() in path.read_bytes() for path in two.rglob("*") if path.is_file())
    assert not any(TOKEN.encode() in content for content in hub.store.blobs.values())


def test_a_wrong_token_gets_one_line(hub, published, two, repo):
    refused = published(two, repo, token="hf_wrong")
    assert refused["refused"] == "HubRequestError"
    assert "refused it (401); log in with `hf auth login`" in refused["why"]
    assert "hf_wrong" not in refused["why"]


@pytest.mark.parametrize("token", ["hf_wrong\n", "hf_wrong and more", "hf_wrongé", ""])
def test_a_token_that_no_request_can_carry_is_not_quoted(hub, clients, two, repo, token):
    outcome = clients.run("publish(args[0], args[1], measure=False, token=args[2])", two, repo, token)
    loaded = clients.run("load(args[0], 'a', token=args[1])", repo, token)
    assert not hub.requests
    for seen in (outcome, loaded):
        assert "HubRequestError: token must be printable characters" in seen.err
        assert "hf_wrong" not in seen.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"version": "1.0"}, "version must be X.Y.Z"),
        ({"version": "1.0.01"}, "version must be X.Y.Z"),
        ({"repo": "justaname"}, "repo must be owner/name"),
        ({"repo": "org/a--b"}, "repo must be owner/name, got 'org/a--b'"),
        ({"repo": "org/a.git"}, "repo must be owner/name, got 'org/a.git'"),
        ({"configs": ["a", "z"]}, "configs: 'z'"),
        ({"configs": []}, "configs: none given"),
        ({"card": "x"}, "card belongs to pipelines"),
        ({"folder": "/nowhere"}, "there is no folder /nowhere"),
        ({"folder": 3}, "folder must be a path or a FlowMatchingPipeline, got int"),
    ],
)
def test_wrong_requests(two, monkeypatch, arguments, says):
    monkeypatch.setattr("mmmi_hf.hub.publishing.publish.HF_HUB_OFFLINE", False)
    given = {"folder": two, "repo": "org/data", "progress": False} | arguments
    with pytest.raises(ValueError, match=says):
        publish(given.pop("folder"), given.pop("repo"), **given)


def test_offline_and_empty(two, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set"):
        publish(two, "org/data")
    monkeypatch.setattr("mmmi_hf.hub.publishing.publish.HF_HUB_OFFLINE", False)
    with pytest.raises(ValueError, match="holds no dataset of ours"):
        publish(tmp_path, "org/data", progress=False)


def test_ground_truth_of_all_configurations_loads(hub, published, two, three, clients, repo):
    published(two, repo)
    published(three, repo)
    program = """
        from datasets import load_dataset
        truth = load_dataset(args[0], "ground_truth", split="train", revision="v1.1.0")
        print_json(sorted(set(truth["config"])))
    """
    assert clients.run(program, repo).value == ["a", "b", "c"]
    content = hub.store.read("dataset", repo, "ground_truth/c.parquet")
    assert content == (three / "ground_truth/c.parquet").read_bytes()
    assert pq.read_table(three / "ground_truth/c.parquet").num_rows == 13
    assert json.loads(hub.store.read("dataset", repo, "manifests/c.json"))["config"] == "c"
