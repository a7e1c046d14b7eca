"""Datasets: configuration, generation, builder, card. The only room that joins causal models and bijections."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmi_hf.dataset.configuration import MMMIConfig, Modality
    from mmmi_hf.dataset.generation import generate
    from mmmi_hf.dataset.mmmi import MMMIBuilder
    from mmmi_hf.dataset.registry import get_configuration, list_configurations

_MODULE_OF = {
    "MMMIConfig": "configuration",
    "Modality": "configuration",
    "generate": "generation",
    "MMMIBuilder": "mmmi",
    "get_configuration": "registry",
    "list_configurations": "registry",
}

__all__ = ["MMMIBuilder", "MMMIConfig", "Modality", "generate", "get_configuration", "list_configurations"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mmmi_hf.dataset' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mmmi_hf.dataset.{_MODULE_OF[name]}"), name)
