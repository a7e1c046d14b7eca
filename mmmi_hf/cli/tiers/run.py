"""A run of a tier: its data are made, its groups computed, and the table is printed beside the committed results.

Owns the order of the work. Everything that is finished stays: the same command continues a killed run.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mmmi_hf.cli.application import print_text

if TYPE_CHECKING:
    from mmmi_hf.benchmark.protocol.data import Source
    from mmmi_hf.benchmark.protocol.plan import Plan
    from mmmi_hf.benchmark.tiers.tier import Group, Tier

_ORACLE = "oracle-dv"


@dataclass(frozen=True)
class TierRun:
    """What was asked for.

    name: of the tier. out: the folder. data: where the data are; None: they are made in out/data. estimators: None for
    those of the tier; the exact critic is always among them. results: files of results of others.
    """

    name: str
    out: Path
    data: str | None
    revision: str | None
    estimators: Sequence[str] | None
    plugins: tuple[str, ...] = ()
    results: tuple[Path, ...] = ()

    def run(self, *, workers: int | None, plots: bool, dry_run: bool, quiet: bool) -> None:
        """Do what is not done yet, and print the table.

        Raises:
            ValueError: a wrong request, before anything is computed.
        """
        from mmmi_hf.benchmark.protocol.cells import run_plan
        from mmmi_hf.benchmark.protocol.data import Source
        from mmmi_hf.benchmark.report.report import write_report
        from mmmi_hf.benchmark.tiers.results import LEGEND, read_others, reference_results
        from mmmi_hf.benchmark.tiers.tier import read_tier

        tier = read_tier(self.name)
        names = {name for group in tier.groups for name in (self.estimators or group.estimators)}
        committed = {row["estimator"] for row in reference_results(tier)}
        others = read_others(tier, self.results, {*names, *committed, _ORACLE})
        if dry_run:
            self._print_budget(tier)
            return
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, got {workers}")
        if self.data is None:
            self._make_data(tier, quiet)
        source = Source.open(self.data or str(self.out / "data"), self.revision)
        tier.check_data(source)
        plans = {group.name: self._plan(tier, group, source) for group in tier.groups}
        self._refuse_foreign(plans, others)
        command = shlex.join(["mmmi-hf", *sys.argv[1:]])
        tables = []
        for group in tier.groups:
            plan = plans[group.name]
            folder = self.out / group.name
            records = run_plan(plan, folder, workers=workers, progress=not quiet)
            write_report(plan, records, folder, command=command, plots=plots)
            tables += self._table(tier, group, plan, others)
        self._write_all(tier)
        typer.echo("\n".join(tables))
        print_text(LEGEND)
        print_text(f"Everything, with intervals and plots: {self.out}")

    def _make_data(self, tier: Tier, quiet: bool) -> None:
        """The configurations that are not there yet."""
        from mmmi_hf.dataset import generate

        folder = self.out / "data"
        for name in tier.configurations:
            config = tier.configuration(name)
            if not (folder / "manifests" / f"{config.name}.json").is_file():
                generate(config, folder, certify=False, figures=False, progress=not quiet)

    def _plan(self, tier: Tier, group: Group, source: Source) -> Plan:
        from mmmi_hf.benchmark.registry import estimator_class

        if self.estimators is None:
            return tier.plan(group, source, plugins=self.plugins)
        labels = all(source.model(config).classes is not None for config in source.choose(group.configs))
        names = [name for name in self.estimators if labels or not estimator_class(name).of_labels]
        return tier.plan(group, source, estimators=list(dict.fromkeys([*names, _ORACLE])), plugins=self.plugins)

    def _refuse_foreign(self, plans: dict[str, Plan], others: list[dict[str, Any]]) -> None:
        """Raise ValueError where an estimator of the files answers no problem of the tier."""
        from mmmi_hf.benchmark.tiers.results import judged_rows

        answering = {
            row["estimator"] for group, plan in plans.items() for row in judged_rows(group, plan.cells(), others)
        }
        silent = [row["estimator"] for row in others if row["estimator"] not in answering]
        if silent:
            raise ValueError(
                f"results: {silent[0]!r} answers no problem of the tier {self.name!r}; write its answers to the "
                "problems that load_benchmark gives"
            )

    def _table(self, tier: Tier, group: Group, plan: Plan, others: list[dict[str, Any]]) -> list[str]:
        """The group's lines: this run's estimators, those of files, and the committed ones."""
        import pyarrow.parquet as pq

        from mmmi_hf.benchmark.protocol.summary import summarize
        from mmmi_hf.benchmark.registry import estimator_class
        from mmmi_hf.benchmark.tiers.results import judged_rows, reference_results, table

        folder = self.out / group.name
        rows = pq.read_table(folder / "results.parquet").to_pylist()
        cells = plan.cells()
        mine = summarize([*rows, *judged_rows(group.name, cells, others)])
        reference = summarize(judged_rows(group.name, cells, reference_results(tier)))
        seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
        names = {row["estimator"] for row in rows}
        return table(
            group.title,
            mine,
            reference,
            {name: entry["mean"] for name, entry in seconds.items()},
            {name: estimator_class(name).bound for name in names},
        )

    def _write_all(self, tier: Tier) -> None:
        """All groups' rows in one file each of Parquet and CSV."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        from mmmi_hf.benchmark.report.report import as_csv
        from mmmi_hf.common.files import write_text

        found = []
        for group in tier.groups:
            rows = pq.read_table(self.out / group.name / "results.parquet")
            for name, value in (("group", group.name), ("tier", tier.label)):
                rows = rows.add_column(0, name, pa.array([value] * len(rows), pa.string()))
            found.append(rows)
        whole = pa.concat_tables(found)
        pq.write_table(whole, self.out / "results.parquet")
        write_text(self.out / "results.csv", as_csv(whole.to_pylist()))

    def _print_budget(self, tier: Tier) -> None:
        """Cells × seconds of one core, as measured once."""
        from mmmi_hf.benchmark.tiers.budget import budget_lines

        typer.echo("\n".join(budget_lines(tier, self.estimators)))
