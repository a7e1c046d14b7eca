"""The loopback Hub against the stock clients: push_to_hub, snapshot_download, load_dataset, and what it refuses."""

import hashlib

import pytest

from tests.hub.loopback_store import Refused, Store

STOCK = """
from pathlib import Path
import numpy as np
from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import HfApi, snapshot_download
repo = args[0]
data = {"x": np.arange(6, dtype=np.float64).tolist(), "name": list("abcdef")}
DatasetDict({"train": Dataset.from_dict(data)}).push_to_hub(repo, config_name="one")
Dataset.from_dict(data).push_to_hub(repo, config_name="two", split="test")
api = HfApi()
api.create_tag(repo, tag="v1", repo_type="dataset")
api.create_branch(repo, branch="side", repo_type="dataset")
folder = snapshot_download(repo, repo_type="dataset", revision="v1")
loaded = load_dataset(repo, "one", split="train", revision="v1")
streamed = list(load_dataset(repo, "two", split="test", streaming=True))
refs = api.list_repo_refs(repo, repo_type="dataset")
api.delete_tag(repo, tag="v1", repo_type="dataset")
print_json({
    "loaded": loaded["x"][:], "streamed": streamed[0], "files": sorted(p.name for p in Path(folder).iterdir()),
    "refs": [[ref.name for ref in refs.tags], [ref.name for ref in refs.branches]], "who": api.whoami()["name"],
})
"""


def test_stock_clients_pass(hub, clients, repo):
    seen = clients.run(STOCK, repo).value
    assert seen["loaded"] == [0, 1, 2, 3, 4, 5]
    assert seen["streamed"] == {"x": 0, "name": "a"}
    assert seen["refs"] == [["v1"], ["main", "side"]]
    assert "README.md" in seen["files"]
    assert hub.repo(repo).tags == {}


def test_what_it_refuses():
    store = Store()
    repo = store.create("dataset", "org/data")
    first = repo.branches["main"]
    good = [("file", {"path": "a.txt", "content": b"a"})]
    store.commit(repo, "main", good, title="one", message="", parent=first)
    with pytest.raises(Refused, match="A commit has happened since") as stale:
        store.commit(repo, "main", good, title="two", message="", parent=first)
    assert stale.value.status == 412
    with pytest.raises(Refused, match="BadDigest"):
        store.upload("0" * 64, b"x")
    with pytest.raises(Refused, match="no large file"):
        store.commit(repo, "main", [("lfsFile", {"path": "x", "oid": "0" * 64, "size": 1})], title="", message="")
    digest = hashlib.sha256(b"x").hexdigest()
    store.upload(digest, b"x")
    with pytest.raises(Refused, match="size 2, uploaded 1"):
        store.commit(repo, "main", [("lfsFile", {"path": "x", "oid": digest, "size": 2})], title="", message="")
    store.tag(repo, "main", "v1")
    with pytest.raises(Refused, match="Tag reference exists"):
        store.tag(repo, first, "v1")
    assert [seen.event for seen in repo.history] == ["create", "commit one", "tag v1"]
