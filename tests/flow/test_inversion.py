"""The two iterations that solve F(x) = y, on maps whose solution is known."""

import pytest
import torch

from mmmi_hf.flow import inversion
from mmmi_hf.flow.inversion import solve

DTYPES = {torch.float32: (1e-6, 3e-6), torch.float64: (1e-13, 1e-12)}


def linear(eigenvalues, seed=0):
    """x → x M with M symmetric of these eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    size = len(eigenvalues)
    frame = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    matrix = frame @ torch.diag(torch.as_tensor(eigenvalues, dtype=torch.float64)) @ frame.mT
    return lambda x: x @ matrix.to(x.dtype)


def random(rows, size, dtype=torch.float64, seed=1):
    return torch.randn(rows, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_a_map_near_the_identity_takes_few_iterations(dtype):
    function, x = linear(torch.linspace(0.6, 1.6, 40)), random(4, 40, dtype)
    tolerance, accepted = DTYPES[dtype]
    found = solve(function, function(x), function(x), tolerance=tolerance, accepted=accepted, max_iterations=60)
    assert not found.failed.any()
    assert torch.allclose(found.x, x, atol=20 * accepted)
    plain = 1 + torch.log(torch.tensor(tolerance)) / torch.log(torch.tensor(0.6))
    assert found.evaluations < plain, "accelerated: fewer than the plain iteration needs"


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_newton_takes_over_where_the_fixed_point_gives_up(dtype, monkeypatch):
    """Eigenvalues of both signs: x ← x + y − F(x) is no contraction in any scaling."""
    function, x = linear([-2.0, -1.0, 0.5, 1.0, 3.0, 8.0] * 5), random(3, 30, dtype)
    tolerance, accepted = DTYPES[dtype]
    called = []
    newton = inversion._newton_krylov
    monkeypatch.setattr(inversion, "_newton_krylov", lambda problem: called.append(newton(problem)))
    found = solve(function, function(x), x + 1, tolerance=tolerance, accepted=accepted, max_iterations=3)
    assert called, "three iterations of the fixed point are not enough"
    assert not found.failed.any()
    assert torch.allclose(found.x, x, atol=40 * accepted)


def test_newton_halves_steps_that_overshoot():
    """From 3, Newton's first full step for arctan lands near −9.5 and diverges."""
    found = solve(
        torch.atan,
        torch.full((1, 1), 0.2, dtype=torch.float64),
        torch.full((1, 1), 3.0, dtype=torch.float64),
        tolerance=1e-12,
        accepted=1e-12,
        max_iterations=1,
    )
    assert not found.failed.any()
    assert float(found.x) == pytest.approx(0.20271003550867, rel=1e-11)


def test_rows_are_equations_of_their_own():
    """A row that cannot be solved, one that starts solved, and one in between do not disturb each other."""
    scale = torch.tensor([[0.0], [1.0], [1.4]], dtype=torch.float64)
    x = random(3, 6)
    target = scale * x
    target[0] = 1.0
    found = solve(lambda x: scale * x, target, target, tolerance=1e-13, accepted=1e-12, max_iterations=30)
    assert found.failed.tolist() == [True, False, False]
    assert torch.equal(found.x[1], x[1])
    assert torch.allclose(found.x[2], x[2], rtol=1e-12)
    assert found.residual[0] == pytest.approx(1.0)
    alone = solve(lambda x: 1.4 * x, target[2:], target[2:], tolerance=1e-13, accepted=1e-12, max_iterations=30)
    assert torch.allclose(alone.x[0], found.x[2], rtol=1e-14)


def test_an_iterate_that_leaves_the_domain_does_no_harm():
    """log is NaN below zero: the best iterate is kept, and what cannot be had is reported."""
    target = torch.tensor([[1.0], [torch.inf]], dtype=torch.float64)
    found = solve(torch.log, target, torch.ones_like(target), tolerance=1e-12, accepted=1e-12, max_iterations=30)
    assert found.failed.tolist() == [False, True]
    assert float(found.x[0]) == pytest.approx(torch.e, rel=1e-11)
    assert found.x.isfinite().all()


def test_rounding_that_stops_all_progress_is_accepted_up_to_the_bound():
    """A map that rounds to multiples of 2⁻²⁰ has a residual that no iteration can bring to zero."""

    def coarse(x):
        return torch.round(1.3 * x * 2**20) / 2**20

    target = coarse(random(2, 50)) + 2.0**-22
    found = solve(coarse, target, target, tolerance=1e-12, accepted=1e-6, max_iterations=60)
    assert not found.failed.any()
    assert found.residual.min() > 1e-8
    strict = solve(coarse, target, target, tolerance=1e-12, accepted=1e-9, max_iterations=60)
    assert strict.failed.all()
