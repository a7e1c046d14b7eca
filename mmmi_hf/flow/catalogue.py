"""Bijections by name: the element-wise maps, found by listing their folder, and flow-matching pipelines.

Owns what a name means. Imports the bijections, and torch only once one is loaded.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from mmmi_hf.common.failures import in_one_line
from mmmi_hf.common.places import is_repository, place
from mmmi_hf.flow import description, elementwise
from mmmi_hf.flow.bundled import bundled_pipelines, unknown
from mmmi_hf.flow.computing.layouts import ImageLayout
from mmmi_hf.flow.elementwise._base import ElementwiseBijection

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from mmmi_hf.flow.bijection import Bijection, View


@cache
def elementwise_bijections() -> dict[str, type[ElementwiseBijection]]:
    """Name → class of every element-wise bijection, sorted by name: one in each file of the folder.

    Raises:
        TypeError: a file without a bijection of its own, or two of one name.
    """
    found: dict[str, type[ElementwiseBijection]] = {}
    for module in pkgutil.iter_modules(elementwise.__path__):
        if module.name.startswith("_"):
            continue
        path = f"{elementwise.__name__}.{module.name}"
        kinds = [
            kind
            for kind in vars(importlib.import_module(path)).values()
            if isinstance(kind, type) and issubclass(kind, ElementwiseBijection) and kind.__module__ == path
        ]
        if len(kinds) != 1 or kinds[0].name in found:
            raise TypeError(f"{path} must define one element-wise bijection with a name of its own, got {kinds}")
        found[kinds[0].name] = kinds[0]
    return dict(sorted(found.items()))


def view_of(name: str, latent_shape: Sequence[int]) -> View:
    """What the output of a bijection is, told without loading it, and without a download.

    Of a pipeline that is not here, what one of that shape would be: an image.
    """
    formulae = elementwise_bijections()
    if name in formulae:
        return formulae[name](latent_shape).view
    if name in bundled_pipelines() or place(name, "pipeline").is_dir():
        return description.described(name).view
    return ImageLayout(1).view(tuple(latent_shape))


def load_bijection(
    name: str | os.PathLike[str], latent_shape: Sequence[int], *, device: str | torch.device | None = None
) -> Bijection:
    """The bijection of a name, for latents of a shape.

    Args:
        name: an element-wise bijection ("identity", "asinh", "normal-cdf", "half-cube"), or a pipeline: a bundled
            name, a folder, or the owner/name of a Hub repository.
        latent_shape: shape of one latent.
        device: where a pipeline is put; by default it stays on the CPU. Bijections without weights act wherever their
            input is.

    Raises:
        ValueError: an unknown name, a repository that cannot be had, a pipeline that makes another shape, or a device
            that cannot be used here, whatever the bijection.
    """
    name = os.fspath(name)
    if device is not None:
        from mmmi_hf.flow.devices import check_device

        check_device(device)
    formulae = elementwise_bijections()
    if name in formulae:
        return formulae[name](latent_shape)
    known = [*formulae, *bundled_pipelines()]
    if not (name in bundled_pipelines() or place(name, "pipeline").is_dir() or is_repository(name)):
        raise ValueError(unknown(name, known))
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline

    try:
        pipeline = FlowMatchingPipeline.from_pretrained(name)
    except OSError as error:
        reason = in_one_line(error)
        raise ValueError(
            f"pipeline {name!r} cannot be loaded ({reason}); available offline: {', '.join(known)}"
        ) from error
    if pipeline.latent_shape != tuple(latent_shape):
        raise ValueError(
            f"latent_shape must be {pipeline.latent_shape}: {name!r} makes {pipeline.latent_shape}, "
            f"got {tuple(latent_shape)}; give latents of that shape or another pipeline"
        )
    pipeline.unet.eval().requires_grad_(False)
    pipeline.set_progress_bar_config(disable=True)
    loaded: Bijection = pipeline if device is None else pipeline.to(device)
    return loaded
