"""Recovered latents of the sampled rows against what is declared and stored: what an honest row may be off.

Owns the tolerances and the sentences. Runs no bijection and reads no files.
"""

from __future__ import annotations

import numpy as np

from mmmi_hf.causal import Latents, NotExactError
from mmmi_hf.dataset.certificate.bounds import relative_errors
from mmmi_hf.dataset.certificate.sampled_rows import StoredRows
from mmmi_hf.dataset.format.schema import latent_column
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.flow.bijection import ROUND_TRIP

TOLERANCE = dict.fromkeys(("float32", "float64"), ROUND_TRIP["float32"])
"""Largest ‖ẑ − z‖ / ‖z‖ of an honest row, made and stored in float32, by the precision of the inverse."""
TOLERANCE_OF_PMI = 0.01
"""Largest difference of a stored pointwise information from that of the recovered row, over 1 + its spread, for latents
that came back exactly."""
SENSITIVE_TO = 25.0
"""How many tolerances a canonical variable of a row may be off, in its own standard deviation: five along the direction
in which an inverse errs most, seen from a row five standard deviations off."""


def round_trip_reasons(name: str, kind: str, errors: np.ndarray, rows: list[int]) -> list[str]:
    """Sampled rows of a float column whose recovered latents are not those of (seed, row)."""
    wrong = ~(errors <= TOLERANCE[kind])
    if not wrong.any():
        return []
    failed = int(np.isnan(errors).sum())
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    what = "cannot be inverted" if np.isnan(errors[worst]) else f"is off by {errors[worst]:.2g}"
    return [
        f"{name}: {int(wrong.sum())} of {len(rows)} sampled rows are not the images of their latents ({kind}, tolerance"
        f" {TOLERANCE[kind]:g}; row {rows[worst]} {what}; {failed} cannot be inverted)"
    ]


def pmi_reasons(config: MMMIConfig, stored: StoredRows, recovered: dict[str, np.ndarray]) -> list[str]:
    """Whether the stored pointwise information is that of the stored images and y.

    An error of a canonical variable moves the pointwise information by ρ/√(1 − ρ²) times as much, at one standard
    deviation of the other variable given it: e^I for large I, which is what float32 latents cannot tell apart.
    """
    model, reasons = config.model, []
    latents = Latents(recovered, stored.y, config.standardize)
    for column, values in stored.pmi.items():
        a, b = column.removeprefix("pmi_").split("_")
        again = model.pointwise_mutual_information(latents, a, b)
        try:
            spread = float(np.sqrt(model.pointwise_variance(a, b)))
        except NotExactError:
            spread = float(np.std(again))
        allowed = TOLERANCE_OF_PMI * (1.0 + spread)
        allowed += SENSITIVE_TO * TOLERANCE["float32"] * model.sharpness(a, b)
        wrong = ~(np.abs(values - again) <= allowed)
        if wrong.any():
            at = int(np.argmax(wrong))
            reasons.append(
                f"row {stored.rows[at]}: {column} is {values[at]:.4f}, of the recovered latents {again[at]:.4f} "
                f"({int(wrong.sum())} of {len(wrong)} sampled rows)"
            )
    return reasons


def latent_reasons(stored: StoredRows, recovered: dict[str, np.ndarray]) -> list[str]:
    """Whether latents that are stored are those of the stored images; with the seed all rows were compared."""
    reasons = []
    for name, latents in stored.latents.items():
        wrong = ~(relative_errors(np.nan_to_num(recovered[name]), latents) <= TOLERANCE["float32"])
        if wrong.any():
            reasons.append(
                f"row {stored.rows[int(np.argmax(wrong))]}: {latent_column(name)} is not the latent of {name} "
                f"({int(wrong.sum())} of {len(wrong)} sampled rows)"
            )
    return reasons
