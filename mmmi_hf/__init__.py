"""Multimodal datasets whose mutual information is known.

`import mmmi_hf` is lazy: a name is imported from its room when it is first used, so that the information algebra is
available without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmi_hf.causal import (
        CausalModel,
        InfiniteInformationError,
        Latents,
        common_cause,
        decaying_modalities,
        independent,
        template_ablation,
        templates,
        two_telescopes,
    )
    from mmmi_hf.dataset import (
        MMMIBuilder,
        MMMIConfig,
        Modality,
        generate,
        get_configuration,
        list_configurations,
    )
    from mmmi_hf.flow import Bijection, FlowMatchingPipeline, FlowMatchODEScheduler, IdentityBijection

__version__ = "0.1.0"

_ROOMS = {
    "mmmi_hf.causal": (
        "CausalModel",
        "InfiniteInformationError",
        "Latents",
        "common_cause",
        "decaying_modalities",
        "independent",
        "template_ablation",
        "templates",
        "two_telescopes",
    ),
    "mmmi_hf.flow": ("Bijection", "FlowMatchODEScheduler", "FlowMatchingPipeline", "IdentityBijection"),
    "mmmi_hf.dataset": (
        "MMMIBuilder",
        "MMMIConfig",
        "Modality",
        "generate",
        "get_configuration",
        "list_configurations",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Bijection",
    "CausalModel",
    "FlowMatchODEScheduler",
    "FlowMatchingPipeline",
    "IdentityBijection",
    "InfiniteInformationError",
    "Latents",
    "MMMIBuilder",
    "MMMIConfig",
    "Modality",
    "common_cause",
    "decaying_modalities",
    "generate",
    "get_configuration",
    "independent",
    "list_configurations",
    "template_ablation",
    "templates",
    "two_telescopes",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'mmmi_hf' has no attribute {name!r}")
    return getattr(importlib.import_module(_ROOM_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
