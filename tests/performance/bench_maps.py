"""Prints what the default map costs beside an earlier one: there, back, in the README's first command. Asserts nothing.

Run: python -m tests.performance.bench_maps [--before CHECKOUT] [--pipelines fashion-mnist fashion-mnist-2] [--rows 256]
[--images 16] [--skip-command]

CHECKOUT is a folder of the repository at an earlier commit (`git worktree add CHECKOUT COMMIT`), whose own code is then
measured too, with its default pipeline: the old map with the old solve. Everything is measured in one run, one after
the other, in processes of their own; the command is `generate common-cause-1.0 --rows ROWS` with its certificate, into
an empty folder, on all processors. Processor time is given beside wall time, which a busy machine stretches.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.performance.heading import print_heading
from tests.support import ROOT

PROGRAM = """
import json, sys, time
import torch
torch.set_num_threads(1)
from mmmi_hf import FlowMatchingPipeline
name, images = sys.argv[1], int(sys.argv[2])
pipe = FlowMatchingPipeline.from_pretrained(name)
pipe.set_progress_bar_config(disable=True)
evaluations = [0]
pipe.unet.register_forward_hook(lambda *given: evaluations.__setitem__(0, evaluations[0] + 1))
z = torch.randn(images, *pipe.latent_shape, generator=torch.Generator().manual_seed(0))
pipe(z[:1], 7)
found = {}
def measured(what, call):
    evaluations[0], wall, processor = 0, time.perf_counter(), time.process_time()
    result = call()
    found[what] = {
        "wall": (time.perf_counter() - wall) / images,
        "processor": (time.process_time() - processor) / images,
        "evaluations": evaluations[0],
    }
    return result
x = measured("there", lambda: pipe(z, 7).images)
back = measured("back", lambda: pipe.invert(x, 7))
found["error"] = float(((back - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)).max())
print(json.dumps(found))
"""


def measure(tree: Path, pipeline: str, images: int) -> dict[str, Any]:
    """Wall and processor seconds per image and evaluations of the network, there and back, on one thread."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, pipeline, str(images)]
    done = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def first_command(tree: Path, pipeline: str | None, rows: int) -> tuple[float, float, str]:
    """Wall and processor seconds of the README's first command, and where the certificate's time went."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--rows", str(rows), "--format", "json", *(("--pipeline", pipeline) if pipeline else ())]
        command = [sys.executable, "-m", "mmmi_hf", "generate", "common-cause-1.0", "--out", f"{folder}/d", *options]
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.perf_counter()
        environment = os.environ | {"PYTHONPATH": str(tree)}
        done = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True)
        wall = time.perf_counter() - begin
        processor = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        seconds = json.loads(done.stdout).get("certificate_seconds", {})
    return wall, processor, ", ".join(f"{what} {value:.0f}" for what, value in seconds.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--pipelines", nargs="+", default=["fashion-mnist", "fashion-mnist-2"])
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--skip-command", action="store_true")
    given = parser.parse_args()
    print_heading()
    trees = [("before", given.before.resolve(), "fashion-mnist")] if given.before else []
    trees += [("now", ROOT, pipeline) for pipeline in given.pipelines]
    first: dict[str, float] = {}
    for label, tree, pipeline in trees:
        found = measure(tree, pipeline, given.images)
        print(f"\n{label}, {pipeline}; float32 round trip {found['error']:.1e} at most")
        for what in ("there", "back"):
            each = found[what]
            base = first.setdefault(what, each["processor"])
            print(
                f"  {what:6} {each['evaluations']:4} evaluations, {1 / each['wall']:6.2f} images/s, "
                f"{each['processor']:.3f} s of a processor an image, {each['processor'] / base:.2f} of the first"
            )
        if given.skip_command:
            continue
        wall, processor, parts = first_command(tree, None if label == "before" else pipeline, given.rows)
        base = first.setdefault("wall", wall), first.setdefault("processor", processor)
        print(
            f"  command {wall:6.1f} s ({wall / base[0]:.2f} of the first), {processor:.0f} s of processors "
            f"({processor / base[1]:.2f}); certificate: {parts or 'not timed'}"
        )


if __name__ == "__main__":
    main()
