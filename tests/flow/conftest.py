"""A pipeline small enough for every test: 1×8×8, three classes, random weights."""

import pytest
import torch
from diffusers import UNet2DModel

from mmmi_hf.flow import FlowMatchingPipeline, FlowMatchODEScheduler
from mmmi_hf.flow.training.recipe import TrainingRecipe


@pytest.fixture(scope="session")
def tiny_pipeline():
    """Shared by the whole session: do not change it (convert or move a copy)."""
    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=4,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        num_class_embeds=3,
    ).eval()
    names = ["shirt", "shoe", "bag"]
    pipe = FlowMatchingPipeline(network, FlowMatchODEScheduler(num_inference_steps=4), patch_size=2, class_names=names)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def small_recipe():
    """The recipe of a network for 1×8×8 images that evaluates in no time."""
    return TrainingRecipe(
        "none",
        image_size=8,
        block_out_channels=(8, 8),
        attention=(False, False),
        norm_num_groups=4,
        attention_head_dim=4,
    )
