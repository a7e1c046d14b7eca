"""Multimodal datasets whose mutual information is known.

What is known: `CausalModel` and the stories that make one (`common_cause`, `two_telescopes`, …), or `design` from
wanted values. Rows: `list_configurations`, `get_configuration`, `generate`, `make_rows`. Images:
`FlowMatchingPipeline`. The check: `certify`. The Hub: `publish`, `load`. Estimators are in `mmmi_hf.benchmark`,
drawings in `mmmi_hf.figures`, contracts for parts of one's own in `mmmi_hf.testing`. All information is in nats.

`import mmmi_hf` is lazy: a name is imported from its room when it is first used, so that the information algebra is
available without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.benchmark import load_benchmark
    from mmmi_hf.causal import (
        CausalModel,
        InfiniteInformationError,
        Latents,
        categorical_cause,
        common_cause,
        decaying_modalities,
        design,
        independent,
        shifts,
        template_ablation,
        templates,
        two_telescopes,
    )
    from mmmi_hf.dataset import (
        Certificate,
        Family,
        MMMIBuilder,
        MMMIConfig,
        Modality,
        certify,
        check_folder,
        generate,
        get_configuration,
        get_family,
        list_configurations,
        list_families,
        make_rows,
        merge,
    )
    from mmmi_hf.flow import Bijection, FlowMatchingPipeline, FlowMatchODEScheduler, IdentityBijection
    from mmmi_hf.hub import Loaded, Published, load, publish

__version__ = "0.2.0"

__all__ = [
    "Bijection",
    "CausalModel",
    "Certificate",
    "Family",
    "FlowMatchODEScheduler",
    "FlowMatchingPipeline",
    "IdentityBijection",
    "InfiniteInformationError",
    "Latents",
    "Loaded",
    "MMMIBuilder",
    "MMMIConfig",
    "Modality",
    "Published",
    "categorical_cause",
    "certify",
    "check_folder",
    "common_cause",
    "decaying_modalities",
    "design",
    "generate",
    "get_configuration",
    "get_family",
    "independent",
    "list_configurations",
    "list_families",
    "load",
    "load_benchmark",
    "make_rows",
    "merge",
    "publish",
    "shifts",
    "template_ablation",
    "templates",
    "two_telescopes",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
