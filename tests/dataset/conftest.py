"""Small configurations on the identity bijection and a small network, so that the whole path runs in a moment."""

import shutil

import pytest
import torch
from diffusers import UNet2DModel

from mmmi_hf.dataset.assembly import generate
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.flow import FlowMatchingPipeline, FlowMatchODEScheduler
from tests.dataset.certificate.forgeries import SMALL


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


@pytest.fixture(scope="session")
def small_pipeline():
    """Number of steps → a pipeline of 1×8×8 images with two classes and random weights, another one each time."""

    def make(steps):
        torch.manual_seed(0)
        unet = UNet2DModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(8,),
            down_block_types=("DownBlock2D",),
            up_block_types=("UpBlock2D",),
            layers_per_block=1,
            norm_num_groups=4,
            num_class_embeds=2,
        )
        pipeline = FlowMatchingPipeline(unet, FlowMatchODEScheduler(num_inference_steps=steps))
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return make


@pytest.fixture(scope="session")
def honest(tmp_path_factory):
    """A certified folder of `forgeries.SMALL`, to be left as it is."""
    folder = tmp_path_factory.mktemp("honest") / "out"
    generate(SMALL, folder, progress=False)
    return folder


@pytest.fixture
def place(honest, tmp_path):
    """A copy of it, to be changed."""
    return DatasetFolder(shutil.copytree(honest, tmp_path / "copy"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """`datasets` caches by path; keep every test's cache to itself."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "hf-cache")
