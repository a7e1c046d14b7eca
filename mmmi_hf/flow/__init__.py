"""The bijections between latents and images: a flow-matching pipeline, the identity, element-wise maps.

Uses torch and diffusers; knows nothing of causal models or datasets. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.flow.bijection import Bijection, BijectionOutput, InversionError, NotFiniteError, View
    from mmmi_hf.flow.bundled import bundled_pipelines
    from mmmi_hf.flow.catalogue import elementwise_bijections, load_bijection
    from mmmi_hf.flow.diagnostics import RoundTripReport, StepCertificate, round_trip, step_certificate
    from mmmi_hf.flow.elementwise.asinh import AsinhBijection
    from mmmi_hf.flow.elementwise.half_cube import HalfCubeBijection
    from mmmi_hf.flow.elementwise.identity import IdentityBijection
    from mmmi_hf.flow.elementwise.normal_cdf import NormalCdfBijection
    from mmmi_hf.flow.pipeline import FlowMatchingOutput, FlowMatchingPipeline
    from mmmi_hf.flow.scheduler import FlowMatchODEScheduler

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
    "NotFiniteError",
    "RoundTripReport",
    "StepCertificate",
    "View",
    "bundled_pipelines",
    "elementwise_bijections",
    "load_bijection",
    "round_trip",
    "step_certificate",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
