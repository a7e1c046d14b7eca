"""A dataset of a few images, to train on, and runs whose sheets cost little."""

import datasets
import numpy as np
import pytest
from PIL import Image

from mmmi_hf.flow.training import trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A dataset folder of 24 grey 6×6 images with three classes."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (6, 6), dtype=np.uint8)) for _ in range(24)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    table = datasets.Dataset.from_dict({"image": images, "label": [i % 3 for i in range(24)]}, features=features)
    table.to_parquet(folder / "train.parquet")
    return str(folder)


@pytest.fixture(scope="module")
def few_samples():
    """Sheets of one sample per class: what a tiny run takes longest for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "SAMPLES_PER_CLASS", 1)
        yield
