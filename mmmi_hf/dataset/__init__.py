"""Datasets: configuration, generation, builder, card. The only room that joins causal models and bijections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.dataset.assembly import generate
    from mmmi_hf.dataset.certificate.folder_checks import check_folder
    from mmmi_hf.dataset.certification import Certificate, CertificateRefusedError, certify
    from mmmi_hf.dataset.generation.mmmi import MMMIBuilder
    from mmmi_hf.dataset.generation.rows import make_rows
    from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
    from mmmi_hf.dataset.releases.family import Family
    from mmmi_hf.dataset.releases.registry import get_configuration, get_family, list_configurations, list_families

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
    "make_rows",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
