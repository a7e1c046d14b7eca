"""latentmi: representations by cross-predicting autoencoders, the test rows' of which go back."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

_LEAST_COLUMNS = 8  # its hidden layers are a fraction of the columns: narrow blocks are tiled


def estimate(parts: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Learn on training rows, stop by validation rows, and encode the test rows."""
    import torch
    from latentmi import lmi  # type: ignore[import-not-found, unused-ignore]

    torch.manual_seed(request["seed"])
    scaled = {split: [_scaled(rows, parts["train"][k]) for k, rows in enumerate(parts[split])] for split in parts}
    sides = [np.concatenate([scaled[split][k] for split in ("train", "validation")]) for k in (0, 1)]
    rows = np.arange(len(sides[0]))
    count = len(scaled["train"][0])
    *_, model = lmi.learn_representation(
        *(torch.from_numpy(side).float() for side in sides),
        rows[:count],
        rows[count:],
        N_dims=request["settings"]["dimensions"],
        epochs=request["settings"]["epochs"],
    )
    with torch.no_grad():
        learned, seen = (
            [part.double().numpy() for part in model.encode(*(torch.from_numpy(s).float() for s in scaled[split]))]
            for split in ("train", "test")
        )
    outputs = [_standardised(rows, train).tolist() for rows, train in zip(seen, learned, strict=True)]
    return {"representations": outputs, "version": version("latentmi")}


def _standardised(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    deviation = train.std(axis=0)
    return np.asarray((rows - train.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))


def _scaled(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    scaled = _standardised(rows, train)
    return np.asarray(np.tile(scaled, (1, -(-_LEAST_COLUMNS // scaled.shape[1]))))
