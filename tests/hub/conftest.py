"""The loopback Hub, a client's home, and a small dataset folder of two configurations."""

import pytest
from loopback import LoopbackHub

from mmmi_hf.dataset.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.generation import generate

TOKEN = "hf_thistokenmustnevershowup"


@pytest.fixture
def hub():
    with LoopbackHub(token=TOKEN) as running:
        yield running
        assert not running.unknown


def configuration(name, *, seed=11, mi=1.0, rows=60, version="1.0.0", **fields):
    """Two 1×6×6 images through the identity."""
    return MMMIConfig(
        name=name,
        version=version,
        description=f"The test configuration {name}.",
        causal_model={"story": "common_cause", "shape": [1, 6, 6], "mi": mi},
        modalities=(Modality("identity"), Modality("identity")),
        rows=rows,
        seed=seed,
        **fields,
    )


def make(folder, *configs):
    """Generate configurations into a folder."""
    for config in configs:
        generate(config, folder, progress=False)
    return folder


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """A dataset folder with the configurations a and b. Shared: copy it before changing anything."""
    return make(tmp_path_factory.mktemp("two") / "data", configuration("a"), configuration("b", seed=12, mi=0.5))
