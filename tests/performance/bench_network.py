"""Prints how much of the processor a network uses, in each way to compute in float32. Asserts nothing.

Run: python -m tests.performance.bench_network [--pipeline fashion-mnist] [--images 32] [--threads 1] [--ways plain …]

The peak is a matrix product of 1024 × 1024 in the same run: ways and product take turns, so that a busy machine slows
both. "bits" says whether one evaluation gives those of the plain network, else the largest relative difference of a
row. "frozen" is torch.compile with weights as constants, which oneDNN packs once; "packed" is oneDNN's own fusion of a
traced network. Neither is offered by the package.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from mmmi_hf.flow import FlowMatchingPipeline
from tests.performance.heading import print_heading

REPEATS = 7
SIDE = 1024
WAYS = ("plain", "channels last", "compiled", "compiled, channels last", "frozen", "frozen, channels last", "packed")
Network = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def main() -> None:
    """Print one line for each way, and the peak."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", default="fashion-mnist")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    kind = print_heading()
    print(f"{chosen.pipeline}, {chosen.images} images at a time, {kind}, {chosen.threads} thread(s)", flush=True)
    with torch.no_grad():
        _measure(chosen.pipeline, chosen.images, chosen.ways)


def _measure(name: str, images: int, ways: tuple[str, ...]) -> None:
    unet = FlowMatchingPipeline.from_pretrained(name).unet.config
    size = unet.sample_size
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(images, unet.in_channels, size, size, generator=generator)
    given = (x, torch.full((images,), 5.0), torch.arange(images) % unet.num_class_embeds)
    a, b = (torch.randn(SIDE, SIDE, generator=generator) for _ in range(2))
    with FlopCounterMode(display=False) as counter:
        plain = network(name, "plain", given)
        expected = plain(*given)
    work = counter.get_total_flops() / images
    print(f"  one evaluation: {work / 1e9:.3f} GFLOP an image", flush=True)
    for way in ways:
        try:
            made = network(name, way, given)
            found = made(*given)  # what is compiled is compiled now
        except Exception as error:
            print(f"  {way}: not shown ({type(error).__name__}: {' '.join(str(error).split())[:100]})", flush=True)
            continue
        difference = ((found - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)).max()
        bits = "the same bits" if torch.equal(found, expected) else f"differs by {float(difference):.1e}"
        product, own, first = [], [], []
        for _ in range(REPEATS):
            product.append(2 * SIDE**3 / _seconds(lambda: a @ b))
            own.append(work * images / _seconds(lambda: made(*given)))  # noqa: B023 - called at once
            first.append(work * images / _seconds(lambda: plain(*given)))
        rate, peak, before = (statistics.median(values) / 1e9 for values in (own, product, first))
        print(
            f"  {way}: {rate:.1f} GFLOP/s, {rate / peak:.0%} of a matrix product's {peak:.1f}, "
            f"{rate / before:.2f} times plain; {bits}",
            flush=True,
        )


def network(name: str, way: str, given: tuple[torch.Tensor, ...]) -> Network:
    """The network of a pipeline, computing in one way."""
    import torch._inductor.config as inductor

    unet = FlowMatchingPipeline.from_pretrained(name).unet.eval().requires_grad_(False)
    if "channels last" in way:
        unet = unet.to(memory_format=torch.channels_last)

    def call(x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = unet(x, t, class_labels=labels, return_dict=False)[0]
        return result

    if way == "packed":
        traced = torch.jit.trace(_Positional(unet).eval(), given, check_trace=False)
        packed: Network = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
        return packed
    inductor.freezing = "frozen" in way
    inductor.deterministic = True  # no choice of kernels by timing
    if "compiled" in way or "frozen" in way:
        unet.compile()
    return call


class _Positional(torch.nn.Module):
    """A network that torch.jit can trace: a tensor out."""

    def __init__(self, unet: torch.nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: torch.Tensor, t: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.unet(x, t, class_labels=labels, return_dict=False)[0]
        return result


def _seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
