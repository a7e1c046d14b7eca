"""Measurements of a bijection: the error of a round trip, and evidence that every step can be undone.

Owns `round_trip` for any bijection and `step_certificate` for a flow. Knows nothing of causal models, data sets or
image quality; may import torch and the flow. Neither changes what it is given: a pipeline in another precision is
measured on a copy.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.common.records import Record
from mmmi_hf.flow.computing.precision import exact

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float

    from mmmi_hf.flow.bijection import Bijection
    from mmmi_hf.flow.pipeline import FlowMatchingPipeline

    LinearMap = Callable[[torch.Tensor], torch.Tensor]

CERTIFIED_TOGETHER = 4  # rows whose autograd graphs are held at a time
REACH = {torch.float64: 1e-7, torch.float32: 3e-4}
"""Of finite differences, in units of the norm of the point."""


class RoundTripReport(Record):
    """Error and price of latents → images → latents.

    Attributes:
        n: latents measured, equally many of every class.
        seed, dtype, batch_size: how they were measured.
        relative_error_max, relative_error_median: of ‖z − ẑ‖ / ‖z‖ over the latents whose inversion succeeded; None if
            none did.
        failures: latents whose inversion did not converge.
        forward_evaluations: network evaluations per micro-batch, on the way to images (0 without a network).
        inverse_evaluations_mean, inverse_evaluations_max: the same on the way back, over micro-batches.
        forward_seconds, inverse_seconds: wall time per latent.
    """

    n: int
    seed: int
    dtype: str
    batch_size: int
    relative_error_max: float | None = None
    relative_error_median: float | None = None
    failures: int
    forward_evaluations: int
    inverse_evaluations_mean: float
    inverse_evaluations_max: int
    forward_seconds: float
    inverse_seconds: float


def round_trip(
    bijection: Bijection,
    *,
    per_class: int = 64,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 32,
    progress: bool = False,
) -> RoundTripReport:
    """Send N(0, I) latents of every class to images and back, and measure ‖z − ẑ‖ / ‖z‖ of each.

    Latent r of class c is a function of (seed, c, r) alone, drawn in float64 and rounded to `dtype`.

    Args:
        bijection: any bijection; a pipeline of another dtype is measured as a copy converted to `dtype`.
        per_class: latents per class; a bijection without classes counts as one class.
        seed: of the latents.
        dtype: torch.float32 or torch.float64, in which both ways are computed.
        batch_size: rows per micro-batch; micro-batches hold one class.
        progress: show a progress bar.

    Raises:
        ValueError: per_class or batch_size below 1, or another dtype.
    """
    _positive(per_class=per_class, batch_size=batch_size)
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}; inverses need at least float32")
    private = bijection.in_precision(dtype)
    evaluations = _Counter(private.network)
    errors: list[float] = []
    forward: list[int] = []
    inverse: list[int] = []
    seconds = [0.0, 0.0]
    classes = [None] if bijection.num_classes is None else list(range(bijection.num_classes))
    with (
        evaluations,
        tqdm(total=len(classes) * per_class, desc="round trip", unit="latent", disable=not progress) as bar,
    ):
        for label in classes:
            latents = _latents(seed, label or 0, per_class, bijection.latent_shape)
            for z in latents.to(bijection.device, dtype).split(batch_size):
                started = time.perf_counter()
                images = private(z, label, batch_size=batch_size).images
                seconds[0] += _elapsed(started, images)
                forward.append(evaluations.taken())
                started = time.perf_counter()
                back = private.invert(images, label, batch_size=batch_size, on_failure="nan")
                seconds[1] += _elapsed(started, back)
                inverse.append(evaluations.taken())
                difference = (back.double() - z.double()).flatten(1).norm(dim=1)
                errors += (difference / z.double().flatten(1).norm(dim=1)).tolist()
                bar.update(len(z))
    finite = [error for error in errors if math.isfinite(error)]
    return RoundTripReport(
        n=len(errors),
        seed=int(seed),
        dtype=str(dtype).removeprefix("torch."),
        batch_size=int(batch_size),
        relative_error_max=max(finite, default=None),
        relative_error_median=statistics.median(finite) if finite else None,
        failures=len(errors) - len(finite),
        forward_evaluations=max(forward),
        inverse_evaluations_mean=statistics.fmean(inverse),
        inverse_evaluations_max=max(inverse),
        forward_seconds=seconds[0] / len(errors),
        inverse_seconds=seconds[1] / len(errors),
    )


class StepEvidence(Record):
    """What was seen of one step S(x) = x + hΨ(x), the extremes over all samples.

    Attributes:
        step, t, h: which step, where it starts, how long it is.
        contraction: largest h‖J‖, J the Jacobian of Ψ; below 1 the plain fixed point of the inverse contracts.
        smallest_stretch: smallest 1 + hλ_min((J + Jᵀ)/2); above 0 on a convex set, S is injective there.
        monotonicity: smallest ⟨S(x) − S(x'), x − x'⟩ / ‖x − x'‖² over pairs of trajectories of the same class.
    """

    step: int
    t: float
    h: float
    contraction: float
    smallest_stretch: float
    monotonicity: float


class StepCertificate(Record):
    """Evidence per step and the extremes over all, and how it was gathered: samples, seed and Krylov iterations."""

    samples: int
    seed: int
    iterations: int
    steps: tuple[StepEvidence, ...]
    contraction: float
    smallest_stretch: float
    monotonicity: float


def step_certificate(
    pipe: FlowMatchingPipeline, *, samples: int = 16, seed: int = 0, iterations: int = 12, progress: bool = False
) -> StepCertificate:
    """Probe the Jacobian of every discrete step along sampled trajectories.

    This is strong sampled evidence that the steps are invertible where data live, not a proof: it sees the points of
    the trajectories only, and Krylov estimates approach the true extremes from inside (a norm from below, a smallest
    eigenvalue from above).

    With A = hJ = DS − I at a point, a Lanczos process on (A + Aᵀ)/2 gives its smallest eigenvalue; ‖A‖ starts from
    the largest singular direction of A on the same Krylov space and is improved by power iteration on AᵀA. Products
    with A are finite differences, products with Aᵀ are autograd, all in float64 on a copy of the network.

    Args:
        pipe: the pipeline; sample r has class r mod num_classes and is paired with another latent of that class.
        samples: trajectories whose Jacobians are probed.
        seed: of the latents and of the Krylov processes.
        iterations: Lanczos iterations; a third as many power iterations follow.
        progress: show a progress bar.

    Raises:
        ValueError: samples or iterations below 1.
    """
    _positive(samples=samples, iterations=iterations)
    private = pipe.in_precision(torch.float64)
    scheduler = private.scheduler
    scheduler.set_timesteps()
    times = scheduler.times
    generator = torch.Generator().manual_seed(seed)
    evidence: list[list[tuple[float, float, float]]] = [[] for _ in times[1:]]
    drawn = _latents(seed, 0, 2 * samples, pipe.latent_shape).to(pipe.device).unflatten(0, (samples, 2))
    with (
        exact(private.unet, private.device),
        tqdm(total=samples * len(evidence), desc="step certificate", unit="step", disable=not progress) as bar,
    ):
        for start in range(0, samples, CERTIFIED_TOGETHER):
            x, other = drawn[start : start + CERTIFIED_TOGETHER].unbind(1)
            labels = None
            if pipe.num_classes is not None:
                labels = torch.arange(start, start + len(x), device=x.device) % pipe.num_classes
            velocity = private.velocity(labels)
            for k, seen in enumerate(evidence):

                def step(point: torch.Tensor, k: int = k, velocity: Any = velocity) -> torch.Tensor:
                    result: torch.Tensor = scheduler.step(velocity, k, point)
                    return result

                with torch.no_grad():
                    after, after_other = step(x), step(other)
                norm, smallest, _ = extremes(step, x, iterations, generator)
                gap = (x - other).flatten(1)
                moved = (after - after_other).flatten(1)
                monotone = (moved * gap).sum(1) / (gap * gap).sum(1)
                seen.extend(zip(norm.tolist(), (1 + smallest).tolist(), monotone.tolist(), strict=True))
                x, other = after, after_other
                bar.update(len(x))
    steps = tuple(
        StepEvidence(
            step=k,
            t=times[k],
            h=times[k + 1] - times[k],
            contraction=max(row[0] for row in seen),
            smallest_stretch=min(row[1] for row in seen),
            monotonicity=min(row[2] for row in seen),
        )
        for k, seen in enumerate(evidence)
    )
    return StepCertificate(
        samples=int(samples),
        seed=int(seed),
        iterations=int(iterations),
        steps=steps,
        contraction=max(step.contraction for step in steps),
        smallest_stretch=min(step.smallest_stretch for step in steps),
        monotonicity=min(step.monotonicity for step in steps),
    )


def extremes(
    step: LinearMap, x: Float[torch.Tensor, " n *shape"], iterations: int, generator: torch.Generator
) -> tuple[Float[torch.Tensor, " n"], Float[torch.Tensor, " n"], Float[torch.Tensor, " n *shape"]]:
    """‖A‖ and λ_min((A + Aᵀ)/2) of A = DS − I at every row of x, each (B,), and the unit direction of the latter.

    The rows are probed as `step_certificate` describes, in the dtype of x; the direction is shaped like x.
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_(True)
        image = step(point)
    reach = REACH[x.dtype] * x.flatten(1).norm(dim=1, keepdim=True).clamp(min=1.0)

    def product(v: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            moved = step(x + (reach * v).view(x.shape))
        change: torch.Tensor = (moved - image.detach()).flatten(1) / reach - v
        return change

    def transposed(v: torch.Tensor) -> torch.Tensor:
        gradient: torch.Tensor = torch.autograd.grad(image, point, v.view(x.shape), retain_graph=True)[0]
        return gradient.flatten(1) - v

    v = _unit(torch.randn(x.flatten(1).shape, generator=generator, dtype=x.dtype).to(x.device))
    basis: list[torch.Tensor] = []
    products: list[torch.Tensor] = []
    images: list[torch.Tensor] = []
    for _ in range(min(iterations, v.shape[1])):
        basis.append(v)
        products.append(product(v))
        images.append((products[-1] + transposed(v)) / 2)
        stacked = torch.stack(basis, dim=2)
        w = images[-1]
        for _ in range(2):  # Gram–Schmidt twice is enough
            w = w - (stacked @ (stacked.mT @ w[:, :, None]))[:, :, 0]
        v = _unit(w)
    stacked, on_basis = torch.stack(basis, dim=2), torch.stack(products, dim=2)
    projected = stacked.mT @ torch.stack(images, dim=2)
    smallest, vectors = torch.linalg.eigh((projected + projected.mT) / 2)
    least = (stacked @ vectors[:, :, :1]).view(x.shape)
    norm, direction = torch.linalg.eigh(on_basis.mT @ on_basis)
    largest, v = norm[:, -1].sqrt(), (stacked @ direction[:, :, -1:])[:, :, 0]
    for _ in range(math.ceil(iterations / 3)):
        v = _unit(transposed(product(v)))
        largest = torch.maximum(largest, product(v).norm(dim=1))
    return largest, smallest[:, 0], least


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    norms = vectors.norm(dim=1, keepdim=True)
    return vectors / torch.where(norms > 0, norms, 1.0)


def _latents(seed: int, label: int, n: int, shape: tuple[int, ...]) -> torch.Tensor:
    """N(0, I) latents (n, *shape), float64; the first rows do not depend on n."""
    stream = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, label))))
    return torch.from_numpy(stream.standard_normal((n, *shape)))


def _elapsed(started: float, result: torch.Tensor) -> float:
    if result.is_cuda:
        torch.cuda.synchronize(result.device)
    return time.perf_counter() - started


def _positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if not is_whole(number, 1):
            raise ValueError(f"{name} must be a positive integer, got {number!r}")


class _Counter:
    """Counts the evaluations of a network inside a with block; none where there is none."""

    def __init__(self, network: torch.nn.Module | None) -> None:
        self._network = network
        self._handle: Any = None
        self._count = 0

    def __enter__(self) -> None:
        if self._network is not None:
            self._handle = self._network.register_forward_pre_hook(self._one)

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.remove()

    def taken(self) -> int:
        """Evaluations since the last call."""
        count, self._count = self._count, 0
        return count

    def _one(self, *_: object) -> None:
        self._count += 1
