"""The one tiny flow of all tests: a pipeline with random weights, another one at every call."""

import torch
from diffusers import UNet2DModel

from mmmi_hf.flow import FlowMatchingPipeline, FlowMatchODEScheduler


def tiny_flow(
    shape=(4, 4, 4), *, widths=(16, 32), classes=3, seed=0, patch_size=2, class_names=None, sound=None, **scheduler
):
    """A pipeline whose network sees `shape`, channels first; by default it makes 1×8×8 images of three classes.

    `scheduler`: num_inference_steps and solver.
    """
    torch.manual_seed(seed)
    channels, *sides = shape
    network = UNet2DModel(
        sample_size=tuple(sides) if sides[0] != sides[1] else sides[0],
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=widths[0] // 2,
        num_class_embeds=classes,
    ).eval()
    pipe = FlowMatchingPipeline(
        network, FlowMatchODEScheduler(**scheduler), patch_size=patch_size, class_names=class_names, sound=sound
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def smaller_flow(steps):
    """A smaller one yet: 1×8×8 images of two classes, in that many steps."""
    return tiny_flow((1, 8, 8), widths=(8,), classes=2, patch_size=1, num_inference_steps=steps)


def tiny_sounds(length=64, companding=None, **scheduler):
    """One that makes sounds of two classes: 64 samples, frames of 8 frequencies."""
    sound = {"bins": 8, "rate": 8000, "half_range": 4.0, "companding": companding}
    return tiny_flow((1, length // 8, 8), widths=(8, 16), classes=2, patch_size=1, sound=sound, **scheduler)
