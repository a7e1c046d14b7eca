"""MIST-QR: a network that was trained on many laws reads the test rows as a set, and gives quantiles."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

_MOST_COLUMNS = 64  # of both blocks together: the network would leave out what is beyond
_REACH = 3.289707  # between the quantiles .05 and .95 of a normal law, in standard deviations


def estimate(parts: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """The median, and a standard error from the quantiles .05 and .95; nothing is learned here."""
    import mist_statinf  # type: ignore[import-not-found, unused-ignore]
    import torch

    torch.manual_seed(request["seed"])
    a, b = parts["test"]
    if a.shape[1] + b.shape[1] > _MOST_COLUMNS:
        columns = a.shape[1] + b.shape[1]
        return {"cannot_say": f"{columns} coordinates; the network reads at most {_MOST_COLUMNS}"}
    model = mist_statinf.MISTForHF.from_pretrained(request["settings"]["weights"]).eval()
    found = model.estimate_interval_qr(a, b, lower=0.05, upper=0.95)
    return {
        "value": found["median"],
        "standard_error": abs(found["upper"] - found["lower"]) / _REACH,
        "version": version("mist-statinf"),
    }
