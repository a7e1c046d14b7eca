"""Image-quality formulae against independent routes: matrix roots, brute force, exact binomial coverage."""

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmi_hf.flow.evaluation.metrics import binomial_interval, frechet_distance, nearest, precision_recall


def _rows(n, d, seed, scale=1.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def _frechet_by_matrix_root(a, b):
    a, b = a.numpy(), b.numpy()
    sa, sb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(sa @ sb).real
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(sa + sb - 2 * root)


@settings(max_examples=25, deadline=None)
@given(d=st.integers(2, 6), n=st.integers(20, 60), seed=st.integers(0, 1000), shift=st.floats(-3, 3))
def test_frechet_equals_the_textbook_formula(d, n, seed, shift):
    mixing = _rows(d, d, seed + 1)
    a, b = _rows(n, d, seed), _rows(n + 7, d, seed + 2) @ mixing + shift
    assert frechet_distance(a, b) == pytest.approx(_frechet_by_matrix_root(a, b), rel=1e-6, abs=1e-9)


def test_frechet_of_diagonal_laws_in_closed_form():
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    a, b = signs * torch.tensor([2.0, 3.0]), signs * torch.tensor([5.0, 1.0]) + torch.tensor([1.0, 0.0])
    unbiased = 4 / 3
    assert frechet_distance(a, b) == pytest.approx(1 + unbiased * ((2 - 5) ** 2 + (3 - 1) ** 2), rel=1e-12)


def test_frechet_is_zero_of_equals_symmetric_and_bears_singular_covariances():
    a, b = _rows(30, 8, 0), _rows(5, 8, 1)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    constant = torch.zeros(40, 1, dtype=torch.float64)
    assert frechet_distance(torch.cat([a, constant[:30]], 1), torch.cat([b, constant[:5]], 1)) == pytest.approx(
        frechet_distance(a, b), rel=1e-9
    )


@pytest.mark.statistical
def test_frechet_of_two_samples_of_one_law_shrinks_as_one_over_n():
    # E ≈ c/n with one c for all n: n × distance at two sizes agrees within the scatter over repetitions.
    values = {
        n: np.array([n * frechet_distance(_rows(n, 4, s), _rows(n, 4, s + 500)) for s in range(40)]) for n in (200, 800)
    }
    difference = values[200].mean() - values[800].mean()
    error = math.hypot(*(v.std(ddof=1) / math.sqrt(len(v)) for v in values.values()))
    print(f"z = {difference / error:.2f}")
    assert abs(difference / error) < 4.5


def _precision_recall_by_loops(real, samples, k):
    def coverage(manifold, points):
        radii = [sorted(float((x - y).norm()) for y in manifold)[k] for x in manifold]
        hits = [any(float((p - x).norm()) <= r for x, r in zip(manifold, radii, strict=True)) for p in points]
        return sum(hits) / len(hits)

    return coverage(real, samples), coverage(samples, real)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(5, 18), k=st.integers(1, 4), seed=st.integers(0, 1000), scale=st.floats(0.2, 3))
def test_precision_and_recall_equal_brute_force(n, k, seed, scale):
    real, samples = _rows(n, 3, seed), _rows(n, 3, seed + 1, scale)
    assert precision_recall(real, samples, k=k) == pytest.approx(_precision_recall_by_loops(real, samples, k))


def test_precision_and_recall_tell_collapse_from_noise():
    real = _rows(300, 2, 0)
    precision, recall = precision_recall(real, _rows(300, 2, 1, 0.05))
    assert precision > 0.95
    assert recall < 0.2
    precision, recall = precision_recall(real, _rows(300, 2, 1, 8.0))
    assert precision < 0.3
    assert recall > 0.7
    assert precision_recall(real, real) == (1.0, 1.0)


def test_nearest_equals_a_full_sort_across_chunks():
    queries, references = _rows(5, 7, 0).float(), _rows(2300, 7, 1).float()
    wanted = [sorted(range(2300), key=lambda j, q=q: float((q - references[j]).double().norm()))[:4] for q in queries]
    assert nearest(queries, references, 4).tolist() == wanted


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (3, 10), (10, 10), (917, 1000), (9171, 10000)])
def test_wilson_interval_equals_scipy(successes, trials):
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    low, high = binomial_interval(successes, trials)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-12, abs=1e-15)
    assert low <= successes / trials <= high


def test_wilson_interval_covers_near_95_percent_exactly_summed():
    n, p = 400, 0.8
    inside = [k for k in range(n + 1) if (ends := binomial_interval(k, n))[0] <= p <= ends[1]]
    assert scipy.stats.binom.pmf(inside, n, p).sum() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(torch.zeros(3), torch.zeros(3, 1)), "a must be a matrix of at least 2 rows"),
        (lambda: frechet_distance(torch.zeros(3, 1), torch.zeros(1, 1)), "b must be a matrix of at least 2 rows"),
        (lambda: frechet_distance(torch.zeros(3, 1), torch.zeros(3, 2)), "equally many columns, got 1 and 2"),
        (lambda: precision_recall(torch.zeros(3, 1), torch.zeros(4, 1)), "real must be a matrix of at least 4 rows"),
        (lambda: precision_recall(torch.zeros(5, 1), torch.zeros(4, 1)), "equally many rows, got 5 and 4"),
        (lambda: nearest(torch.zeros(2, 1), torch.zeros(3, 1), 4), "k must lie in 1 … 3"),
        (lambda: nearest(torch.zeros(2, 1), torch.zeros(3, 1), 0), "k must lie in 1 … 3"),
        (lambda: binomial_interval(3, 2), "got 3 of 2"),
        (lambda: binomial_interval(-1, 2), "got -1 of 2"),
        (lambda: binomial_interval(0, 0), "got 0 of 0"),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
