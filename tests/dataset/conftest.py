"""Small configurations on the identity bijection, so that the whole path runs in a moment."""

import pytest

from mmmi_hf.dataset.configuration import MMMIConfig, Modality


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


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """`datasets` caches by path; keep every test's cache to itself."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf-cache")
