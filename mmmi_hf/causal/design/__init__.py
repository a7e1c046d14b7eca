"""Inverse design: causal models with wanted information."""

from __future__ import annotations

from mmmi_hf.causal.closed_forms import (
    induced_pair_information,
    signal_for_pair_information,
    weight_for_target_information,
)
from mmmi_hf.causal.design.made_targets import for_target
from mmmi_hf.causal.design.results import Design
from mmmi_hf.causal.design.roots import solve
from mmmi_hf.causal.design.values import for_matrix, for_values, orthonormal_templates

__all__ = [
    "Design",
    "for_matrix",
    "for_target",
    "for_values",
    "induced_pair_information",
    "orthonormal_templates",
    "signal_for_pair_information",
    "solve",
    "weight_for_target_information",
]
