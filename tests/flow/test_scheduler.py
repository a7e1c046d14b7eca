"""The steps: their order, their exact inverses, and what happens where there is none."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm

from mmmi_hf.flow.scheduler import FlowMatchODEScheduler, InversionError

SIGMA = 0.02
BOUND = {torch.float32: 2e-5, torch.float64: 1e-10}


def gaussian_field(deviation, mean=0.7):
    """Exact velocity for x_1 ~ N(mean, deviation²): x_t is Gaussian, so v is affine in x.

    With a = 1 − (1−σ) t and s² = a² + t² deviation²: v = mean + (t deviation² − (1−σ) a)/s² · (x − t mean).
    """

    def velocity(x, t):
        a = 1 - (1 - SIGMA) * t
        slope = (t * deviation**2 - (1 - SIGMA) * a) / (a**2 + (t * deviation) ** 2)
        return mean + slope * (x - t * mean)

    return velocity


WEIGHTS, MEANS, WIDTH = (0.3, 0.7), (-1.0, 0.8), 0.4


def mixture_field(x, t):
    """Exact velocity for data of two Gaussians: v = (E[x_1 | x_t] − (1−σ) x_t)/a with a = 1 − (1−σ) t."""
    a = 1 - (1 - SIGMA) * t
    variance = a**2 + (t * WIDTH) ** 2
    logits = torch.stack([math.log(w) - (x - t * m) ** 2 / (2 * variance) for w, m in zip(WEIGHTS, MEANS, strict=True)])
    means = torch.stack([m + t * WIDTH**2 / variance * (x - t * m) for m in MEANS])
    return ((logits.softmax(0) * means).sum(0) - (1 - SIGMA) * x) / a


def mixture_quantiles(z):
    """Where the flow of `mixture_field` takes z: on a line it keeps quantiles, so x solves F(x) = Φ(z)."""
    deviation = math.sqrt(SIGMA**2 + WIDTH**2)

    def excess(x, value):
        parts = zip(WEIGHTS, MEANS, strict=True)
        return sum(w * norm.cdf(x, m, deviation) for w, m in parts) - norm.cdf(value)

    return torch.tensor([brentq(excess, -9, 9, args=(value,), xtol=1e-14) for value in z], dtype=torch.float64)


def rough_field(strength):
    """A smooth non-linear field that mixes coordinates, with Jacobian of norm near `strength`."""
    mixing = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64))[0]

    def velocity(x, t):
        return strength * torch.tanh(x @ mixing.to(x.dtype) + t)

    return velocity


def run(scheduler, velocity, x):
    for k in range(len(scheduler)):
        x = scheduler.step(velocity, k, x)
    return x


@pytest.mark.parametrize("grid", ["cosine", "uniform"])
@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("midpoint", 2)])
def test_order_of_the_solver(solver, order, grid):
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    expected = mixture_quantiles(z.tolist())
    steps = np.array([32, 64, 128, 256])
    errors = []
    for n in steps:
        scheduler = FlowMatchODEScheduler(num_inference_steps=int(n), solver=solver, grid=grid)
        errors.append(float((run(scheduler, mixture_field, z) - expected).abs().max()))
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(-order, abs=0.15)


def test_grids():
    cosine = FlowMatchODEScheduler(num_inference_steps=4)
    assert cosine.times == pytest.approx([0, (1 - math.sqrt(0.5)) / 2, 0.5, (1 + math.sqrt(0.5)) / 2, 1])
    assert (cosine.times[0], cosine.times[-1]) == (0.0, 1.0)
    uniform = FlowMatchODEScheduler(num_inference_steps=4, grid="uniform", timestep_scale=10.0)
    assert uniform.times == (0, 0.25, 0.5, 0.75, 1)
    assert uniform.timesteps.tolist() == [0, 2.5, 5, 7.5]
    assert len(uniform.set_timesteps(6)) == 6
    assert len(uniform.set_timesteps()) == 4


def test_a_grid_of_ones_own(tmp_path):
    times = [0, 0.25, 0.75, 1.0]
    made = FlowMatchODEScheduler(num_inference_steps=3, grid=times, solver="euler", timestep_scale=4.0)
    assert made.times == (0.0, 0.25, 0.75, 1.0)
    assert made.timesteps.tolist() == [0, 1, 3]
    assert len(made.set_timesteps(3)) == 3
    made.save_pretrained(tmp_path)
    assert FlowMatchODEScheduler.from_pretrained(tmp_path).times == made.times
    with pytest.raises(ValueError, match="must be 3, the steps of this scheduler's own grid, got 4"):
        made.set_timesteps(4)


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([0.0, 0.5, 0.5, 1.0], "grid must rise from 0 to 1"),
        ([0.1, 0.5, 0.6, 1.0], "grid must rise from 0 to 1"),
        ([0.0, 0.5, 0.6, 0.9], "grid must rise from 0 to 1"),
        ([0.0], "grid must rise from 0 to 1"),
        ([0.0, math.nan, 0.5, 1.0], "grid must rise from 0 to 1"),
        ([0.0, "half", 0.6, 1.0], "grid must be 'cosine', 'uniform' or a list of times"),
        (3, "grid must be 'cosine', 'uniform' or a list of times, got 3"),
        ([0.0, 0.5, 1.0], "num_inference_steps must be 2 for a grid of 3 times, got 3"),
    ],
)
def test_grids_that_are_none(times, says):
    with pytest.raises(ValueError, match=says):
        FlowMatchODEScheduler(num_inference_steps=3, grid=times)


def test_a_step_is_undone_as_exactly_as_its_place_demands():
    """a(t)/σ times the tolerance of the last step, so that every step contributes the same error to the latents."""
    scheduler, field = FlowMatchODEScheduler(num_inference_steps=4, sigma_min=0.02), gaussian_field(0.5)
    x = run(scheduler, field, torch.randn(4, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    asked = []
    for k in reversed(range(4)):
        undone = scheduler.invert_step(field, k, x)
        allowed = 2e-13 * (1 - 0.98 * scheduler.times[k + 1]) / 0.02
        assert float(undone.residual.max()) <= max(allowed, 1e-12)
        asked.append(scheduler.invert_step(field, k, x, tolerance=allowed).evaluations == undone.evaluations)
        x = undone.sample
    assert all(asked)


def test_the_slope_of_the_next_step_is_not_evaluated_again():
    """A Euler step then starts where `reverse_step` does, for one evaluation less; other solvers do not use it."""
    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for solver, saved in (("euler", 1), ("midpoint", 0)):
        scheduler, field = FlowMatchODEScheduler(num_inference_steps=4, solver=solver), rough_field(0.8)
        first = scheduler.step(field, 0, z)
        second = scheduler.step(field, 1, first)
        cold = scheduler.invert_step(field, 0, first)
        warm = scheduler.invert_step(field, 0, first, after_next=second)
        assert cold.evaluations - warm.evaluations == saved
        assert torch.allclose(warm.sample, cold.sample, rtol=1e-9, atol=1e-10)
        lost = scheduler.invert_step(field, 0, first, after_next=second * math.nan, on_failure="nan")
        assert not lost.failed.any()
        last = scheduler.step(field, 3, z)
        assert torch.equal(
            scheduler.invert_step(field, 3, last, after_next=last).sample, scheduler.invert_step(field, 3, last).sample
        )


@pytest.mark.parametrize("solver", ["euler", "midpoint"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("field", [gaussian_field(0.5), rough_field(0.8)], ids=["gaussian", "rough"])
def test_every_step_is_undone(solver, dtype, field):
    scheduler = FlowMatchODEScheduler(solver=solver)
    z = torch.randn(5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    x = run(scheduler, field, z)
    assert x.dtype == dtype
    for k in reversed(range(len(scheduler))):
        undone = scheduler.invert_step(field, k, x)
        assert undone.sample.dtype == dtype
        assert not undone.failed.any()
        assert undone.evaluations % scheduler.evaluations_per_step == 0
        x = undone.sample
    assert float(((x - z).norm(dim=1) / z.norm(dim=1)).max()) <= BOUND[dtype]


@pytest.mark.parametrize("strength", [1.0, 4.0, 12.0])
def test_a_step_too_strong_for_the_plain_fixed_point_is_undone(strength):
    """Divergence-free mixing: h‖J‖ is `strength`/2, far above 1, and yet I + hJ is regular."""
    half = 8
    generator = torch.Generator().manual_seed(1)
    block = torch.linalg.qr(torch.randn(half, half, generator=generator, dtype=torch.float64))[0]
    rotation = torch.zeros(2 * half, 2 * half, dtype=torch.float64)
    rotation[:half, half:], rotation[half:, :half] = block, -block.mT

    def velocity(x, t):
        return strength * torch.sin(x @ rotation) if t < 0 else strength * (x @ rotation)

    scheduler = FlowMatchODEScheduler(num_inference_steps=2, grid="uniform", solver="euler")
    z = torch.randn(3, 16, generator=generator, dtype=torch.float64)
    undone = scheduler.invert_step(velocity, 0, scheduler.step(velocity, 0, z))
    assert torch.allclose(undone.sample, z, rtol=1e-10, atol=1e-11)


def collapse(x, t):
    """With one Euler step of length 1 everything goes to 0: nothing can be undone."""
    return -x


@pytest.mark.parametrize(("grid", "advised"), [("cosine", True), ([0, 1], False)])
def test_a_step_without_inverse_fails_with_a_remedy(grid, advised):
    """More steps are none for a student, which has learned its own."""
    scheduler = FlowMatchODEScheduler(num_inference_steps=1, solver="euler", grid=grid)
    with pytest.raises(InversionError, match=r"step 0 of 1 .* 2 of 2 rows \(0, 1\).*residual 1\.0e\+00.*float64") as e:
        scheduler.invert_step(collapse, 0, torch.ones(2, 3))
    assert "\n" not in str(e.value)
    assert ("more steps" in str(e.value)) == advised
    assert isinstance(e.value, RuntimeError)


def test_rows_fail_alone():
    """Row 1 is constant under the step, the others are not; each keeps its own verdict."""
    switch = torch.tensor([[0.3], [-1.0], [0.3], [0.3]])
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    z[3, 0] = torch.nan
    scheduler = FlowMatchODEScheduler(num_inference_steps=1, solver="euler")

    def velocity(x, t):
        return switch * x

    target = scheduler.step(velocity, 0, z)
    target[1] = 1.0
    undone = scheduler.invert_step(velocity, 0, target, on_failure="nan")
    assert undone.failed.tolist() == [False, True, False, True]
    assert undone.sample[[1, 3]].isnan().all()
    assert torch.allclose(undone.sample[[0, 2]], z[[0, 2]], rtol=1e-5)
    assert undone.residual[3] == math.inf


def test_gradients_flow_through_a_step():
    x = torch.ones(1, 2, requires_grad=True)
    FlowMatchODEScheduler().step(gaussian_field(0.5), 0, x).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_a_zero_target_is_a_target():
    undone = FlowMatchODEScheduler().invert_step(gaussian_field(0.5, mean=0.0), 3, torch.zeros(2, 4))
    assert not undone.failed.any()
    assert undone.sample.abs().max() < 1e-6


def test_configuration_survives_saving(tmp_path):
    made = FlowMatchODEScheduler(sigma_min=0.1, num_inference_steps=5, grid="uniform", solver="euler", timestep_scale=3)
    made.save_pretrained(tmp_path)
    again = FlowMatchODEScheduler.from_pretrained(tmp_path)
    assert again.times == made.times
    assert {k: v for k, v in again.config.items() if k[0] != "_"} == {
        "sigma_min": 0.1,
        "num_inference_steps": 5,
        "grid": "uniform",
        "solver": "euler",
        "timestep_scale": 3,
    }
    assert len(FlowMatchODEScheduler.from_config(again.config, num_inference_steps=16)) == 16


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma_min", 0.0),
        ("sigma_min", 1.0),
        ("sigma_min", math.nan),
        ("num_inference_steps", 0),
        ("num_inference_steps", 2.5),
        ("num_inference_steps", True),
        ("grid", "linear"),
        ("solver", "heun"),
        ("timestep_scale", 0.0),
        ("timestep_scale", math.inf),
    ],
)
def test_configuration_is_checked(field, value):
    with pytest.raises(ValueError, match=f"{field} must .*got .*usual"):
        FlowMatchODEScheduler(**{field: value})


def test_arguments_are_checked():
    scheduler, field, x = FlowMatchODEScheduler(), gaussian_field(0.5), torch.ones(1, 2)
    for k in (-1, 8):
        with pytest.raises(ValueError, match=r"k must be a step of this grid, 0 … 7"):
            scheduler.step(field, k, x)
    with pytest.raises(ValueError, match="float32 or float64"):
        scheduler.invert_step(field, 0, x.half())
    with pytest.raises(ValueError, match="tolerance must be positive"):
        scheduler.invert_step(field, 0, x, tolerance=0.0)
    with pytest.raises(ValueError, match="on_failure must be 'raise' or 'nan'"):
        scheduler.invert_step(field, 0, x, on_failure="ignore")
