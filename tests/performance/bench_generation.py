"""Prints images/s of the network alone against the whole of `generate` without the certificate. Asserts nothing.

Run: python -m tests.performance.bench_generation [--configuration NAME] [--pipeline NAME] [--rows 128] [--compile]
[--channels-last] [--micro-batch 32]

One and two processes, the configuration's pipeline, the same micro-batches, in one run; whether both leave the same
files; and the most that its folder held on the disk on the way, over what is left of it. Each process computes one
operation at a time on one thread (OMP_NUM_THREADS=1); wall and processor time are both given, because a busy machine
stretches the former. On a GPU, when there is one, the round trip of float32 images with TF32 off is printed too.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

from mmmi_hf.dataset.generation import rows as making_rows
from mmmi_hf.dataset.generation.launcher import start
from mmmi_hf.dataset.generation.rows import class_labels, images_of, load_bijections, prepare
from mmmi_hf.dataset.releases.registry import get_configuration
from tests.performance.generate_in_batches import set_micro_batch
from tests.performance.heading import print_heading
from tests.support import ROOT


def network_alone(name: str, rows: int, pipeline: str | None = None, **computing: bool) -> tuple[float, float, float]:
    """Wall and processor seconds per image, and the round trip of a few images by the ordinary float32 network."""
    config = get_configuration(name, pipeline=pipeline)
    bijections, labels = load_bijections(config, device=start().device(), **computing), class_labels(config)
    prepared, missing = prepare(config, range(rows)), config.model.law.missing
    batches = list(prepared.micro_batches())
    for one, batch in batches[:1]:
        images_of(bijections[one], labels[one], prepared.latents[one][batch], one in missing)
    wall, processor = time.perf_counter(), time.process_time()
    images = [
        images_of(bijections[one], labels[one], prepared.latents[one][batch], one in missing) for one, batch in batches
    ]
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    (one, batch), few = batches[0], 4
    plain = load_bijections(config, device=start().device())[one]
    z = prepared.latents[one][batch][:few]
    back = plain.invert(torch.from_numpy(images[0][:few]).to(plain.device), labels[one]).cpu().numpy()
    error = np.linalg.norm((back - z).reshape(few, -1), axis=1) / np.linalg.norm(z.reshape(few, -1), axis=1)
    count = len(batches) * making_rows.MICRO_BATCH
    return wall / count, processor / count, float(error.max())


def whole(
    name: str, rows: int, processes: int, options: list[str]
) -> tuple[dict[str, Any], float, float, float, list[str]]:
    """The summary of `generate` in processes of its own, wall and processor seconds of all of it with start-up, the
    most on the disk over what is left, and the digests of the data files."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    program = ["-m", "tests.performance.generate_in_batches", str(making_rows.MICRO_BATCH), "generate", name]
    with tempfile.TemporaryDirectory() as place:
        # Without the certificate, because inverting 64 rows takes longer than making 128.
        arguments = ["--out", f"{place}/out", "--no-certify", "--rows", str(rows), "--quiet", "--format", "json"]
        before, begin = os.times(), time.perf_counter()
        with most_on_disk(Path(place)) as most:
            shown = subprocess.run(
                [sys.executable, *launcher, *program, *arguments, *options],
                check=False,
                capture_output=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_search_path()])},
            )
        if shown.returncode:
            sys.exit(f"generate failed ({shown.returncode}): {shown.stderr.decode(errors='replace')[-2000:]}")
        wall, after = time.perf_counter() - begin, os.times()
        files = sorted(Path(place, "out", "data").rglob("*.parquet"))
        peak = max(most) / on_disk(Path(place))
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return json.loads(shown.stdout), wall, used, peak, digests


def on_disk(folder: Path) -> int:
    """Bytes of the files below a folder; what goes away meanwhile counts nothing."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return size


@contextlib.contextmanager
def most_on_disk(folder: Path) -> Iterator[list[int]]:
    """Sizes of a folder, ten times a second while something else runs."""
    found, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            found.append(on_disk(folder))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield found
        finally:
            over.set()
            watching.result()


def _search_path() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return given.split(os.pathsep) if given else []


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--configuration", default="common-cause-1.0")
    parser.add_argument("--pipeline", help="instead of the configuration's: a bundled name or a folder")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--micro-batch", type=int, default=making_rows.MICRO_BATCH)
    chosen = parser.parse_args()
    set_micro_batch(chosen.micro_batch)
    options = ["--pipeline", chosen.pipeline] if chosen.pipeline else []
    options += ["--compile"] * chosen.compile + ["--channels-last"] * chosen.channels_last
    print_heading()
    print(
        f"{chosen.configuration}{f' by {chosen.pipeline}' if chosen.pipeline else ''}, {chosen.rows} rows of two "
        f"images, micro-batches of {chosen.micro_batch}, "
        f"{start().device()}",
        flush=True,
    )
    alone = min(chosen.rows, max(64, chosen.micro_batch))
    wall, processor, error = network_alone(
        chosen.configuration, alone, chosen.pipeline, compiled=chosen.compile, channels_last=chosen.channels_last
    )
    print(
        f"  network alone, one process: {1 / wall:.2f} images/s by the wall, {1 / processor:.2f} per processor second; "
        f"round trip {error:.1e} (bound 2e-5)",
        flush=True,
    )
    first: list[str] = []
    for processes in (1, 2):
        summary, passed, used, peak, digests = whole(chosen.configuration, chosen.rows, processes, options)
        first = first or digests
        images = 2 * chosen.rows
        same = "" if processes == 1 else f"; files {'identical to' if digests == first else 'OTHER than'} those of one"
        print(
            f"  generate, {summary['world_size']} process(es): {images / summary['seconds']:.2f} images/s by the wall "
            f"({images / passed:.2f} with start-up), {images / used:.2f} per processor second; "
            f"{summary['network_fraction']:.1%} of the time of making rows inside the network (goal 90 %){same}; "
            f"at most {peak:.2f} of the final bytes on disk",
            flush=True,
        )
    if not torch.cuda.is_available():
        print("  GPU: not shown (there is none here)")


if __name__ == "__main__":
    main()
