"""The bijections between latents and images: a flow-matching pipeline, the identity, element-wise maps.

Uses torch and diffusers; knows nothing of causal models or datasets. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection, BijectionOutput, IdentityBijection, load_bijection
    from mmmi_hf.flow.bundled import bundled_pipelines
    from mmmi_hf.flow.diagnostics import RoundTripReport, StepCertificate, round_trip, step_certificate
    from mmmi_hf.flow.elementwise import AsinhBijection, HalfCubeBijection, NormalCdfBijection
    from mmmi_hf.flow.pipeline import FlowMatchingOutput, FlowMatchingPipeline
    from mmmi_hf.flow.scheduler import FlowMatchODEScheduler, InversionError

_MODULES = {
    "bijection": ("Bijection", "BijectionOutput", "IdentityBijection", "load_bijection"),
    "bundled": ("bundled_pipelines",),
    "diagnostics": ("RoundTripReport", "StepCertificate", "round_trip", "step_certificate"),
    "elementwise": ("AsinhBijection", "HalfCubeBijection", "NormalCdfBijection"),
    "pipeline": ("FlowMatchingOutput", "FlowMatchingPipeline"),
    "scheduler": ("FlowMatchODEScheduler", "InversionError"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AsinhBijection",
    "Bijection",
    "BijectionOutput",
    "FlowMatchODEScheduler",
    "FlowMatchingOutput",
    "FlowMatchingPipeline",
    "HalfCubeBijection",
    "IdentityBijection",
    "InversionError",
    "NormalCdfBijection",
    "RoundTripReport",
    "StepCertificate",
    "bundled_pipelines",
    "load_bijection",
    "round_trip",
    "step_certificate",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mmmi_hf.flow' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mmmi_hf.flow.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
