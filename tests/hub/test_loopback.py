"""The loopback Hub against the stock clients: push_to_hub, snapshot_download, load_dataset, and what it refuses."""

import hashlib

import pytest
from clients import environment, run
from conftest import TOKEN
from loopback_store import Refused

STOCK = """
import json, sys
import numpy as np
from datasets import Dataset, DatasetDict, load_dataset
from huggingface_hub import HfApi, snapshot_download
data = {"x": np.arange(6, dtype=np.float64).tolist(), "name": list("abcdef")}
DatasetDict({"train": Dataset.from_dict(data)}).push_to_hub("org/stock", config_name="one")
Dataset.from_dict(data).push_to_hub("org/stock", config_name="two", split="test")
api = HfApi()
api.create_tag("org/stock", tag="v1", repo_type="dataset")
folder = snapshot_download("org/stock", repo_type="dataset", revision="v1")
loaded = load_dataset("org/stock", "one", split="train", revision="v1")
streamed = list(load_dataset("org/stock", "two", split="test", streaming=True))
tags = [tag.name for tag in api.list_repo_refs("org/stock", repo_type="dataset").tags]
print(json.dumps([loaded["x"][:], streamed[0], tags, sorted(p.name for p in __import__("pathlib").Path(folder).iterdir())]))
"""


def test_stock_clients_pass(hub, tmp_path):
    loaded, streamed, tags, files = run(STOCK, env=environment(hub, tmp_path, token=TOKEN))
    assert loaded == [0, 1, 2, 3, 4, 5]
    assert streamed == {"x": 0, "name": "a"}
    assert tags == ["v1"]
    assert "README.md" in files


def test_what_it_refuses(hub):
    store = hub.store
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
