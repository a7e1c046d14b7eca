"""Datasets: configuration, generation, builder, card. The only room that joins causal models and bijections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.dataset.certificate import Certificate, CertificateRefusedError, certify
    from mmmi_hf.dataset.checks import check_folder
    from mmmi_hf.dataset.configuration import MMMIConfig, Modality
    from mmmi_hf.dataset.families import Family
    from mmmi_hf.dataset.generation import generate
    from mmmi_hf.dataset.mmmi import MMMIBuilder
    from mmmi_hf.dataset.registry import get_configuration, get_family, list_configurations, list_families

_MODULES = {
    "certificate": ("Certificate", "CertificateRefusedError", "certify"),
    "checks": ("check_folder",),
    "configuration": ("MMMIConfig", "Modality"),
    "families": ("Family",),
    "generation": ("generate",),
    "mmmi": ("MMMIBuilder",),
    "registry": ("get_configuration", "get_family", "list_configurations", "list_families"),
}

__all__ = [
    "Certificate",
    "CertificateRefusedError",
    "Family",
    "MMMIBuilder",
    "MMMIConfig",
    "Modality",
    "certify",
    "check_folder",
    "generate",
    "get_configuration",
    "get_family",
    "list_configurations",
    "list_families",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
