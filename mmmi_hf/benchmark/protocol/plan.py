"""The plan of a benchmark: which cells there are.

Owns cells and how seeds get data. Imports no torch, so that wrong requests are refused at once.

A dataset folder has one seed per configuration. Independent data per seed of the benchmark are disjoint row ranges of
it: every split is cut into as many equal blocks as there are seeds, and seed s uses block s of each split. Rows are
independent draws, so that the blocks are independent datasets; configurations (levels) are independent of each other
where their own seeds differ, as those of released ones do. Every cell records its rows. With `shares`, all rows of a
configuration are cut anew, so that more than a tenth of them can be test rows: rows are independent draws, whichever
split they were stored in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmmi_hf.benchmark.protocol.data import SPLITS, TARGET, Source
from mmmi_hf.common.numbers import is_whole
from mmmi_hf.dataset.format.manifest import Manifest

FORMAT = 2
LEAST_ROWS = 20
FORMS = {"float": "", "latents": "latents", "views": "8-bit views"}
"""What stands for a modality: the stored numbers, the latents they were made of, or what a viewer shows."""


@dataclass(frozen=True)
class Cell:
    """One estimate: what it depends on, in plain JSON values, and what is stated with it.

    settings: everything that determines the result; its digest names the cell's file.
    truth: in nats. series: which kind of data (pipeline and standardisation), for grouping.
    """

    settings: dict[str, Any]
    truth: float
    series: str

    @property
    def digest(self) -> str:
        """The cell's name."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:24]

    @property
    def label(self) -> str:
        """For progress and messages."""
        s = self.settings
        if "estimator" in s:
            what = f"{s['a']}:{s['b']} {s['estimator']['estimator']} n={s['n']}"
        else:
            what = " ".join(dict.fromkeys((s["task"], s["method"], ",".join(s["inputs"]))))
        return f"{s['config']} {what} seed {s['seed']}{', null' if s['null'] else ''}"


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    configs: names or patterns. pairs: ("x1", "y"), … estimators: name → its settings.
    seeds: number of independent datasets per configuration. train_rows: for learning curves; empty: all of a block.
    null: also estimate the deranged pairs of the configuration with the largest truth, whose truth is 0.
    shares: of train, validation and test among all rows, in per cent; None: the stored splits.
    forms: of `FORMS`, what stands for modalities; several are estimated on the same rows.
    """

    source: Source
    configs: Sequence[str]
    pairs: Sequence[tuple[str, str]]
    estimators: dict[str, dict[str, Any]]
    seeds: int = 2
    train_rows: Sequence[int] = ()
    null: bool = True
    confidence: float = 0.95
    plugins: Sequence[str] = field(default=())
    shares: tuple[int, int, int] | None = None
    forms: Sequence[str] = ("float",)

    def cells(self) -> list[Cell]:
        """All cells, configurations in the order of their truths.

        Raises:
            ValueError: a block or quantity that a configuration lacks, or too few rows.
        """
        if not is_whole(self.seeds, 1):
            raise ValueError(f"seeds must be a whole number of at least 1, got {self.seeds!r}")
        unknown = [form for form in self.forms if form not in FORMS]
        if unknown or not self.forms:
            raise ValueError(f"forms: expected some of {', '.join(FORMS)}, got {', '.join(self.forms) or 'none'}")
        if self.shares is not None and (min(self.shares) < 1 or sum(self.shares) != 100):
            given = "/".join(map(str, self.shares))
            raise ValueError(f"split: {given} must be three shares of at least 1 with the sum 100, such as 50/10/40")
        chosen = self.source.choose(self.configs)
        cells = []
        for pair in self.pairs:
            truths = {config: self._truth(config, *pair) for config in chosen}
            by_truth = sorted(chosen, key=lambda name: (truths[name], name))
            series = {config: series_of(self.source.manifest(config)) for config in chosen}
            largest = {series[config]: config for config in by_truth}
            for config in by_truth:
                nulls = (False, True) if self.null and config == largest[series[config]] else (False,)
                for form in self.forms:
                    called = ", ".join(filter(None, (series[config], FORMS[form])))
                    for null in nulls:
                        cells += self._of(config, pair, 0.0 if null else truths[config], null, (called, form))
        return cells

    def notes(self) -> list[str]:
        """What a reader of the results must know about the data."""
        seeds: dict[int, list[str]] = {}
        for config in self.source.choose(self.configs):
            seed = self.source.manifest(config).seed
            if seed is not None:
                seeds.setdefault(seed, []).append(config)
        same = [
            f"{', '.join(names)} were generated with the same seed {seed}: their rows are not independent of each other"
            for seed, names in seeds.items()
            if len(names) > 1
        ]
        if "views" in self.forms:
            same.append("8-bit views carry at most the information that stands as their truth")
        return same

    def _truth(self, config: str, first: str, second: str) -> float:
        known = [entry.name for entry in self.source.manifest(config).modalities]
        for block in (first, second):
            if block not in (*known, TARGET):
                raise ValueError(f"{config!r} has no block {block!r}; it has {', '.join([*known, TARGET])}")
        return self.source.truth(config, first, second)

    def _of(self, config: str, pair: tuple[str, str], truth: float, null: bool, series: tuple[str, str]) -> list[Cell]:
        manifest, (called, form) = self.source.manifest(config), series
        blocks = [seed_rows(manifest, config, seed, self.seeds, self.shares) for seed in range(self.seeds)]
        length = blocks[0]["train"][1]
        sizes = sorted(set(self.train_rows)) or [length]
        for size in sizes:
            if not LEAST_ROWS <= size <= length:
                raise ValueError(
                    f"train rows must lie between {LEAST_ROWS} and {length} (the train rows of {config!r} for "
                    f"each of {self.seeds} seeds), got {size}"
                )
        return [
            Cell(
                {
                    "format": FORMAT,
                    "config": config,
                    "data": self.source.digest(config),
                    "a": pair[0],
                    "b": pair[1],
                    "estimator": settings,
                    "seed": seed,
                    "n": size,
                    "rows": {**blocks[seed], "train": [blocks[seed]["train"][0], blocks[seed]["train"][0] + size]},
                    "null": null,
                    "confidence": self.confidence,
                    "form": form,
                    "pooled": self.shares is not None,
                },
                truth,
                called,
            )
            for size in sizes
            for seed in range(self.seeds)
            for settings in self.estimators.values()
        ]


def seed_rows(
    manifest: Manifest, config: str, seed: int, seeds: int, shares: Sequence[int] | None = None
) -> dict[str, list[int]]:
    """Split → first row and end of the block that a seed uses, numbered from the split's start.

    With shares, in per cent, every seed has an equal block of all rows, numbered from the first, and it is cut so.

    Raises:
        ValueError: too few rows for so many seeds.
    """
    blocks: dict[str, list[int]] = {}
    end = seed * (manifest.rows // seeds)
    for index, split in enumerate(SPLITS):
        there = manifest.splits[split].rows if split in manifest.splits else 0
        if shares is not None:
            there = manifest.rows * shares[index] // 100
        length = there // seeds
        if length < LEAST_ROWS:
            raise ValueError(
                f"{config!r} has {there} {split} rows: {length} for each of {seeds} seeds, at least {LEAST_ROWS} are "
                "needed; generate more rows or ask for fewer seeds"
            )
        start = seed * length if shares is None else end
        end = start + length
        blocks[split] = [start, end]
    return blocks


def series_of(manifest: Manifest) -> str:
    """Pipelines and standardisation of a configuration, as one label."""
    pipelines = dict.fromkeys(entry.pipeline for entry in manifest.modalities)
    return f"{'+'.join(pipelines)}, {manifest.standardize}"


def read_pairs(text: str) -> list[tuple[str, str]]:
    """ "x1:y,x1:x2" as pairs of blocks, y second. Raises ValueError for anything else."""
    pairs = []
    for part in text.split(","):
        blocks = [block.strip() for block in part.split(":")]
        if len(blocks) != 2 or not all(blocks) or blocks[0] == blocks[1]:
            raise ValueError(f"pairs: {part.strip()!r} is no pair; write e.g. x1:y,x1:x2")
        pairs.append((blocks[1], blocks[0]) if blocks[0] == TARGET else (blocks[0], blocks[1]))
    return list(dict.fromkeys(pairs))
