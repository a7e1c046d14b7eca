"""Prints what faster arithmetic would cost: images/s and round trip of every way to compute. Asserts nothing.

Run: python -m tests.performance.bench_precision [--pipeline cifar10] [--images 8 …] [--ways "strict float32" …]

Images are made in each way, in micro-batches of each size, and inverted by the ordinary network in strict float32, as
`verify` does, at most 64 of them; the bound is 2e-5. bfloat16 and TF32 are not offered by the package: this shows why.
On a CPU there are neither TF32 nor CUDA graphs.
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
INVERTED = 64
STRICT, GRAPHS = "strict float32", "float32 in CUDA graphs"
WAYS = (STRICT, "float32 channels last", "TF32", "bfloat16 autocast", "float32 compiled", GRAPHS)


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
    """Print one line for each size and way; a way of its own rate is compared with strict float32 if that is shown."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", default="cifar10")
    parser.add_argument("--images", type=int, nargs="+", default=[8])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = print_heading()
    for images in chosen.images:
        print(f"{chosen.pipeline}, {images} images at a time, {kind}, {torch.get_num_threads()} thread(s)", flush=True)
        speed = None
        for way in chosen.ways:
            if way in ("TF32", GRAPHS) and device == "cpu":
                print(f"  {way}: not shown (there is no GPU here)")
                continue
            rate, largest, failed = measured(chosen.pipeline, way, images, device)
            speed = rate if way == STRICT else speed
            kept = "within" if failed == 0 and largest <= BOUND else "beyond"
            compared = "" if speed is None else f" {rate / speed:.2f} times strict float32;"
            print(
                f"  {way}: {rate:.2f} images/s,{compared} round trip {largest:.1e}, {failed} not inverted: {kept} the "
                f"bound {BOUND:.0e}",
                flush=True,
            )


def measured(name: str, way: str, images: int, device: str) -> tuple[float, float, int]:
    """Images/s of one way, the largest relative error of a round trip, and how many images were not inverted."""
    plain, pipe, inside = _new(name, device), _new(name, device), contextlib.nullcontext()
    z = torch.randn(images, *plain.latent_shape, generator=torch.Generator().manual_seed(0)).to(device)
    labels = (torch.arange(images) % 10).to(device)
    if "compiled" in way:
        pipe.unet.compile()
    if way == GRAPHS:
        pipe.unet.compile(backend="cudagraphs")
    if "channels last" in way:
        pipe.unet.to(memory_format=torch.channels_last)
    if way == "TF32":
        inside = tf32(pipe)
    if "bfloat16" in way:  # inside the network: the pipeline itself switches it off before
        pipe.unet.forward = torch.autocast(device, torch.bfloat16)(pipe.unet.forward)
    with inside:
        pipe(z, labels)
        _wait(device)
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            made = pipe(z, labels).images
            _wait(device)
            seconds.append(time.perf_counter() - started)
    z, labels, made = z[:INVERTED], labels[:INVERTED], made[:INVERTED].float()
    back = plain.invert(made, labels, on_failure="nan")
    error = (back - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1)
    failed = int(error.isnan().sum())
    return images / statistics.median(seconds), float(error.nan_to_num(0.0).max()), failed


def _new(name: str, device: str) -> FlowMatchingPipeline:
    pipe: FlowMatchingPipeline = FlowMatchingPipeline.from_pretrained(name).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
