"""The protocol: cells are computed, each once, and kept.

Owns the computation of a cell, the folder of finished cells and the workers. A finished cell is one JSON file named by
the digest of its settings and written atomically by the parent; a killed run is continued by running it again, and
what failed is tried again. A cell is computed on one thread, so that bits do not depend on how many run side by side.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from mmmi_hf.benchmark.estimator import SOURCE, CannotSayError
from mmmi_hf.benchmark.networks.training import one_thread
from mmmi_hf.benchmark.pairs import ExactPairs, Pairs
from mmmi_hf.benchmark.protocol.data import POOL, SPLITS, TARGET, Source
from mmmi_hf.benchmark.protocol.plan import Cell, Plan
from mmmi_hf.benchmark.registry import estimator_class
from mmmi_hf.benchmark.settings import restored
from mmmi_hf.common.files import read_json, write_text
from mmmi_hf.common.locks import locked_folder

Record = dict[str, Any]


def software_versions() -> dict[str, str]:
    """The software that results depend on, name → installed version."""
    return {name: installed_version(name) for name in ("mmmi-hf", "torch", "numpy", "scipy", "datasets")}


class CellStore:
    """The finished cells in OUT/cells."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "cells"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one run. Raises FolderInUseError if another run holds it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        refusal = f"another run is writing {self.folder.parent}; wait for it or stop it first"
        with locked_folder(self.folder, refusal=refusal):
            yield

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """The finished cell, or None where it is absent, damaged, of other settings or of unknown software."""
        try:
            content = read_json(self.folder / f"{cell.digest}.json")
        except (FileNotFoundError, ValueError):
            return None
        whole = isinstance(content, dict) and content.get("settings") == cell.settings
        whole = whole and {"result", "versions"} <= content.keys()
        return content if whole else None

    def write(self, cell: Cell, result: dict[str, Any], seconds: float) -> None:
        """Keep a finished cell, with the versions of what computed it."""
        content = {
            "settings": cell.settings,
            "truth": cell.truth,
            "series": cell.series,
            "result": result,
            "seconds": round(seconds, 3),
            "versions": software_versions(),
        }
        write_text(self.folder / f"{cell.digest}.json", (json.dumps(content, indent=1) + "\n"))


def run_plan(plan: Plan, out: Path, *, workers: int | None = None, progress: bool = True) -> list[Record]:
    """Estimates of a plan that are not there yet; returns all cells' records in the plan's order.

    Raises:
        FolderInUseError: another run writes to `out`.
        ValueError: a wrong request, before anything is computed.
    """
    cells = plan.cells()
    for settings in plan.estimators.values():
        estimator_class(settings["estimator"]).require()
    work = Work(plan.source, run_cell, tuple(plan.plugins))
    return run_cells(work, cells, out, workers=workers, progress=progress)


@dataclass(frozen=True)
class Work:
    """How cells are computed: from a source, by a function of a module, plugins being loaded first."""

    source: Source
    compute: Callable[[Source, Cell], Record]
    plugins: Sequence[str] = ()

    def timed(self, cell: Cell) -> tuple[Record, float]:
        """The result of a cell, computed on one thread, and the seconds of one core that it took.

        What processes of its own took counts too; how busy the machine was does not.
        """
        begin = sum(os.times()[:4])
        with one_thread():
            result = self.compute(self.source, cell)
        return result, sum(os.times()[:4]) - begin


def run_cells(
    work: Work, cells: Sequence[Cell], out: Path, *, workers: int | None = None, progress: bool = True
) -> list[Record]:
    """Compute the cells that are not in `out` yet, or are there with an error; returns the records of all, in order.

    A record holds the cell's settings, truth, series, result, seconds, and the versions of the software that computed
    it.

    Args:
        workers: cells that run side by side; default: one per processor.

    Raises:
        FolderInUseError: another run writes to `out`.
    """
    store = CellStore(out)
    with store.locked():
        missing = [cell for cell in cells if (kept := store.read(cell)) is None or _failed(kept["result"])]
        with tqdm(
            total=len(cells), initial=len(cells) - len(missing), desc="benchmark", unit="cell", disable=not progress
        ) as bar:
            for cell, (result, seconds) in _computed(work, missing, workers or os.cpu_count() or 1):
                store.write(cell, result, seconds)
                bar.set_postfix_str(cell.label)
                bar.update()
        found = [store.read(cell) for cell in cells]
    return [record for record in found if record is not None]


def _failed(result: Record) -> bool:
    """Whether a cell has no answer; that an estimator cannot say is one."""
    return "error" in result and not result.get("abstained", False)


