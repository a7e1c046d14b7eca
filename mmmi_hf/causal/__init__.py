"""Causal models with exactly known information. NumPy and SciPy only; knows no images, files or data sets."""

from __future__ import annotations

from mmmi_hf.causal import design, shifts, templates
from mmmi_hf.causal.errors import (
    BeyondFloat64Error,
    InfeasibleError,
    InfiniteInformationError,
    InvalidModelError,
    InvalidQueryError,
    NotExactError,
)
from mmmi_hf.causal.information import PartialInformation
from mmmi_hf.causal.latents import Latents
from mmmi_hf.causal.model import CausalModel
from mmmi_hf.causal.stories import (
    categorical_cause,
    common_cause,
    decaying_modalities,
    independent,
    template_ablation,
    two_telescopes,
)

__all__ = [
    "BeyondFloat64Error",
    "CausalModel",
    "InfeasibleError",
    "InfiniteInformationError",
    "InvalidModelError",
    "InvalidQueryError",
    "Latents",
    "NotExactError",
    "PartialInformation",
    "categorical_cause",
    "common_cause",
    "decaying_modalities",
    "design",
    "independent",
    "shifts",
    "template_ablation",
    "templates",
    "two_telescopes",
]
