"""What a tier costs, before it is run.

Owns the table of cells × seconds. Nothing is read but the tier's own files.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from mmmi_hf.benchmark.estimator import setting_types
from mmmi_hf.benchmark.networks.training import Training
from mmmi_hf.benchmark.protocol.plan import read_pairs
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.tiers.tier import Group, Tier, costs, pilots, read_tier

IMAGES_A_SECOND = {"fashion-mnist-2": 44.0, "cifar10": 2.5}
"""Images per second of one core, as measured; of maps that are not named here the time is not counted."""


def cells_of(tier: Tier, group: Group) -> int:
    """Cells of one estimator in a group: configurations × pairs × seeds × forms, and the nulls."""
    configs = [name for name in tier.configurations if any(fnmatchcase(name, pattern) for pattern in group.configs)]
    series = {
        (tier.configuration(name).standardize, tier.configuration(name).modalities[0].pipeline) for name in configs
    }
    kinds = len(configs) + (len(series) if group.with_null else 0)
    return kinds * len(read_pairs(group.pairs)) * group.seeds * len(group.forms)


def image_seconds(tier: Tier) -> float:
    """Seconds of one core that the tier's images take."""
    total = 0.0
    for name in tier.configurations:
        config = tier.configuration(name)
        for modality in config.modalities:
            if modality.pipeline in IMAGES_A_SECOND:
                total += config.rows / IMAGES_A_SECOND[modality.pipeline]
    return total


def seconds_of(tier: Tier, group: Group) -> dict[str, tuple[float, bool]]:
    """Estimator → seconds of one core for a cell, and whether whole cells of this group took them.

    Those of a run stand before those of a cell that was tried, and these before those of another group. What is not of
    whole cells is carried over by the number of steps of networks; what is no network is taken as it is.
    """
    found: dict[str, tuple[float, bool]] = {}
    if group.costs_like is not None:
        name, _, other = group.costs_like.partition("/")
        like = read_tier(name)
        (measured,) = [each for each in like.groups if each.name == other]
        for estimator, seconds in costs(like).get(other, {}).items():
            trained = "training" in setting_types(estimator_class(estimator))
            found[estimator] = (seconds * (_steps(group) / _steps(measured) if trained else 1.0), False)
    for estimator, pilot in pilots(tier).get(group.name, {}).items():
        factor = _steps(group) / pilot["steps"] if "steps" in pilot else 1.0
        found[estimator] = (pilot["seconds"] * factor, not {"steps", "by_rows"} & set(pilot))
    return found | {estimator: (seconds, True) for estimator, seconds in costs(tier).get(group.name, {}).items()}


def _steps(group: Group) -> int:
    return (Training.paper(**group.training) if group.paper else Training(**group.training)).steps


def budget_lines(tier: Tier, estimators: Sequence[str] | None = None) -> list[str]:
    """The table, at most 80 characters wide: "–" where nobody measured."""
    lines = [f"{tier.name}: cells × seconds of one core, measured once; ≈: carried over", ""]
    total = made = image_seconds(tier)
    lines.append(f"{'data':<34}{'':>7}{'':>10}{made / 3600:>10.2f} h")
    for group in tier.groups:
        cells, hours, missing = cells_of(tier, group), 0.0, []
        known = seconds_of(tier, group)
        for name in group.estimators if estimators is None else estimators:
            told = "–"
            if name in known:
                seconds, measured = known[name]
                told = f"{'' if measured else '≈ '}{seconds:.1f} s"
                hours += cells * seconds / 3600
            else:
                missing.append(name)
            lines.append(f"{group.name:<12}{name:<22}{cells:>7}{told:>10}")
        total += 3600 * hours
        lines.append(f"{group.name:<34}{'':>7}{'':>10}{hours:>10.2f} h")
        if missing:
            lines.append(f"{'':<12}without {len(missing)} that nobody measured")
    lines.append(f"{'in all':<34}{'':>7}{'':>10}{total / 3600:>10.2f} h")
    return lines
