"""The discrete steps of a flow-matching ODE, forward and exactly back.

Owns the time grid, the step formulae and their inversion. Knows nothing of networks, classes or image layout: a
velocity field is any callable (x, t) → v. May import torch and diffusers' scheduler base classes, and
of this room the contract's error and the solver.

The mutual information of a dataset is claimed for the composition of the steps below, not for the ODE that they
approximate; so what is inverted is the step that was made, to rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from mmmi_hf.common.numbers import is_whole
from mmmi_hf.flow.bijection import InversionError
from mmmi_hf.flow.inversion import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float

    Velocity = Callable[[torch.Tensor, float], torch.Tensor]

# Relative residual of one step: where a row is finished, and what is accepted where rounding stops all progress.
TOLERANCE = {torch.float32: 1e-7, torch.float64: 2e-13}
ACCEPTED = {torch.float32: 3e-7, torch.float64: 1e-12}


@dataclass(frozen=True)
class InvertedStep:
    """An undone step.

    Attributes:
        sample: the sample before the step, shaped like the one after it; NaN in the rows that failed.
        residual: (B,) float64, ‖step(sample) − after‖ / ‖after‖ of each row.
        failed: (B,) bool.
        evaluations: calls of the velocity field.
    """

    sample: torch.Tensor
    residual: torch.Tensor
    failed: torch.Tensor
    evaluations: int


class FlowMatchODEScheduler(SchedulerMixin, ConfigMixin):
    r"""Explicit steps along the path x_t = (1 − (1−σ) t) z + t x_1 from t = 0 (latents) to t = 1 (images).

    With v the velocity field, t_k the grid and h = t_{k+1} − t_k, step k is

    - Euler: x_{k+1} = x_k + h v(x_k, t_k);
    - midpoint: x_{k+1} = x_k + h v(x_k + (h/2) v(x_k, t_k), t_k + h/2).

    Euler steps of the exact velocity are diffeomorphisms at any step size. With a = 1 − (1−σ) t, the Jacobian of the
    velocity at time t is J = (1/a) [(t/a²) Cov(x_1 | x_t) − (1−σ) I], symmetric and no smaller than −((1−σ)/a) I, as a
    covariance is positive semi-definite. Hence I + hJ ⪰ ((a − (1−σ) h)/a) I = (a_{k+1}/a_k) I, which is positive
    because a ≥ σ > 0 on [0, 1]; the gradient map of a strongly convex function is invertible, and the product of the
    bounds shows that the inverse of the whole map has Lipschitz constant at most 1/σ. (Independent coupling and no
    guidance are assumed.) A trained network only approximates that velocity, and midpoint steps have no unconditional
    bound of this kind: the invertibility of a checkpoint is measured, not assumed (`mmmi_hf.flow.diagnostics`).

    Args:
        sigma_min: σ, standard deviation that is left of the latents at t = 1; strictly between 0 and 1.
        num_inference_steps: n, steps of the map.
        grid: "cosine", t_k = (1 − cos(πk/n))/2; "uniform", t_k = k/n; or a list of the n + 1 times themselves, rising
            from 0 to 1.
        solver: "midpoint" (two velocity evaluations per step) or "euler" (one).
        timestep_scale: what a network is fed for t is timestep_scale × t.

    Raises:
        ValueError: a value outside those named.

    The configuration fixes the map. To use another grid, make another scheduler:
    ``FlowMatchODEScheduler.from_config(scheduler.config, num_inference_steps=16)``.
    """

    order = 2

    @register_to_config
    def __init__(
        self,
        sigma_min: float = 0.02,
        num_inference_steps: int = 8,
        grid: Literal["cosine", "uniform"] | list[float] = "cosine",
        solver: Literal["midpoint", "euler"] = "midpoint",
        timestep_scale: float = 10.0,
    ) -> None:
        if not 0 < sigma_min < 1:
            raise ValueError(f"sigma_min must lie strictly between 0 and 1, got {sigma_min}; 0.02 is usual")
        if not isinstance(grid, str):
            _check_times(grid, num_inference_steps)
        elif grid not in ("cosine", "uniform"):
            raise ValueError(f"grid must be 'cosine', 'uniform' or a list of times, got {grid!r}; 'cosine' is usual")
        if solver not in ("midpoint", "euler"):
            raise ValueError(f"solver must be 'midpoint' or 'euler', got {solver!r}; 'midpoint' is usual")
        if not (math.isfinite(timestep_scale) and timestep_scale > 0):
            raise ValueError(f"timestep_scale must be positive and finite, got {timestep_scale}; 10.0 is usual")
        self.times: tuple[float, ...] = ()
        self.timesteps = torch.empty(0)
        self.set_timesteps()

    def set_timesteps(
        self, num_inference_steps: int | None = None, device: str | torch.device | None = None
    ) -> FlowMatchODEScheduler:
        """Compute the grid in float64.

        Sets `times`, n + 1 numbers from 0 to 1, and `timesteps`, what a network is fed at the start of each step: n
        values, a float32 tensor.

        Args:
            num_inference_steps: n; None for the configured number.
            device: of `timesteps`.

        Raises:
            ValueError: no positive integer, or another than that of a grid of one's own.
        """
        n = self.config.num_inference_steps if num_inference_steps is None else num_inference_steps
        if not is_whole(n, 1):
            raise ValueError(f"num_inference_steps must be a positive integer, got {n!r}; 8 is usual")
        if not isinstance(self.config.grid, str):
            if n != self.config.num_inference_steps:
                raise ValueError(
                    f"num_inference_steps must be {self.config.num_inference_steps}, the steps of this scheduler's own "
                    f"grid, got {n}; make another scheduler for another grid"
                )
            self.times = tuple(map(float, self.config.grid))
        elif self.config.grid == "cosine":
            self.times = tuple((1 - math.cos(math.pi * k / n)) / 2 for k in range(n + 1))
        else:
            self.times = tuple(k / n for k in range(n + 1))
        scaled = [t * self.config.timestep_scale for t in self.times[:-1]]
        self.timesteps = torch.tensor(scaled, dtype=torch.float32, device=device)
        return self

    def __len__(self) -> int:
        """The number of steps."""
        return len(self.times) - 1

    @property
    def evaluations_per_step(self) -> int:
        """How often `step` asks for the velocity."""
        return 2 if self.config.solver == "midpoint" else 1

    def step(
        self, velocity: Velocity, k: int, sample: Float[torch.Tensor, " n *shape"]
    ) -> Float[torch.Tensor, " n *shape"]:
        """Step k from t_k to t_{k+1}.

        Args:
            velocity: (x, t) → v with x, v of the sample's shape and dtype, and t a float in [0, 1].
            k: 0 … n − 1.
            sample: x_k, (B, ...), float32 or float64.

        Returns:
            x_{k+1}, of the sample's shape, dtype and device; gradients flow through.
        """
        t, h = self._interval(k)
        slope = velocity(sample, t)
        if self.config.solver == "midpoint":
            slope = velocity(torch.add(sample, slope, alpha=h / 2), t + h / 2)
        return torch.add(sample, slope, alpha=h)

    def reverse_step(
        self, velocity: Velocity, k: int, sample: Float[torch.Tensor, " n *shape"]
    ) -> Float[torch.Tensor, " n *shape"]:
        """The same formula run from t_{k+1} to t_k: undoes step k to the order of the solver only.

        `velocity` and `k` are as in `step`, `sample` is x_{k+1}.
        """
        t, h = self._interval(k)
        slope = velocity(sample, t + h)
        if self.config.solver == "midpoint":
            slope = velocity(torch.add(sample, slope, alpha=-h / 2), t + h / 2)
        return torch.add(sample, slope, alpha=-h)

    @torch.no_grad()
    def invert_step(
        self,
        velocity: Velocity,
        k: int,
        sample: Float[torch.Tensor, " n *shape"],
        *,
        after_next: Float[torch.Tensor, " n *shape"] | None = None,
        tolerance: float | None = None,
        max_iterations: int = 60,
        on_failure: Literal["raise", "nan"] = "raise",
    ) -> InvertedStep:
        """Undo step k: find x_k with step(x_k) = x_{k+1} to rounding.

        An Anderson-accelerated fixed point started at `reverse_step`, then Newton–Krylov for rows where it stalls.

        How exact a step has to be depends on its place: on the way to the latents, an error at time t is magnified by
        1/a(t), a = 1 − (1−σ) t, at most (of exact Euler steps), and by 1/σ at the end of the path. So the default
        tolerance of step k is a(t_{k+1})/σ times that of the last step: all steps contribute equally.

        Args:
            velocity: as in `step`; row i of its result may depend on row i of x alone.
            k: 0 … n − 1.
            sample: x_{k+1}, (B, ...), float32 or float64. Rows that are not finite count as failed.
            after_next: x_{k+2}, if it is known: the slope of step k + 1 need not be evaluated again to start a Euler
                step's reversal. Not used by other solvers, nor for the last step.
            tolerance: relative residual of each row; by default 1e-7 in float32 and 2e-13 in float64 for the last
                step, more for earlier ones. Rows that rounding keeps from it are accepted up to 3e-7 and 1e-12, or up
                to a larger tolerance.
            max_iterations: fixed-point iterations before Newton's method is tried.
            on_failure: "raise", or "nan" to return NaN in the rows that failed.

        Raises:
            InversionError: a row did not meet its tolerance and on_failure is "raise".
            ValueError: a dtype other than float32 and float64, a tolerance that is not positive, or no such step.
        """
        if sample.dtype not in TOLERANCE:
            raise ValueError(f"sample must be float32 or float64 to be inverted, got {sample.dtype}; cast it first")
        if tolerance is not None and not tolerance > 0:
            raise ValueError(f"tolerance must be positive, got {tolerance}; leave it out for the default of the dtype")
        if on_failure not in ("raise", "nan"):
            raise ValueError(f"on_failure must be 'raise' or 'nan', got {on_failure!r}")
        wanted = TOLERANCE[sample.dtype] * self._slack(k) if tolerance is None else tolerance
        accepted = max(ACCEPTED[sample.dtype], wanted)
        rest = (1,) * (sample.ndim - 1)
        lost = ~sample.flatten(1).isfinite().all(dim=1)
        target = torch.where(lost.view(-1, *rest), 0.0, sample)
        start, spent = self._reversal(velocity, k, target, after_next)
        solution = solve(
            lambda x: self.step(velocity, k, x),
            target,
            start,
            tolerance=wanted,
            accepted=accepted,
            max_iterations=max_iterations,
        )
        failed = solution.failed | lost
        if on_failure == "raise" and bool(failed.any()):
            rows = failed.nonzero()[:, 0].tolist()
            worst = float(torch.where(lost, torch.inf, solution.residual).max())
            more = ", use more steps" if isinstance(self.config.grid, str) else ""  # a student has learned its own grid
            raise InversionError(
                f"step {k} of {len(self)} could not be undone for {len(rows)} of {len(failed)} rows "
                f"({', '.join(map(str, rows[:8]))}{', …' if len(rows) > 8 else ''}): relative residual {worst:.1e}, "
                f"accepted {accepted:.1e}; invert in float64{more}, or pass on_failure='nan' to skip them"
            )
        x = torch.where(failed.view(-1, *rest), torch.nan, solution.x.view(sample.shape))
        evaluations = self.evaluations_per_step * solution.evaluations + spent
        return InvertedStep(x, torch.where(lost, torch.inf, solution.residual), failed, evaluations)

    def _reversal(
        self, velocity: Velocity, k: int, sample: torch.Tensor, after_next: torch.Tensor | None
    ) -> tuple[torch.Tensor, int]:
        """Where the iteration starts, and the evaluations that it took."""
        if self.config.solver == "euler" and after_next is not None and k + 1 < len(self):
            _, h = self._interval(k)
            _, h_next = self._interval(k + 1)
            start = sample - (h / h_next) * (after_next - sample)
            return torch.where(start.isfinite(), start, sample), 0
        return self.reverse_step(velocity, k, sample), self.evaluations_per_step

    def _slack(self, k: int) -> float:
        """a(t_{k+1}) / σ: how much less than the last step's an error of step k is magnified on the way to latents."""
        sigma = float(self.config.sigma_min)
        return (1 - (1 - sigma) * self.times[k + 1]) / sigma

    def _interval(self, k: int) -> tuple[float, float]:
        if not 0 <= k < len(self):
            raise ValueError(f"k must be a step of this grid, 0 … {len(self) - 1}, got {k}")
        return self.times[k], self.times[k + 1] - self.times[k]


def rises_from_0_to_1(times: Sequence[float]) -> bool:
    """Whether times can be those of a grid."""
    return len(times) > 1 and times[0] == 0 and times[-1] == 1 and all(a < b for a, b in pairwise(times))


def _check_times(grid: Sequence[float], steps: int) -> None:
    """Refuse a grid of one's own that is none, or that has another number of steps."""
    if not isinstance(grid, list | tuple) or not all(type(t) in (int, float) for t in grid):
        raise ValueError(f"grid must be 'cosine', 'uniform' or a list of times, got {grid!r}")
    if not rises_from_0_to_1(grid):
        raise ValueError(f"grid must rise from 0 to 1, got {list(grid)}")
    if len(grid) - 1 != steps:
        raise ValueError(f"num_inference_steps must be {len(grid) - 1} for a grid of {len(grid)} times, got {steps}")
