"""What `load` takes besides names: defaults, splits, caches; and how what it returns shows itself."""

import copy as copying
import os
import shutil

import datasets
import pytest

from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.loading.load import load


def test_the_only_configuration_and_the_default_one(two, three, tmp_path):
    assert load(three, progress=False).config == "c"
    copy = shutil.copytree(two, tmp_path / "copy")
    card = (copy / "README.md").read_text()
    default = datasets.load_dataset_builder(str(two)).config.name if "default: true" in card else None
    if default is not None:
        assert load(copy, progress=False).config == default
    (copy / "README.md").write_text("---\nconfigs: 5\n---\n")
    with pytest.raises(HubRequestError, match="config: there are 2 and no default; name one of a, b"):
        load(copy, progress=False)
    (copy / "README.md").write_text("---\nconfigs:\n- config_name: b\n  default: true\n---\n")
    assert load(copy, progress=False).config == "b"


@pytest.mark.parametrize("streaming", [False, True])
def test_splits(two, streaming):
    found = load(two, "a", split=datasets.Split.TRAIN, streaming=streaming, progress=False)
    assert found.splits == ("train",)
    for wanted in ("train[:10]", "train[:10%]", "train+test"):
        with pytest.raises(HubRequestError, match=r"slices such as .* are not taken; load one of train, validation"):
            load(two, "a", split=wanted, streaming=streaming, progress=False)


def test_it_is_shown_in_one_short_line(two):
    found = load(two, "a", progress=False)
    shown = repr(found)
    assert len(shown) < 200
    assert "\n" not in shown
    assert "a 1.0.0 from a folder: train 48, validation 6, test 6 rows" in shown
    assert "files verified" in shown
    info = found.dataset["train"].info
    assert (info.license, info.homepage) == ("apache-2.0", "https://arxiv.org/abs/2510.21686")
    assert "2510.21686" in info.citation
    assert next(iter(found.ground_truth)) in repr(found.ground_truth)


def test_a_quantity_that_is_not_stated(two):
    truth = load(two, "a", progress=False).ground_truth
    assert truth["I(x1;y)"].value == pytest.approx(1.0)
    assert "I(x9;y)" not in truth
    assert truth.get("I(x9;y)") is None
    with pytest.raises(KeyError) as missing:
        truth["I(x9;y)"]
    assert "no quantity 'I(x9;y)'" in str(missing.value)
    assert "I(x1;y)" in str(missing.value)
    with pytest.raises(KeyError, match="no quantity"):
        truth[7]
    assert dict(copying.deepcopy(truth)) == dict(truth)


def test_the_cache_is_where_it_is_asked_for_and_follows_the_umask(two, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "home")
    old = os.umask(0o022)
    try:
        load(two, "a", cache_dir=tmp_path / "mine", progress=False)
    finally:
        os.umask(old)
    assert not (tmp_path / "home").exists()
    made = [path for path in (tmp_path / "mine").rglob("*") if path.is_file()]
    assert made
    assert {path.stat().st_mode & 0o777 for path in made} == {0o644}


def test_a_home_folder(two, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ds").symlink_to(two)
    assert load("~/ds", "a", split="test", progress=False).splits == ("test",)
    assert load("~/ds", "a", split="test", streaming=True, progress=False).splits == ("test",)
