"""The benchmark: estimators of mutual information, regression and self-supervised learning against a known truth.

Reads published datasets as any user does; may use causal/ for exact facts, never flow/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.benchmark.estimator import Estimate, Estimator, Measured, register_estimator
    from mmmi_hf.benchmark.networks.training import Training
    from mmmi_hf.benchmark.pairs import ExactPairs, Pairs, derangement
    from mmmi_hf.benchmark.registry import list_estimators, make_estimator
    from mmmi_hf.benchmark.tiers.load import Benchmark, list_tiers, load_benchmark

__all__ = [
    "Benchmark",
    "Estimate",
    "Estimator",
    "ExactPairs",
    "Measured",
    "Pairs",
    "Training",
    "derangement",
    "list_estimators",
    "list_tiers",
    "load_benchmark",
    "make_estimator",
    "register_estimator",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
