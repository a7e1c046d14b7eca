"""Small configurations on the identity bijection, so that the whole path runs in a moment."""

import shutil

import pytest

from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.generation import shards
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from tests.dataset.certificate.forgeries import SMALL
from tests.support import generate, tree


@pytest.fixture
def small_config():
    """Two 1×8×8 images with I(x1;y) = 1 nat through the identity, 150 rows."""
    return MMMIConfig(
        name="small",
        version="1.0.0",
        description="A small test configuration.",
        causal_model={"story": "common_cause", "shape": [1, 8, 8], "mi": 1.0},
        modalities=(Modality("identity"), Modality("identity")),
        rows=150,
        seed=11,
    )


@pytest.fixture
def many_files(monkeypatch):
    """A few rows are several files of several row groups."""
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", 20_000)
    monkeypatch.setattr(shards, "SMALLEST_BYTES", 40_000)


@pytest.fixture
def whole(many_files, small_config, tmp_path):
    """Name → digest of the files of `small_config`, made by one call."""
    return tree(generate(small_config, tmp_path / "whole").folder)


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """A certified folder of `forgeries.SMALL`, to be left as it is."""
    folder = tmp_path_factory.mktemp("honest") / "out"
    generate(SMALL, folder)
    return folder


@pytest.fixture
def place(honest, tmp_path):
    """A copy of it, to be changed."""
    return DatasetFolder(shutil.copytree(honest, tmp_path / "copy"))
