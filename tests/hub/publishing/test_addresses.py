"""Publishing from an address and loading from one: without a copy of the data, what is on the Hub not sent again."""

import json
import random
import shutil
import time

import pytest

from tests.hub.clients import kill
from tests.hub.hub_data import PUBLISH, configuration, make
from tests.hub.publishing.test_faults import check_history, published_before_faults
from tests.support import generate

FROM_MEMORY = (
    """
import fsspec, os, tempfile
from mmmi_hf.dataset.stores.addresses import AddressStore
fsspec.filesystem("memory").put(args[0], "/place", recursive=True)
args[0] = "memory://place"
fetched = []
original = AddressStore.fetch
def fetch(self, name, target):
    there = [each for each in os.listdir(target.parent) if each.endswith(".partial")]
    fetched.append((name, len(there)))
    return original(self, name, target)
AddressStore.fetch = fetch
print_json({})
"""
    + PUBLISH
    + """
print_json({"fetched": fetched, "card": fsspec.filesystem("memory").cat_file("/place/README.md").decode()})
"""
)


@pytest.fixture
def from_memory(clients):
    """`published`, of a folder that was put at an address: the result, and what was fetched from there."""

    def call(folder, repo, **options):
        outcome = clients.run(FROM_MEMORY, folder, repo, repr(options))
        assert outcome.code == 0, outcome.err
        lines = [json.loads(line) for line in outcome.out.splitlines() if line.startswith("{")]
        return lines[-2], lines[-1]["fetched"]

    return call


def test_the_release_is_that_of_the_folder(hub, published, from_memory, two, repo):
    result, fetched = from_memory(two, repo, version="1.0.0")
    published(two, f"{repo}-folder", version="1.0.0")
    here, there = (hub.repo(name) for name in (repo, f"{repo}-folder"))
    data = {path for path in here.files() if path.startswith("data/")}
    assert set(here.files()) == set(there.files())
    for path in set(here.files()) - {"README.md"}:
        assert hub.store.read("dataset", repo, path) == hub.store.read("dataset", f"{repo}-folder", path), path
    assert {name for name, _ in fetched} == data
    assert {beside for _, beside in fetched} == {0}, "one file at a time is on this machine"
    assert {entry["path"] for entry in result["changes"]} >= data


def test_what_is_on_the_hub_is_not_sent_again(hub, from_memory, two, tmp_path, repo):
    from_memory(two, repo)
    assert from_memory(two, repo) == ({**from_memory(two, repo)[0]}, [])
    both = shutil.copytree(two, tmp_path / "both")
    make(both, configuration("c", seed=13, mi=0.25))
    result, fetched = from_memory(both, repo)
    assert result["version"] == "1.1.0"
    assert fetched
    assert all(name.startswith("data/c/") for name, _ in fetched)


def test_a_damaged_file_is_not_published(hub, from_memory, two, tmp_path, repo):
    copied = shutil.copytree(two, tmp_path / "copied")
    path = next((copied / "data/b").glob("train-*"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(bytes(content))
    result, _ = from_memory(copied, repo)
    assert result["refused"] == "DamagedFilesError"
    assert "differs from the manifest (SHA-256)" in result["why"]
    path.unlink()
    result, _ = from_memory(copied, repo)
    assert "is missing" in result["why"]
    assert not hub.repo(repo).tags


def test_a_measured_release_puts_its_certificate_first(hub, from_memory, tmp_path, repo):
    folder = generate(configuration("a"), tmp_path / "data", certify=False).folder
    result, _ = from_memory(folder, repo, measure=True, dry_run=True)
    assert "certificates/a.json" not in {entry["path"] for entry in result["changes"]}
    result, _ = from_memory(folder, repo, measure=True)
    assert "certificates/a.json" in {entry["path"] for entry in result["changes"]}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_kills_at_twenty_random_moments_with_faults(hub, clients, published, from_memory, two, three, repo, seed):
    """As of a folder, in test_faults.py: every state that was visible is the release before or the full one."""
    chance, killed, faults = random.Random(seed), 0, 0
    for number in range(20):
        name = f"{repo}-{number}"
        before = published_before_faults(hub, published, two, three, name, chance)
        pid = clients.start(FROM_MEMORY, three, name, repr({"version": "1.1.0"}))
        time.sleep(chance.uniform(0.05, 3))
        kill(pid)
        killed += clients.wait(pid).code == -9
        faults += len(hub.fired)
        again, _ = from_memory(three, name, version="1.1.0")
        assert "refused" not in again or "exactly this release; nothing is left to do" in again["why"]
        assert len(hub.repo(name).commits) == 3
        check_history(hub.repo(name), before, "1.1.0")
        hub.faults.clear()
    print(f"\nseed {seed}: 20 publications, {killed} killed, {faults} faults met before; all complete after a rerun")
