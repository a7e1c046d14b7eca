"""Recipes of runs of no time, and signals to run on."""

import datasets

from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler
from mmmi_hf.flow.training.recipe import SignalRecipe, TrainingRecipe, read_recipe


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


def tiny_signals(data, **changes):
    fields = vars(tiny(data)).copy()
    for name in ("image_column", "image_size", "channels", "fit", "horizontal_flips"):
        del fields[name]
    sound = {"signal_column": "signal", "rate": 8000, "length": 64, "gain": 0.5, "half_range": 4.0, "bins": 8}
    return SignalRecipe(**{**fields, **sound, **changes})


def signals_of(rows, names=("a", "b", "c"), dtype=None, **columns):
    """A `datasets.Dataset` of signals, labels in turn."""
    length = len(rows[0]) if len({len(row) for row in rows}) == 1 else -1
    value = datasets.Value(dtype or str(rows[0].dtype))
    features = {"signal": datasets.List(value, length=length), "label": datasets.ClassLabel(names=list(names))}
    content = {"signal": [row.tolist() for row in rows], "label": [i % len(names) for i in range(len(rows))]}
    return datasets.Dataset.from_dict({**content, **columns}, features=datasets.Features(features))


def untrained(recipe, folder):
    """The folder of a pipeline of a recipe's network, path and outputs."""
    made = read_recipe(recipe)
    scheduler = FlowMatchODEScheduler(sigma_min=made.sigma_min, timestep_scale=made.timestep_scale)
    FlowMatchingPipeline(
        made.network(10), scheduler, patch_size=made.patch_size, class_names=list("abcdefghij"), sound=made.sound
    ).save_pretrained(folder)
    return str(folder)
