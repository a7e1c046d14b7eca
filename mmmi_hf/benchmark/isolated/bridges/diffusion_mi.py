"""diffusion-mi: one of its estimators by name, trained with its own defaults."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any


def estimate(parts: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Learn on training rows, look at validation rows, and read the test rows."""
    import dmi  # type: ignore[import-not-found, unused-ignore]
    import torch

    torch.manual_seed(request["seed"])
    settings = request["settings"]
    kind = getattr(dmi.estimators, f"{settings['method'].upper()}Estimator")
    estimator = kind(max_n_steps=settings["steps"])
    (a, b), held, (seen_a, seen_b) = (parts[split] for split in ("train", "validation", "test"))
    estimator.fit(a, b, *held)
    return {
        "value": float(estimator.estimate(seen_a, seen_b)),
        "standard_error": None,
        "version": version("diffusion-mi"),
    }
