"""The recipe of a run of no time."""

from mmmi_hf.flow.training.recipe import TrainingRecipe


def tiny(data, **changes):
    fields = {
        "dataset": data,
        "image_size": 8,
        "block_out_channels": (8, 8),
        "attention": (False, False),
        "norm_num_groups": 4,
        "attention_head_dim": 4,
        "steps": 6,
        "batch_size": 8,
        "checkpoint_every": 2,
        "sample_every": 6,
        "mixed_precision": "no",
    }
    return TrainingRecipe(**{**fields, **changes})
