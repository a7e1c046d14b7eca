"""The benchmark: estimators of mutual information, regression and self-supervised learning against a known truth.

Reads published datasets as any user does; may use causal/ for exact facts, never flow/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.benchmark.estimators.contract import (
        Estimate,
        Estimator,
        Measured,
        Pairs,
        derangement,
        list_estimators,
        make_estimator,
        register_estimator,
    )
    from mmmi_hf.benchmark.estimators.oracles import ExactPairs
    from mmmi_hf.benchmark.networks.training import Training

_MODULES = {
    "estimators.contract": (
        "Estimate",
        "Estimator",
        "Measured",
        "Pairs",
        "derangement",
        "list_estimators",
        "make_estimator",
        "register_estimator",
    ),
    "estimators.oracles": ("ExactPairs",),
    "networks.training": ("Training",),
}

__all__ = [
    "Estimate",
    "Estimator",
    "ExactPairs",
    "Measured",
    "Pairs",
    "Training",
    "derangement",
    "list_estimators",
    "make_estimator",
    "register_estimator",
]

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
