"""Prints how fast a published dataset is loaded, and how little of it the first row takes. Asserts nothing.

Two 3×32×32 float32 images per row through the identity (so that generation takes no time), stored as `generate` does.
All ratios are measured side by side in one run; every figure is the best of several repetitions.

Run: python -m tests.performance.bench_load [ROWS]
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import datasets
import pyarrow.parquet as pq

from mmmi_hf.dataset.assembly import generate
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.hub.loading.batches import numpy_batches, torch_batches
from mmmi_hf.hub.loading.load import load
from tests.hub.clients import environment, run_alone
from tests.hub.loopback import LoopbackHub

BATCH, REPEAT, ROUNDS = 256, 3, 7
TORCH = 'with_format("torch")'
STREAM = """
from mmmi_hf.hub import load
from datasets import load_dataset
def first(**options):
    return next(iter(load_dataset(args[0], "bench", split="train", streaming=True, revision="v1.0.0", **options)))
first(**({"columns": ["y"]} if args[1] == "y" else {}))
print_json(0)
sys.stdout.flush()
__import__("os")._exit(0)  # what is fetched ahead for later rows is not for the first
"""
PUBLISH = """
from mmmi_hf.hub import publish
print_json(publish(args[0], args[1], progress=False).tag)
"""


def best(work: Callable[[], object], repeat: int = REPEAT) -> float:
    """Seconds of the fastest of several runs."""
    taken = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def consume(batches: Iterable[object]) -> None:
    """Take every batch and let it go, as a training loop does."""
    deque(batches, maxlen=0)


def first_load(folder: Path, work: Path) -> None:
    files = sorted((folder / "data" / "bench").glob("*.parquet"))
    size = sum(file.stat().st_size for file in files)
    cache = Path(datasets.config.HF_DATASETS_CACHE)

    def ours(*, verify: bool) -> None:
        shutil.rmtree(cache, ignore_errors=True)
        load(folder, "bench", progress=False, verify=verify)

    bare = best(lambda: [pq.read_table(file) for file in files])
    mine, unverified = best(lambda: ours(verify=True)), best(lambda: ours(verify=False))

    def plain() -> None:
        shutil.rmtree(work / "plain", ignore_errors=True)
        datasets.load_dataset(str(folder), "bench", cache_dir=str(work / "plain"))

    print(f"first load of {size / 1e6:.1f} MB (goal: at most 2 × bare pyarrow.parquet)")
    print(f"  bare pyarrow.parquet read                {bare:8.3f} s")
    print(f"  mmmi_hf.load, digests checked            {mine:8.3f} s   {mine / bare:5.2f} ×")
    print(f"  mmmi_hf.load, verify=False               {unverified:8.3f} s   {unverified / bare:5.2f} ×")
    taken = best(plain)
    print(f"  datasets.load_dataset                    {taken:8.3f} s   {taken / bare:5.2f} ×")
    warm = best(lambda: load(folder, "bench", progress=False))
    print(f"  mmmi_hf.load again, digests checked      {warm:8.3f} s   {warm / bare:5.2f} ×")


def warm_batches(folder: Path) -> None:
    data = load(folder, "bench", split="train", progress=False).dataset
    columns = ["x1", "x2", "y"]
    few = data.select(range(min(len(data), 1024)))
    mixed = data.shuffle(seed=0)

    def formatted(kind: str) -> Callable[[], object]:
        chosen = few.select_columns(columns).with_format(kind)
        return lambda: consume(chosen.iter(BATCH))

    def touched(batches: Callable[[], object]) -> Callable[[], object]:
        """Every value is read, so that a view of unread memory does not count as a batch."""
        return lambda: [sum(float(v.sum()) for v in batch.values()) for batch in batches()]  # type: ignore[attr-defined]

    contenders: dict[str, tuple[Callable[[], object], int]] = {
        TORCH: (formatted("torch"), len(few)),
        'with_format("numpy")': (formatted("numpy"), len(few)),
        "torch_batches": (lambda: consume(torch_batches(data, columns, BATCH)), len(data)),
        "torch_batches, copy=False": (lambda: consume(torch_batches(data, columns, BATCH, copy=False)), len(data)),
        "torch_batches, copy=False, values summed": (
            touched(lambda: torch_batches(data, columns, BATCH, copy=False)),
            len(data),
        ),
        "torch_batches, values summed": (touched(lambda: torch_batches(data, columns, BATCH)), len(data)),
        "torch_batches, shuffled": (lambda: consume(torch_batches(mixed, columns, BATCH)), len(data)),
        "numpy_batches": (lambda: consume(numpy_batches(data, columns, BATCH)), len(data)),
        "numpy_batches, values summed": (touched(lambda: numpy_batches(data, columns, BATCH)), len(data)),
        "numpy_batches, shuffled": (lambda: consume(numpy_batches(mixed, columns, BATCH)), len(data)),
    }
    taken = dict.fromkeys(contenders, math.inf)
    for _ in range(ROUNDS):  # in turn, so that other work on the machine meets all of them
        for name, (work, _) in contenders.items():
            taken[name] = min(taken[name], best(work, 1))
    rates = {name: rows / taken[name] for name, (_, rows) in contenders.items()}
    print(f'\nbatches of {BATCH} from the warm Arrow cache (goal: at least 5 × the rows/s of with_format("torch"))')
    for name, rate in rates.items():
        print(f"  {name:<40} {rate:12,.0f} rows/s   {rate / rates[TORCH]:7.1f} ×")


def streaming(folder: Path, work: Path) -> None:
    with LoopbackHub() as hub:
        env = environment(hub, work / "home")
        assert run_alone(PUBLISH, folder, "org/bench", env=env).value
        train = sum(file.stat().st_size for file in (folder / "data" / "bench").glob("train-*"))
        print(f"\nbytes fetched for the first row by streaming, of {train / 1e6:.1f} MB (goal: under 2 MB)")
        for columns in ("all", "y"):
            before = hub.bytes_sent
            assert run_alone(STREAM, "org/bench", columns, env=env).value == 0
            fetched = (hub.bytes_sent - before) / 1e6
            print(f"  {'all columns' if columns == 'all' else 'y only':<20} {fetched:8.3f} MB")


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2500
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        datasets.config.HF_DATASETS_CACHE = work / "cache"
        config = MMMIConfig(
            name="bench",
            version="1.0.0",
            causal_model={"story": "common_cause", "shape": [3, 32, 32], "mi": 1.0},
            modalities=(Modality("identity"), Modality("identity")),
            rows=rows,
            seed=1,
        )
        folder = work / "data"
        generate(config, folder, progress=False)
        first_load(folder, work)
        warm_batches(folder)
        streaming(folder, work)


if __name__ == "__main__":
    main()
