"""The common-cause family with latents scaled by a constant instead of whitened."""

from __future__ import annotations

from mmmi_hf.dataset.releases.families.common_cause import COMMON_CAUSE_LEVELS
from mmmi_hf.dataset.releases.family import FASHION_MNIST, Family, Release, story


def family() -> Family:
    """The family."""
    return Family(
        "common-cause-rms",
        20,
        "the same with latents scaled by a constant, not whitened: the cause stays as loud as in the paper's data",
        "The common-cause family with latents scaled by a constant instead of whitened: the cause stays as loud as in "
        "the paper's data, outside of what the pipeline was trained on.",
        tuple(
            Release(
                f"common-cause-{level}-rms",
                f"As common-cause-{level}, with latents divided by their analytic root mean square and not whitened: "
                "the direction of the common cause keeps its large variance, as in the paper's data, and is easier to "
                "find.",
                FASHION_MNIST.seeds + 620 + index,
                story("common_cause", mi=level),
                FASHION_MNIST.modalities(),
                standardize="rms",
            )
            for index, level in enumerate(COMMON_CAUSE_LEVELS)
        ),
    )
