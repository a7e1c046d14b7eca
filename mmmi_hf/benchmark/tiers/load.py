"""`load_benchmark`: the problems of a tier, for estimators that are no part of this package.

Owns problems and answers. Rows are read as any user reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmmi_hf.benchmark.pairs import Pairs
from mmmi_hf.benchmark.protocol.cells import parts_of
from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.protocol.plan import Cell
from mmmi_hf.benchmark.protocol.summary import summarize
from mmmi_hf.benchmark.tiers.results import judged_rows, write_results
from mmmi_hf.benchmark.tiers.tier import Tier, list_tiers, read_tier


@dataclass(frozen=True)
class Problem:
    """Rows of two blocks whose information is known: a configuration, a pair, a form, a seed.

    Attributes:
        group: of the tier. tier: its name and version. truth: in nats, 0 of a null.
    """

    source: Source
    cell: Cell
    group: str
    tier: str

    @property
    def truth(self) -> float:
        """I(a; b) in nats."""
        return self.cell.truth

    def rows(self) -> tuple[Pairs, Pairs, Pairs]:
        """Training, validation and test rows; learn from the first two, and say what the third has."""
        return parts_of(self.source, self.cell, exact=False)

    def answer(
        self, estimator: str, value: float | None, low: float | None = None, high: float | None = None
    ) -> dict[str, Any]:
        """What an estimator says, in nats, with its interval of 95 %; None: it cannot say."""
        names = ("config", "form", "a", "b", "seed", "null")
        of_problem = {name: self.cell.settings[name] for name in names}
        of_problem |= {"tier": self.tier, "group": self.group}
        return {**of_problem, "estimator": estimator, "value": value, "low": low, "high": high}


@dataclass(frozen=True)
class Benchmark:
    """A tier with its data; iterates over its problems."""

    tier: Tier
    source: Source

    @cached_property
    def problems(self) -> list[Problem]:
        """Every problem once, nulls included."""
        found = []
        for group in self.tier.groups:
            plan = self.tier.plan(group, self.source, estimators=group.estimators[:1])
            found += [Problem(self.source, cell, group.name, self.tier.label) for cell in plan.cells()]
        return found

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    def __len__(self) -> int:
        return len(self.problems)

    def summary(self, answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Bias, RMSE, score, coverage and false alarms of answers, a record per group, estimator and kind of data."""
        rows = [{**answer, "abstained": answer["value"] is None} for answer in answers]
        found: list[dict[str, Any]] = []
        for group in self.tier.groups:
            cells = [problem.cell for problem in self.problems if problem.group == group.name]
            found += [{"group": group.name, **row} for row in summarize(judged_rows(group.name, cells, rows))]
        return found

    def write(self, path: str | Path, answers: Sequence[Mapping[str, Any]]) -> None:
        """Answers as a file that `mmmi-hf benchmark --tier NAME --results FILE` shows beside the others."""
        write_results(Path(path), answers)


def load_benchmark(tier: str, source: str | Path | None = None, *, revision: str | None = None) -> Benchmark:
    """The problems of a tier, such as "lite".

    >>> bench = mmmi_hf.load_benchmark("lite", "lite/data")  # doctest: +SKIP
    >>> train, validation, test = bench.problems[0].rows()  # doctest: +SKIP

    Args:
        source: a Hub id, as `mmmi-hf publish DIR/data OWNER/NAME --tier NAME` made it, or a folder that `mmmi-hf
            benchmark --tier NAME --out DIR` made, DIR/data; by default where the tier's data are on the Hub.
        revision: of a Hub repository; by default its newest release, or that of the tier's version where no source is
            given.

    Raises:
        ValueError: an unknown tier, no data, or data that are not those of the tier.
    """
    known = read_tier(tier)
    place = known.repository if source is None else str(source)
    if place is None:
        raise ValueError(
            f"the data of {tier!r} are not on the Hub; give source=, a Hub id, or DIR/data after "
            f"`mmmi-hf benchmark --tier {tier} --out DIR`"
        )
    if source is None and revision is None:
        revision = f"v{known.version}"
    found = Benchmark(known, Source.open(place, revision))
    known.check_data(found.source)
    return found


__all__ = ["Benchmark", "Problem", "list_tiers", "load_benchmark"]