def _computed(work: Work, cells: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, tuple[Record, float]]]:
    """Cells as they are finished."""
    if workers == 1 or len(cells) <= 1:
        for cell in cells:
            yield cell, work.timed(cell)
        return
    with ProcessPoolExecutor(
        min(workers, len(cells)),
        mp_context=get_context("spawn"),
        initializer=_begin_worker,
        initargs=(os.getpid(), tuple(work.plugins)),
    ) as pool:
        waiting = iter(cells)
        pending: dict[Future[tuple[Record, float]], Cell] = {}
        try:
            while True:
                while len(pending) < 2 * workers and (following := next(waiting, None)) is not None:
                    pending[pool.submit(work.timed, following)] = following
                if not pending:
                    return
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield pending.pop(future), future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin_worker(parent: int, plugins: Sequence[str]) -> None:
    """A worker ends with its parent, however that ends, and knows the estimators of the plugins."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends workers at once and without a word
    load_plugins(plugins)
    import datasets

    datasets.disable_progress_bars()


def load_plugins(plugins: Sequence[str]) -> None:
    """Import modules, by name or by path of a .py file, that register estimators.

    Raises:
        ValueError: no such module, or one that fails while it is imported.
    """
    for plugin in plugins:
        path = Path(plugin)
        if path.suffix == ".py" and not path.is_file():
            raise ValueError(f"plugin {plugin!r} is not there; give a module or a .py file")
        try:
            if path.suffix == ".py":
                _load_file(path.resolve())
            else:
                importlib.import_module(plugin)
        except Exception as error:
            raise ValueError(
                f"plugin {plugin!r} cannot be imported ({type(error).__name__}: {error}); give a module or a .py file "
                "that Python imports without an error"
            ) from error


def _load_file(path: Path) -> None:
    """Import a .py file as a module of its own, once; where it lies tells it from others of its name."""
    name = f"mmmi_hf_plugin_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def run_cell(source: Source, cell: Cell) -> dict[str, Any]:
    """The estimate of one cell, in plain JSON values; a function of the data and the cell's settings alone.

    An estimator that cannot answer about the data (numbers that overflow, an oracle without sufficient statistics) is
    recorded with its reason and no value; so is one that fails in any other way, by which the others lose nothing.

    Raises:
        ValueError: the estimator's own file is not the one that was planned with.
    """
    estimator, planned = restored(cell.settings["estimator"]), cell.settings["estimator"].get(SOURCE)
    if planned is not None and estimator.settings.get(SOURCE) != planned:
        raise ValueError(
            f"the file of the estimator {estimator.name!r} was changed during the run; give the same command again"
        )
    train, validation, test = parts_of(source, cell, exact=estimator.uses_exact)
    try:
        found = estimator.fit(train, validation, seed=cell.settings["seed"]).estimate(
            test, confidence=cell.settings["confidence"]
        )
    except CannotSayError as error:
        return {"value": None, "error": str(error), "abstained": True}
    except (ArithmeticError, ValueError) as error:
        return {"value": None, "error": str(error)}
    except Exception as error:  # a fault of the estimator, which may be anybody's
        return {"value": None, "error": " ".join(f"{estimator.name!r} failed: {type(error).__name__}: {error}".split())}
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "standard_error": found.standard_error,
        "details": dict(found.details),
        "history": [dict(record) for record in found.history],
    }


def parts_of(source: Source, cell: Cell, *, exact: bool) -> tuple[Pairs, Pairs, Pairs]:
    """The training, validation and test rows of a cell, deranged where it is a null."""
    parts = [pairs_of(source, cell, split, exact=exact) for split in SPLITS]
    if cell.settings["null"]:
        seed = cell.settings["seed"]
        parts = [pairs.deranged(3 * seed + index) for index, pairs in enumerate(parts)]
    train, validation, test = parts
    return train, validation, test


def pairs_of(source: Source, cell: Cell, split: str, *, exact: bool) -> Pairs:
    """The rows of a split of a cell, modalities in the cell's form."""
    first, second, config = (cell.settings[name] for name in ("a", "b", "config"))
    form, place = cell.settings["form"], POOL if cell.settings["pooled"] else split
    wanted = range(*cell.settings["rows"][split])
    stored = {
        block: f"{block}_image" if form == "views" and block != TARGET else block
        for block in (first, second)
        if form != "latents" or block == TARGET
    }
    columns = source.rows(config, place, [*stored.values(), "row"], wanted)
    blocks = {block: columns[column] for block, column in stored.items()}
    known = None
    if exact or form == "latents":
        model, manifest = source.model(config), source.manifest(config)
        if manifest.seed is None:
            raise ValueError(f"{config!r} does not tell its seed, which oracles and latents need; leave them out")
        latents = model.sample_rows(columns["row"].tolist(), seed=manifest.seed, standardize=manifest.standardize)
        if not np.array_equal(latents.y, source.rows(config, place, [TARGET], wanted)["y"]):
            raise ValueError(f"y of {config!r} is not what its causal model and seed give; the oracles do not know it")
        known = ExactPairs.of(model, latents, first, second) if exact else None
        blocks = {block: latents.z[block] for block in (first, second) if block not in blocks} | blocks
    return Pairs(_floating(blocks[first]), _floating(blocks[second]), known)


def _floating(values: np.ndarray) -> np.ndarray:
    """Labels as float64; anything else as it is."""
    return values.astype(np.float64) if np.issubdtype(values.dtype, np.integer) else values
