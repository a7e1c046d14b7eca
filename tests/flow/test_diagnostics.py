"""Diagnostics against maps whose round trip, norms and eigenvalues are known."""

import pytest
import torch

from mmmi_hf.flow import (
    AsinhBijection,
    FlowMatchingPipeline,
    IdentityBijection,
    RoundTripReport,
    StepCertificate,
    round_trip,
    step_certificate,
)
from mmmi_hf.flow.diagnostics import _latents, extremes
from tests.networks import tiny_flow


@pytest.fixture(scope="module")
def flow():
    return tiny_flow((1, 4, 4), widths=(8,), classes=2, seed=1, patch_size=1, num_inference_steps=2)


def test_the_identity_comes_back_exactly():
    report = round_trip(IdentityBijection((5,)), per_class=7, batch_size=3)
    assert (report.n, report.relative_error_max, report.failures, report.forward_evaluations) == (7, 0.0, 0, 0)
    assert report.inverse_evaluations_max == 0
    assert RoundTripReport.from_json(report.to_json(), "report") == report


def test_a_broken_bijection_is_found_out():
    class Lossy(AsinhBijection):
        def _inverse(self, x):
            return super()._inverse(x) * 1.001

    report = round_trip(Lossy((6,)), per_class=9)
    assert report.relative_error_max == pytest.approx(1e-3, rel=1e-3)
    assert report.relative_error_median == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_a_flow_comes_back_and_is_left_as_it_was(flow, dtype, bound):
    report = round_trip(flow, per_class=3, batch_size=2, dtype=dtype)
    assert (report.n, report.failures, report.forward_evaluations) == (6, 0, 4)
    assert 0 < report.relative_error_median <= report.relative_error_max <= bound
    assert 4 < report.inverse_evaluations_mean <= report.inverse_evaluations_max
    assert report.dtype == str(dtype)[6:]
    assert flow.unet.dtype == torch.float32


def test_failures_are_counted(flow, monkeypatch):
    def lose_first(self, images, class_labels=None, **_options):
        latents = images.clone()
        latents[0] = torch.nan
        return latents

    monkeypatch.setattr(FlowMatchingPipeline, "invert", lose_first)
    report = round_trip(flow, per_class=4, batch_size=2)
    assert report.failures == 4
    assert report.relative_error_max is not None
    none_left = round_trip(flow, per_class=2, batch_size=1)
    assert (none_left.failures, none_left.relative_error_max, none_left.relative_error_median) == (4, None, None)


def test_latents_are_addressed_by_seed_class_and_row():
    assert torch.equal(_latents(0, 1, 3, (2, 2)), _latents(0, 1, 9, (2, 2))[:3])
    assert not torch.equal(_latents(0, 1, 3, (2, 2)), _latents(0, 2, 3, (2, 2)))
    assert not torch.equal(_latents(0, 1, 3, (2, 2)), _latents(1, 1, 3, (2, 2)))


@pytest.mark.parametrize("symmetric", [True, False])
def test_extremes_of_a_linear_step_are_those_of_its_matrix(symmetric):
    generator = torch.Generator().manual_seed(4)
    matrix = torch.randn(30, 30, generator=generator, dtype=torch.float64) / 6
    if symmetric:
        matrix = (matrix + matrix.T) / 2
    x = torch.randn(3, 5, 6, generator=generator, dtype=torch.float64)
    norm, smallest, direction = extremes(lambda x: x + (x.flatten(1) @ matrix.T).view(x.shape), x, 30, generator)
    assert torch.allclose(norm, torch.linalg.matrix_norm(matrix, 2), rtol=2e-3)
    assert (norm <= torch.linalg.matrix_norm(matrix, 2) * (1 + 1e-6)).all()
    assert torch.allclose(smallest, torch.linalg.eigvalsh((matrix + matrix.T) / 2)[0], rtol=1e-5)
    assert direction.shape == x.shape
    v = direction.flatten(1)
    assert torch.allclose(v.norm(dim=1), torch.ones(3, dtype=v.dtype))
    assert torch.allclose(((v @ matrix.T) * v).sum(1), smallest)


def test_the_certificate_agrees_with_dense_jacobians(flow):
    certificate = step_certificate(flow, samples=1, seed=2, iterations=16)
    pipe = FlowMatchingPipeline(flow.unet, flow.scheduler)
    pipe.unet.double()
    try:
        x = _latents(2, 0, 2, flow.latent_shape)
        velocity = pipe.velocity(torch.tensor([0, 0]))
        for k, seen in enumerate(certificate.steps):
            jacobian = torch.autograd.functional.jacobian(lambda y, k=k: pipe.scheduler.step(velocity, k, y)[0], x)
            a = jacobian[..., 0, :, :, :].reshape(16, 16) - torch.eye(16, dtype=x.dtype)
            assert seen.contraction == pytest.approx(float(torch.linalg.matrix_norm(a, 2)), rel=1e-3)
            assert seen.smallest_stretch == pytest.approx(1 + float(torch.linalg.eigvalsh((a + a.T) / 2)[0]), rel=1e-4)
            with torch.no_grad():
                after = pipe.scheduler.step(velocity, k, x)
            gap, moved = (x[0] - x[1]).flatten(), (after[0] - after[1]).flatten()
            assert seen.monotonicity == pytest.approx(float(gap @ moved / (gap @ gap)), rel=1e-9)
            x = after
    finally:
        pipe.unet.float()


def test_the_certificate_is_plain_json_and_sums_up(flow):
    certificate = step_certificate(flow, samples=5, iterations=4)
    assert StepCertificate.from_json(certificate.to_json(), "certificate") == certificate
    assert [step.step for step in certificate.steps] == [0, 1]
    assert sum(step.h for step in certificate.steps) == pytest.approx(1)
    assert certificate.contraction == max(step.contraction for step in certificate.steps)
    assert certificate.smallest_stretch == min(step.smallest_stretch for step in certificate.steps)
    assert certificate.monotonicity == min(step.monotonicity for step in certificate.steps)
    assert (certificate.samples, certificate.iterations) == (5, 4)


@pytest.mark.parametrize("number", [0, -1, True, 1.5])
def test_numbers_are_positive_integers(flow, number):
    for arguments in ({"per_class": number}, {"batch_size": number}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            round_trip(flow, **arguments)
    for arguments in ({"samples": number}, {"iterations": number}):
        with pytest.raises(ValueError, match="must be a positive integer"):
            step_certificate(flow, **arguments)


def test_a_dtype_without_an_inverse_is_refused(flow):
    with pytest.raises(ValueError, match=r"dtype must be torch.float32 or torch.float64, got torch.bfloat16"):
        round_trip(flow, dtype=torch.bfloat16)
