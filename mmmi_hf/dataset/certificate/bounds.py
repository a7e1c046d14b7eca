"""From recovered latents to the figures of a certificate: errors of the round trip, lower bounds, and their shares of
the error probability.

Owns which bounds are tried for which quantity and how the confidence is divided. Uses the statistics of causal/; runs
no bijection and reads no files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mmmi_hf.causal import CausalModel, Latents
from mmmi_hf.causal.queries import TARGET
from mmmi_hf.causal.statistics.bounds import (
    correlation_bound,
    paired_bound,
    pointwise_bound,
    pointwise_pair_bound,
    product_bound,
    residual_bound,
    submodular_bound,
)
from mmmi_hf.causal.statistics.shares import why_without
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, RoundTrip

FEWEST_ROWS = 32
MOST_NATS_OF_PRODUCT = 6.0
"""Above this the Donsker–Varadhan bound is not tried: its critic has a variance of e^{2I}."""
MOST_NATS_OF_CORRELATION = 15.0
"""Above this the correlation of the decoded target is not tried: 1 - r^2 = e^{-2I} nears the rounding of float64."""

_NUMBERS_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Plan:
    """Which quantities get bounds, and the error probability of each single bound.

    Attributes:
        targets: quantity → its modalities, for I(…;y).
        pairs: quantity → two modalities.
        error: of every single bound, so that all of them hold together with the stated confidence.
        looks: number of single bounds.
    """

    targets: dict[str, tuple[str, ...]]
    pairs: dict[str, tuple[str, str]]
    error: float
    looks: int

    @classmethod
    def of(cls, model: CausalModel, columns: int, confidence: float) -> Plan:
        """The plan for a model whose rows are measured in one or two kinds of columns."""
        names = list(model.modalities)
        targets: dict[str, tuple[str, ...]] = {f"I({name};y)": (name,) for name in names}
        if len(names) > 1:
            targets[f"I({','.join(names)};y)"] = tuple(names)
        pairs = {f"I({a};{b})": (a, b) for a, b in combinations(names, 2)}
        looks = columns * (2 * len(targets) + sum(_looks(model.mutual_information(a, b)) for a, b in pairs.values()))
        return cls(targets, pairs, (1.0 - confidence) / looks, looks)

    @property
    def blocks(self) -> dict[str, tuple[str, ...]]:
        """Quantity → its blocks, of targets and pairs."""
        return {quantity: (*names, TARGET) for quantity, names in self.targets.items()} | self.pairs

    def among(self, modalities: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Quantity → its modalities, for the quantities that need none but these modalities."""
        every = {**self.targets, **self.pairs}
        return {quantity: names for quantity, names in every.items() if all(name in modalities for name in names)}


def _looks(information: float) -> int:
    return 2 if information <= MOST_NATS_OF_PRODUCT else 1


def without_floor(model: CausalModel, record: CertificateRecord) -> dict[str, str]:
    """Quantity → why it has no floor, of those with measured bounds in a certificate that states floors."""
    if record.evidence is None:
        return {}
    blocks = Plan.of(model, 1, record.confidence).blocks
    found = {
        quantity: why_without(model, blocks[quantity])
        for quantity, bounds in record.bounds.items()
        if any(bound.floor is None for bound in bounds.columns.values()) and quantity in blocks
    }
    return {quantity: reason for quantity, reason in found.items() if reason}


def relative_errors(recovered: np.ndarray, true: np.ndarray | None) -> np.ndarray:
    """‖ẑ − z‖ over the larger of ‖z‖ and its root mean square over rows, (n,); NaN where an inverse failed.

    Without true latents 0 stands for an inverse that succeeded.
    """
    if true is None:
        return np.where(could_be_inverted(recovered), 0.0, np.nan)
    if not len(true):
        return np.zeros(0)
    difference = np.linalg.norm((recovered - true).reshape(len(true), -1), axis=1)
    lengths = np.linalg.norm(true.reshape(len(true), -1), axis=1)
    return np.asarray(difference / np.maximum(lengths, np.sqrt(np.mean(lengths**2))))


def error_summary(errors: np.ndarray, *, replayed: bool, clipped: float | None = None) -> RoundTrip:
    """Median and maximum over the rows that could be inverted (None without replay), and the number of the others.

    Args:
        errors: (n,), NaN where an inverse failed.
        replayed: whether they are errors of known latents.
        clipped: of a view, the share of the values that it cut.
    """
    known = errors[np.isfinite(errors)]
    stated = replayed and len(known) > 0
    return RoundTrip(
        median=float(np.median(known)) if stated else None,
        max=float(known.max()) if stated else None,
        failed=len(errors) - len(known),
        rows=len(errors),
        clipped=clipped,
    )


def could_be_inverted(recovered: np.ndarray) -> np.ndarray:
    """Which rows, (n,) of bool."""
    return np.asarray(np.isfinite(recovered).all(axis=tuple(range(1, recovered.ndim))))


