"""A designed model as a configuration.

Owns which pipeline and class its modalities get, and what is said of it. Imports this room and causal/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality, has_no_classes
from mmmi_hf.dataset.releases.pipelines import DEFAULT_PIPELINE
from mmmi_hf.dataset.releases.registry import pipeline_shape

_CLASSES = 10


def designed(
    name: str,
    model: CausalModel,
    spec: Mapping[str, Any] | None,
    description: str,
    *,
    pipeline: str = DEFAULT_PIPELINE,
    rows: int = 10_000,
    seed: int = 0,
) -> MMMIConfig:
    """The configuration of a designed model.

    Args:
        name: of the configuration.
        model: the model. spec: its plain form, as a configuration's `causal_model`; None where it has none.
        description: a sentence for cards and lists.
        pipeline: of the modalities that have its shape, one class after another; others use the identity.
        rows, seed: the configuration's.

    Raises:
        ConfigurationError: a field that cannot be used, or no such pipeline.
    """
    shape = pipeline_shape(pipeline)
    return MMMIConfig(
        name=name,
        version="1.0.0",
        description=description,
        causal_model=model if spec is None else spec,
        modalities=tuple(
            Modality(pipeline)
            if has_no_classes(pipeline)
            else Modality(pipeline, index % _CLASSES)
            if of_modality == shape
            else Modality("identity")
            for index, of_modality in enumerate(model.shapes.values())
        ),
        rows=rows,
        seed=seed,
    )
