"""Solving F(x) = y for a batch of independent rows: how a discrete step is undone.

Owns the iterations and nothing else: it sees a map of tensors, not a network, a path or a grid. Imports torch only.

Every row of the batch is an equation of its own: row i of F(x) depends on row i of x. Rows have their own residual,
their own memory and their own verdict; a row that has converged is frozen. The whole batch is evaluated every time, so
that the batch size seen by F, and with it F's rounding, never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    Map = Callable[[torch.Tensor], torch.Tensor]

KRYLOV_DIMENSION = 30
NEWTON_STEPS = 12
PATIENCE = 8  # Anderson iterations without progress after which a row is handed to Newton's method.


@dataclass(frozen=True)
class Solution:
    """What a solve returned.

    Attributes:
        x: the solution, shaped like the target; rows that failed hold their best iterate.
        residual: (B,) float64, ‖F(x) − y‖ / ‖y‖ of each row (‖F(x)‖ where y = 0).
        failed: (B,) bool, rows whose residual is not acceptable.
        evaluations: how often F was called.
    """

    x: torch.Tensor
    residual: torch.Tensor
    failed: torch.Tensor
    evaluations: int


def solve(
    function: Map,
    target: torch.Tensor,
    start: torch.Tensor,
    *,
    tolerance: float,
    accepted: float,
    max_iterations: int,
    memory: int = 10,
) -> Solution:
    """Solve F(x) = y row by row: an Anderson-accelerated fixed point, then Newton–Krylov for the rows it leaves.

    The fixed point is x ← x + (y − F(x)), started at `start` and accelerated with the last `memory` differences. It
    needs no derivative and converges on maps near the identity even where the plain iteration does not contract. Rows
    that make no progress go on with Newton's method, its linear systems solved by GMRES with finite differences.

    Args:
        function: F, acting on each row independently; same shape, dtype and device in and out.
        target: y, (B, ...).
        start: first iterate, (B, ...).
        tolerance: relative residual at which a row is finished.
        accepted: relative residual at which a row that rounding keeps from improving further is finished too.
        max_iterations: Anderson iterations at most.
        memory: differences kept for the acceleration.
    """
    problem = _Problem(function, target, start, tolerance, accepted)
    _anderson(problem, max_iterations, memory)
    if bool(problem.open_rows().any()):
        _newton_krylov(problem)
    return Solution(problem.best, problem.residual, ~(problem.residual <= accepted), problem.evaluations)


class _Problem:
    """The state that both iterations share: the best iterate of every row and its relative residual."""

    def __init__(
        self, function: Map, target: torch.Tensor, start: torch.Tensor, tolerance: float, accepted: float
    ) -> None:
        self.function, self.shape = function, target.shape
        self.target, self.best = target.flatten(1), start.flatten(1).clone()
        self.tolerance, self.accepted = tolerance, max(accepted, tolerance)
        norm = self.target.double().norm(dim=1)
        self.scale = torch.where(norm > 0, norm, 1.0)
        self.residual = torch.full_like(norm, torch.inf)
        self.evaluations = 0

    def map(self, x: torch.Tensor) -> torch.Tensor:
        self.evaluations += 1
        return self.function(x.view(self.shape)).flatten(1)

    def measure(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(y − F(x), relative residuals (B,)), remembering the rows where x is the best so far."""
        remainder = self.target - self.map(x)
        residual = (remainder.double().norm(dim=1) / self.scale).nan_to_num(nan=torch.inf)
        better = residual < self.residual
        self.best = torch.where(better[:, None], x, self.best)
        self.residual = torch.where(better, residual, self.residual)
        return remainder, residual

    def open_rows(self) -> torch.Tensor:
        return ~(self.residual <= self.accepted)


def _anderson(problem: _Problem, max_iterations: int, memory: int) -> None:
    x = problem.best
    stalled = torch.zeros_like(problem.residual, dtype=torch.int64)
    xs: list[torch.Tensor] = []
    remainders: list[torch.Tensor] = []
    for _ in range(max_iterations):
        before = problem.residual
        remainder, _ = problem.measure(x)
        stalled = torch.where(problem.residual < 0.7 * before, 0, stalled + 1)
        done = (problem.residual <= problem.tolerance) | ((problem.residual <= problem.accepted) & (stalled >= 3))
        active = ~(done | (stalled >= PATIENCE))
        if not bool(active.any()):
            return
        xs, remainders = [*xs, x][-memory - 1 :], [*remainders, remainder][-memory - 1 :]
        step = remainder
        if len(xs) > 1:
            step = _accelerated(xs, remainders)
        x = torch.where(active[:, None], x + step, problem.best)