def with_failures(recovered: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Recovered latents with zeros in the rows whose inverse failed: they count as knowing nothing.

    Rows that lack the modality, (n,) of bool, stay NaN.
    """
    result = recovered.copy()
    result[~could_be_inverted(recovered)] = 0.0
    result[missing] = np.nan
    return result


def lower_bounds(
    model: CausalModel,
    recovered: Mapping[str, np.ndarray],
    y: np.ndarray,
    standardize: str,
    plan: Plan,
    true: Latents | None,
    missing: Mapping[str, np.ndarray],
) -> dict[str, dict[str, float]]:
    """Quantity → {bound's name: nats, …, "bound": what is published}, for one kind of column.

    Published is the largest, not below 0 and not above the analytic information, which what is stored cannot exceed:
    a limit from a sample may, as often as its error probability says.

    Args:
        model: the causal model.
        recovered: modality → (n, *shape); quantities of modalities that are missing here are left out.
        y: (n,), the stored target.
        standardize: of the latents.
        plan: quantities and error probability.
        true: the latents of the same rows where the seed is known.
        missing: modality → (n,) which rows lack it.
    """
    have = Latents({name: with_failures(values, missing[name]) for name, values in recovered.items()}, y, standardize)
    return {quantity: _bounds_of(model, plan, quantity, have, true) for quantity in plan.among(recovered)}


def bounds_without_failures(
    model: CausalModel,
    recovered: Mapping[str, np.ndarray],
    y: np.ndarray,
    standardize: str,
    plan: Plan,
    true: Latents | None,
    missing: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """Quantity → what `lower_bounds` publishes of the rows that could be inverted in all modalities of the quantity.

    Quantities of which all rows could be are left out, and those of fewer than half of FEWEST_ROWS: what is found gives
    room to a comparison, and states nothing by itself.
    """
    found = {}
    whole = {name: could_be_inverted(values) | missing[name] for name, values in recovered.items()}
    for quantity, names in plan.among(recovered).items():
        rows = np.logical_and.reduce([whole[name] for name in names])
        if rows.all() or np.count_nonzero(rows) < FEWEST_ROWS // 2:
            continue
        have = Latents({name: recovered[name][rows] for name in names}, y[rows], standardize)
        known = true and Latents({name: true.z[name][rows] for name in names}, true.y[rows], true.standardize)
        found[quantity] = _bounds_of(model, plan, quantity, have, known)["bound"]
    return found


def _bounds_of(model: CausalModel, plan: Plan, quantity: str, have: Latents, true: Latents | None) -> dict[str, float]:
    """All bounds of one quantity, and under "bound" what is published."""
    if quantity in plan.targets:
        names = plan.targets[quantity]
        information = model.mutual_information(names, "y")
        bounds = _target_bounds(model, names, have, plan.error, true)
    else:
        pair = plan.pairs[quantity]
        information = model.mutual_information(*pair)
        bounds = _pair_bounds(model, pair, have, plan.error, true)
    return {**bounds, "bound": published(bounds, information)}


def published(bounds: Mapping[str, float], information: float) -> float:
    """The largest of the bounds that were tried, not below 0 and not above the analytic information."""
    return min(information, max([0.0, *bounds.values()]))


def _target_bounds(
    model: CausalModel, names: tuple[str, ...], have: Latents, error: float, true: Latents | None
) -> dict[str, float]:
    information = model.mutual_information(names, "y")
    if information == 0.0:
        return {}
    recovered = model.pointwise_mutual_information(have, names, "y")
    if not model.law.is_gaussian:
        known = None if true is None else model.pointwise_mutual_information(true, names, "y")
        return {"pointwise": float(pointwise_bound(information, recovered, error, known))}
    bounds = {}
    if information <= MOST_NATS_OF_CORRELATION:
        bounds["correlation"] = float(correlation_bound(have.y, model.decode(have, names), error))
    if true is None:
        target = have.y / np.sqrt(model.variance_y)
        bounds["residual"] = float(residual_bound(information, recovered, target, error))
    else:
        loss = model.pointwise_mutual_information(true, names, "y") - recovered
        bounds["paired"] = float(paired_bound(information, loss, 1, error))
    return bounds


def _pair_bounds(
    model: CausalModel, pair: tuple[str, str], have: Latents, error: float, true: Latents | None
) -> dict[str, float]:
    first, second = pair
    information = model.mutual_information(first, second)
    gaussian = model.with_target(None).law.is_gaussian
    pairs = int(np.count_nonzero(model.canonical_correlations(first, second) > 1e-12)) if gaussian else 0
    if information == 0.0 or (gaussian and pairs == 0):
        return {}
    bounds = {}

    def pointwise(a: Latents, b: Latents) -> np.ndarray:
        mixed = Latents({first: a.z[first], second: b.z[second]}, have.y, have.standardize)
        return model.pointwise_mutual_information(mixed, first, second)

    if true is not None:
        both = pointwise(true, true)
        one, other = pointwise(true, have), pointwise(have, true)
        if gaussian:
            bounds["submodular"] = float(submodular_bound(information, both - one, both - other, pairs, error))
        else:
            bounds["pointwise"] = float(pointwise_pair_bound(information, both, one, other, error))
    if information <= MOST_NATS_OF_PRODUCT:
        known = (
            {} if true is None else {"true_joint": pointwise(true, true), "true_product": _all_pairs(model, pair, true)}
        )
        product = _all_pairs(model, pair, have)
        bounds["product"] = float(product_bound(information, pointwise(have, have), product, error, **known))
    return bounds


def _all_pairs(model: CausalModel, pair: tuple[str, str], latents: Latents) -> np.ndarray:
    """(n, n): pointwise information of the first modality's row r with the second's row s."""
    first, second = pair
    a, b = latents.z[first], latents.z[second]
    count = len(latents.y)
    result = np.empty((count, count))
    together = max(1, _NUMBERS_AT_ONCE // (count * (a[0].size + b[0].size)))
    for start in range(0, count, together):
        rows = range(start, min(start + together, count))
        mixed = Latents(
            {first: np.repeat(a[rows.start : rows.stop], count, axis=0), second: np.concatenate([b] * len(rows))},
            np.zeros(count * len(rows)),
            latents.standardize,
        )
        values = model.pointwise_mutual_information(mixed, first, second)
        result[rows.start : rows.stop] = values.reshape(len(rows), count)
    return result
