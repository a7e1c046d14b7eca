"""Prints what faster arithmetic would cost: images/s and round trip of every way to compute. Asserts nothing.

Run: python -m tests.performance.bench_precision [--pipeline cifar10] [--images 8]

Images are made in each way and inverted by the ordinary network in strict float32, as `verify` does; the bound is 2e-5.
bfloat16 and TF32 are not offered by the package: this shows why. On a CPU there is no TF32.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Iterator
from typing import Any

import torch

from mmmi_hf.flow import FlowMatchingPipeline
from tests.performance.heading import print_heading

BOUND = 2e-5
REPEATS = 3


@contextlib.contextmanager
def tf32(pipe: FlowMatchingPipeline) -> Iterator[None]:
    """TF32 inside the network; the pipeline itself switches it off before."""

    def switch(_module: Any, _inputs: Any) -> None:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]

    handle = pipe.unet.register_forward_pre_hook(switch)
    try:
        yield
    finally:
        handle.remove()


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", default="cifar10")
    parser.add_argument("--images", type=int, default=8)
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    plain = _new(chosen.pipeline, device)
    z = torch.randn(chosen.images, *plain.latent_shape, generator=torch.Generator().manual_seed(0)).to(device)
    labels = (torch.arange(chosen.images) % 10).to(device)
    kind = print_heading()
    print(f"{chosen.pipeline}, {chosen.images} images at a time, {kind}, {torch.get_num_threads()} thread(s)")
    speed = None
    for name in ("strict float32", "float32 channels last", "TF32", "bfloat16 autocast", "float32 compiled"):
        if name == "TF32" and device == "cpu":
            print("  TF32: not shown (there is no GPU here)")
            continue
        pipe, inside = _new(chosen.pipeline, device), contextlib.nullcontext()
        if "compiled" in name:
            pipe.unet.compile()
        if "channels last" in name:
            pipe.unet.to(memory_format=torch.channels_last)
        if name == "TF32":
            inside = tf32(pipe)
        if "bfloat16" in name:
            inside = torch.autocast(device, torch.bfloat16)
        with inside:
            pipe(z, labels)
            _wait(device)
            seconds = []
            for _ in range(REPEATS):
                started = time.perf_counter()
                images = pipe(z, labels).images
                _wait(device)
                seconds.append(time.perf_counter() - started)
        rate = chosen.images / statistics.median(seconds)
        back = plain.invert(images.float(), labels, on_failure="nan")
        error = (back - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
        failed = int(error.isnan().sum())
        largest = float(error.nan_to_num(0.0).max())
        speed = speed or rate
        kept = "within" if failed == 0 and largest <= BOUND else "beyond"
        print(
            f"  {name}: {rate:.2f} images/s, {rate / speed:.2f} times strict float32; round trip {largest:.1e}, "
            f"{failed} not inverted: {kept} the bound {BOUND:.0e}"
        )


def _new(name: str, device: str) -> FlowMatchingPipeline:
    pipe: FlowMatchingPipeline = FlowMatchingPipeline.from_pretrained(name).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
