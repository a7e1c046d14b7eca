"""The recipe of a network small enough for every test."""

import pytest

from mmmi_hf.flow.training.recipe import TrainingRecipe


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
