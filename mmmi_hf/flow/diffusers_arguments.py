"""What of diffusers' usual arguments a flow-matching pipeline does not take, and why; pictures for looking.

Owns the reasons, one line each. Imports torch and Pillow where pictures are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from mmmi_hf.flow.bijection import View

_STEPS = (
    "the steps are the map; make another pipeline with FlowMatchODEScheduler.from_config(pipe.scheduler.config, "
    "num_inference_steps=…)"
)
_GUIDANCE = "there is no guidance: networks have no label for 'no class'"
_CALLBACK = "nothing may change a sample between two steps, or the map is another one; see pipe.scheduler.step"
_PLACE = "load it, then move it with .to(device)"

# argument → (the value that asks for nothing, why no other is taken)
CALL: Mapping[str, tuple[Any, str]] = {
    "return_dict": (True, "the result has one form, .images"),
    "num_inference_steps": (None, _STEPS),
    "timesteps": (None, _STEPS),
    "sigmas": (None, _STEPS),
    "guidance_scale": (None, _GUIDANCE),
    "negative_prompt": (None, _GUIDANCE),
    "prompt": (None, "classes are numbers; give class_labels"),
    "eta": (None, "the steps are not random"),
    "callback": (None, _CALLBACK),
    "callback_steps": (None, _CALLBACK),
    "callback_on_step_end": (None, _CALLBACK),
    "callback_on_step_end_tensor_inputs": (None, _CALLBACK),
    "num_images_per_prompt": (None, "give num_images"),
}
LOAD: Mapping[str, tuple[Any, str]] = {
    "variant": (None, "a pipeline has one set of weights; convert it with dtype"),
    "device_map": (None, _PLACE),
    "max_memory": (None, _PLACE),
    "use_safetensors": (True, "weights are loaded from safetensors only"),
    "custom_pipeline": (None, "no code of a repository is run"),
    "trust_remote_code": (False, "no code of a repository is run"),
    "unet": (None, "make a pipeline of parts with FlowMatchingPipeline(unet, scheduler, patch_size)"),
    "scheduler": (None, "make a pipeline of parts with FlowMatchingPipeline(unet, scheduler, patch_size)"),
    "low_cpu_mem_usage": (True, "it is always on"),
}
SAVE: Mapping[str, tuple[Any, str]] = {
    "variant": (None, "it could not be loaded again; to store half precision, convert with .to(torch.float16) first"),
    "use_flashpack": (False, "weights are saved as safetensors only"),
}


def refuse(given: Mapping[str, Any], reasons: Mapping[str, tuple[Any, str]]) -> None:
    """Refuse what is given, unless it asks for nothing.

    Raises:
        ValueError: an argument of diffusers that is not taken; says why.
        TypeError: an argument that is nobody's.
    """
    for name, value in given.items():
        if name not in reasons:
            raise TypeError(f"{name} is no argument of a flow-matching pipeline; see its help()")
        neutral, reason = reasons[name]
        if value is not neutral:
            raise ValueError(f"{name} must be {neutral!r}, got {value!r}: {reason}")


def pil_images(images: torch.Tensor, view: View) -> list[Image]:
    """Pictures of images (n, channels, height, width): what the view shows, in 8 bits, the rest clamped.

    Raises:
        ValueError: images that are neither grey nor RGB.
    """
    import torch
    from PIL import Image as pillow

    if view.kind != "image":
        raise ValueError(f"output_type must be 'pt': images of {images.shape[1]} channels are neither grey nor RGB")
    scaled = ((images.double() / view.half_range + 1) * 127.5).round().clamp(0, 255)
    pixels = scaled.to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
    return [pillow.fromarray(one[..., 0] if one.shape[-1] == 1 else one) for one in pixels]
