"""Small configurations on the identity bijection, so that the whole path runs in a moment."""

import shutil

import pytest

from mmmi_hf.dataset.format import parquet
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.generation import shards
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from tests.dataset.certificate.forgeries import SMALL
from tests.support import generate, tree


def small():
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
def small_config():
    """A test's own configuration of `small`, which it may change."""
    return small()


def make_many_files(patch):
    patch.setattr(parquet, "ROW_GROUP_BYTES", 20_000)
    patch.setattr(shards, "SMALLEST_BYTES", 40_000)


@pytest.fixture
def many_files(monkeypatch):
    """A few rows are several files of several row groups."""
    make_many_files(monkeypatch)


@pytest.fixture(scope="session")
def made_whole(tmp_path_factory):
    """A folder of `small` in many files, made by one call, to be left as it is, and the digests of its files."""
    with pytest.MonkeyPatch.context() as patch:
        make_many_files(patch)
        folder = generate(small(), tmp_path_factory.mktemp("made") / "whole").folder
    return folder, tree(folder)


@pytest.fixture
def whole(many_files, made_whole, tmp_path):
    """Name → digest of the files of `small_config`, made by one call; a copy of them is `tmp_path / "whole"`."""
    folder, digests = made_whole
    shutil.copytree(folder, tmp_path / "whole")
    return digests


@pytest.fixture(scope="session")
def bucket():
    """The address of a bucket of an S3 server on this machine."""
    from tests.dataset.stores.loopback_s3 import running

    with running() as address:
        yield address


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