def _accelerated(xs: list[torch.Tensor], remainders: list[torch.Tensor]) -> torch.Tensor:
    """The update r − (ΔX + ΔR) γ, where γ minimises ‖r − ΔR γ‖ (Anderson, type II), row by row in float64.

    The least squares are solved through the eigenvectors of the Gram matrix of normalised columns; directions below
    rounding are dropped, so that a repeated or zero column (a frozen row) does no harm.
    """
    cutoff = 10 * torch.finfo(xs[0].dtype).eps
    dx = torch.stack([b.double() - a.double() for a, b in pairwise(xs)], dim=2)
    dr = torch.stack([b.double() - a.double() for a, b in pairwise(remainders)], dim=2)
    norms = dr.norm(dim=1, keepdim=True)
    norms = torch.where((norms > 0) & norms.isfinite(), norms, torch.inf)
    unit = dr / norms
    last = remainders[-1].double()
    values, vectors = torch.linalg.eigh((unit.mT @ unit).nan_to_num(0.0, 0.0, 0.0))
    inverse = torch.where(values > cutoff, 1 / values.clamp(min=cutoff), 0.0)
    projected = vectors.mT @ (unit.mT @ last[:, :, None])
    gamma = (vectors @ (inverse[:, :, None] * projected)) / norms.mT
    update: torch.Tensor = last - ((dx + dr) @ gamma)[:, :, 0]
    return update.to(xs[0].dtype)


def _newton_krylov(problem: _Problem) -> None:
    """Newton's method on the open rows, from their best iterates; steps are halved until the residual falls."""
    for _ in range(NEWTON_STEPS):
        x, before, open_rows = problem.best, problem.residual, problem.open_rows()
        if not bool(open_rows.any()):
            return
        image = problem.map(x)
        remainder = torch.where(open_rows[:, None], problem.target - image, 0.0)
        finite = remainder.isfinite().all(dim=1, keepdim=True)
        direction = _gmres(problem, x, image, torch.where(finite, remainder, 0.0))
        for halving in range(6):
            problem.measure(x + direction * 0.5**halving)
            if bool((problem.residual < before)[open_rows].all()):
                break
        if not bool((problem.residual < 0.9 * before)[open_rows].any()):
            return


def _gmres(problem: _Problem, x: torch.Tensor, image: torch.Tensor, remainder: torch.Tensor) -> torch.Tensor:
    """d with ‖r − J d‖ ≤ 1e-3 ‖r‖ in the Krylov space of J = ∂F/∂x, or the best d of that space."""
    step = torch.finfo(x.dtype).eps ** 0.5 * x.double().norm(dim=1, keepdim=True).clamp(min=1.0).to(x.dtype)
    size = remainder.double().norm(dim=1)
    basis = [_unit(remainder)]
    columns: list[torch.Tensor] = []
    solution = torch.zeros_like(remainder)
    for dimension in range(1, min(KRYLOV_DIMENSION, x.shape[1]) + 1):
        w = ((problem.map(x + step * basis[-1]) - image) / step).nan_to_num(0.0, 0.0, 0.0)
        stacked = torch.stack(basis, dim=2)
        coefficients = torch.zeros(len(x), dimension, dtype=x.dtype, device=x.device)
        for _ in range(2):  # Gram–Schmidt twice is enough
            part = (stacked.mT @ w[:, :, None])[:, :, 0]
            w = w - (stacked @ part[:, :, None])[:, :, 0]
            coefficients = coefficients + part
        length = w.double().norm(dim=1, keepdim=True).to(x.dtype)
        columns.append(torch.cat([coefficients, length], dim=1))
        hessenberg = torch.zeros(len(x), dimension + 1, dimension, dtype=torch.float64)
        for index, column in enumerate(columns):
            hessenberg[:, : index + 2, index] = column.double().cpu()
        right = torch.zeros(len(x), dimension + 1, 1, dtype=torch.float64)
        right[:, 0, 0] = size.cpu()
        small = torch.linalg.pinv(hessenberg) @ right
        solution = (stacked @ small.to(x.dtype).to(x.device))[:, :, 0]
        error = (right - hessenberg @ small).norm(dim=(1, 2))
        if bool((error <= 1e-3 * size.cpu()).all()):
            break
        basis.append(_unit(w))
    return solution


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    norms = vectors.double().norm(dim=1, keepdim=True)
    return (vectors / torch.where(norms > 0, norms, 1.0)).to(vectors.dtype)
