"""A tier: which data there are, and which estimators meet which of them.

Owns the type of `tier.yaml` and what it becomes: plans of the protocol. Every folder beside this file is a tier:

    NAME/tier.yaml        this
    NAME/reference.csv    committed results, as `results.csv` of a run has them
    NAME/costs.json       seconds of one core that a cell takes, by group and estimator, of a whole run
    NAME/pilots.json      the same of one cell that was tried before any run: {"seconds": …}, and "steps" where its
                          networks had fewer of them than the group gives, "by_rows" where its rows were fewer
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from mmmi_hf.benchmark.estimator import setting_types
from mmmi_hf.benchmark.networks.training import Training
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Plan, read_pairs
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.settings import estimator_with
from mmmi_hf.common.records import Record, told
from mmmi_hf.common.terminal import did_you_mean
from mmmi_hf.common.yaml_files import parse_file
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.registry import get_configuration

_HERE = Path(__file__).parent


class Group(Record):
    """Estimators on some of the tier's configurations.

    Attributes:
        name: of its folder. title: what it asks.
        configs: names or patterns. pairs: such as "x1:y". seeds, split, forms, with_null, train_rows: as in
            `Plan`.
        costs_like: "TIER/GROUP" of the same kind of data whose measured costs, by the number of steps, stand for this
            one's until somebody tries a cell of it or runs it.
        estimators: names. training: fields of the networks' recipe; paper: they change the paper's.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    configs: Annotated[list[str], Field(min_length=1)]
    pairs: str = "x1:y"
    estimators: Annotated[list[str], Field(min_length=1)]
    training: Annotated[dict[str, Any], Field(default_factory=dict)]
    paper: bool = False
    seeds: Annotated[int, Field(ge=1)] = 1
    split: str | None = None
    forms: Annotated[list[str], Field(default_factory=lambda: ["float"])]
    with_null: bool = True
    train_rows: Annotated[list[int], Field(default_factory=list)]
    costs_like: str | None = None


class Tier(Record):
    """Configurations by name, and groups.

    Attributes:
        repository: where the data are on the Hub; None as long as they are not.
        configurations: name → the fields of a configuration file, or {released: NAME, rows: N}.
    """

    name: str
    version: str
    title: str
    repository: str | None = None
    configurations: dict[str, dict[str, Any]]
    groups: Annotated[list[Group], Field(min_length=1)]

    @property
    def label(self) -> str:
        """Name and version, which a results file names."""
        return f"{self.name} {self.version}"

    def check_data(self, source: Source) -> None:
        """Refuse data that are not those of the tier.

        Raises:
            ValueError: a configuration is missing, or its rows are not those that the tier's would be.
        """
        remedy = "another --out, in which they are made" if source.revision is None else "another revision"
        for name in self.configurations:
            if name not in source.configurations:
                raise ValueError(
                    f"{source.place} has no configuration {name!r}, which the tier {self.name!r} needs; give its "
                    f"data, or {remedy}"
                )
            wanted, found = self.configuration(name), source.manifest(name)
            if (found.configuration, found.rows) != (wanted.digest, wanted.rows):
                what = f"{found.rows:,} rows, expected {wanted.rows:,}" if found.rows != wanted.rows else "other rows"
                raise ValueError(
                    f"{source.place}: {name!r} has {what}: it is not that of {self.label}; give its data, or {remedy}"
                )

    def configuration(self, name: str) -> MMMIConfig:
        """What a configuration of the tier is."""
        fields = dict(self.configurations[name])
        released = fields.pop("released", None)
        if released is not None:
            return get_configuration(released).replace(**fields)
        return MMMIConfig(name=name, **fields)

    def plan(
        self,
        group: Group,
        source: Source,
        *,
        estimators: list[str] | None = None,
        plugins: tuple[str, ...] = (),
    ) -> Plan:
        """The plan of a group on the tier's data; other estimators, where they are given."""
        recipe = Training.paper(**group.training) if group.paper else Training(**group.training)
        settings = {}
        for name in group.estimators if estimators is None else estimators:
            trained = {"training": recipe} if "training" in setting_types(estimator_class(name)) else {}
            settings[name] = estimator_with(name, [], **trained).settings
        return Plan(
            source,
            group.configs,
            read_pairs(group.pairs),
            settings,
            seeds=group.seeds,
            null=group.with_null,
            train_rows=group.train_rows,
            plugins=plugins,
            shares=None if group.split is None else read_split(group.split),
            forms=tuple(group.forms),
        )


def list_tiers() -> list[str]:
    """The names of all tiers."""
    return sorted(path.parent.name for path in _HERE.glob("*/tier.yaml"))


@cache
def read_tier(name: str) -> Tier:
    """A tier by name. Raises ValueError for an unknown one."""
    if name not in list_tiers():
        expected = f"expected one of {', '.join(list_tiers())}"
        raise ValueError(f"unknown tier {name!r}: {did_you_mean(name, list_tiers(), expected)}")
    path = _HERE / name / "tier.yaml"
    try:
        return Tier.model_validate(parse_file(path).data)
    except ValidationError as error:
        raise ValueError(told(error, str(path))) from error


def folder_of(tier: Tier) -> Path:
    """Where the tier's committed files are."""
    return _HERE / tier.name


def costs(tier: Tier) -> dict[str, dict[str, float]]:
    """Group → estimator → seconds of one core for a cell, the mean of a whole run; empty where nobody ran it."""
    found: dict[str, dict[str, float]] = _committed(tier, "costs.json")
    return found


def pilots(tier: Tier) -> dict[str, dict[str, dict[str, float]]]:
    """Group → estimator → the "seconds" of one core of a cell that was tried, and its "steps" where they were fewer.

    "by_rows" says that they were carried over already, from fewer rows.
    """
    found: dict[str, dict[str, dict[str, float]]] = _committed(tier, "pilots.json")
    return found


def _committed(tier: Tier, name: str) -> Any:
    path = folder_of(tier) / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def read_split(text: str) -> tuple[int, int, int]:
    """ "50/10/40" as three shares in per cent. Raises ValueError for anything else."""
    try:
        train, validation, test = (int(word) for word in text.split("/"))
    except ValueError:
        raise ValueError(f"split: {text!r} is no split; write e.g. 50/10/40") from None
    return train, validation, test
