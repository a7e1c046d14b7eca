"""Sliced, mixed and vine estimators: against closed forms and brute force."""

import math
import sys

import numpy as np
import pytest
from scipy.special import digamma

from mmmi_hf.benchmark import Pairs, make_estimator
from mmmi_hf.benchmark.estimator import CannotSayError, MissingPackageError
from mmmi_hf.benchmark.estimators.mixed_ksg import mixed_ksg
from mmmi_hf.benchmark.estimators.ross import ross
from mmmi_hf.benchmark.neighbours import ksg


def z_of(found, expected):
    z = (found.value - expected) / found.standard_error
    print(f"{found.value:.4f} ± {found.standard_error:.4f}, expected {expected:.4f}, z {z:.2f}")
    return z


@pytest.mark.statistical
def test_sliced_is_the_mean_over_directions():
    """Of y = u·x + noise and a direction θ the correlation is ρ (θ·u): the mean of −½ ln(1 − ρ² (θ·u)²)."""
    generator = np.random.default_rng(0)
    a = generator.standard_normal((3000, 3))
    parts = [Pairs(a[k::3], a[k::3, 0] + 0.3 * generator.standard_normal(1000)) for k in range(3)]
    estimator = make_estimator("sliced", directions=400).fit(*parts[:2])
    found = estimator.estimate(parts[2])
    # θ·u is uniform on (−1, 1) in three dimensions
    t = (np.arange(100_000) + 0.5) / 100_000
    expected = float(np.mean(-0.5 * np.log1p(-(t**2) / 1.09)))
    drawn = estimator._axes[0][0]
    error = math.hypot(found.standard_error, np.std(-0.5 * np.log1p(-(drawn**2) / 1.09)) / 20)
    print(f"{found.value:.3f} ± {error:.3f}, expected {expected:.3f}, z {(found.value - expected) / error:.2f}")
    assert abs(found.value - expected) < 4 * error
    assert found.value < 0.5 * math.log(1 + 1 / 0.09)


def test_mixed_ksg_is_ksg_where_nothing_repeats_and_a_count_where_all_does():
    generator = np.random.default_rng(1)
    a = generator.standard_normal((80, 2))
    b = a[:, :1] + generator.standard_normal((80, 1))
    assert mixed_ksg(a, b, 3) == pytest.approx(ksg(a, b, 3))
    labels = np.repeat([[0.0], [1.0]], 40, axis=0)
    # both blocks are the same label: every such row is there 40 times
    assert mixed_ksg(labels, labels, 3) == pytest.approx(digamma(80) + digamma(40) - 2 * digamma(40))
    with pytest.raises(ValueError, match="3 neighbours need more rows than 3"):
        mixed_ksg(a[:3], b[:3], 3)


@pytest.mark.statistical
def test_mixed_ksg_reads_nothing_of_independent_labels():
    generator = np.random.default_rng(4)
    values = [mixed_ksg(*generator.integers(4, size=(2, 400, 1)).astype(float)) for _ in range(60)]
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    print(f"{np.mean(values):.4f} ± {error:.4f}, z {np.mean(values) / error:.2f}")
    assert abs(np.mean(values)) < 4 * error


@pytest.mark.statistical
def test_standardised_labels_are_far_apart_in_few_coordinates_only():
    """Far-apart labels are `ross`; standardised ones are not, where neighbours are farther away than labels differ."""
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=1000)
    for d, same in ((4, True), (64, False)):
        rows = generator.standard_normal((1000, d)) + np.outer(2.4 * labels - 1.2, np.full(d, d**-0.5))
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        far, within = mixed_ksg(rows, 1e3 * labels[:, None].astype(float)), ross(rows, labels)
        near = mixed_ksg(rows, ((labels - labels.mean()) / labels.std())[:, None])
        print(f"{d} coordinates: {near:.3f}, far apart {far:.3f}, ross {within:.3f}")
        assert far == pytest.approx(within)
        assert (near == pytest.approx(within, abs=0.02)) == same
    assert near < 0.1
    assert within > 0.15


@pytest.mark.statistical
def test_mixed_ksg_takes_labels():
    """Two classes of equal share, rows N(±1, ½²): I by quadrature."""
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 3000).astype(float)
    pairs = Pairs(2 * labels - 1 + 0.5 * generator.standard_normal(3000), labels)
    parts = [pairs.take(np.arange(k, 3000, 3)) for k in range(3)]
    found = make_estimator("mixed-ksg").fit(*parts[:2]).estimate(parts[2])
    x = np.linspace(-6, 6, 20_001)
    p = [np.exp(-((x - mean) ** 2) / 0.5) / math.sqrt(math.pi / 2) for mean in (-1, 1)]
    truth = sum(np.trapezoid(0.5 * each * np.log(each / (0.5 * p[0] + 0.5 * p[1])), x) for each in p)
    assert abs(z_of(found, truth)) < 4


def test_vines_say_how_to_get_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvinecopulib", None)
    with pytest.raises(MissingPackageError, match=r"needs the package .*; install it: pip install 'mmmi-hf\[vine\]'"):
        make_estimator("vine").require()


@pytest.mark.statistical
@pytest.mark.filterwarnings("error::DeprecationWarning")
def test_vines_read_normal_rows_and_refuse_many_coordinates():
    pytest.importorskip("pyvinecopulib")
    generator = np.random.default_rng(3)
    a = generator.standard_normal((1800, 2))
    pairs = Pairs(a, np.exp(a.sum(axis=1) + generator.standard_normal(1800)))  # ranks do not see the exponential
    parts = [pairs.take(np.arange(k, 1800, 3)) for k in range(3)]
    found = make_estimator("vine").fit(*parts[:2]).estimate(parts[2])
    truth = 0.5 * math.log(3.0)
    assert abs(z_of(found, truth)) < 4
    wide = Pairs(generator.standard_normal((50, 12)), generator.standard_normal(50))
    with pytest.raises(CannotSayError, match="13 coordinates would be 78 pairs; a vine is fitted to at most 12"):
        make_estimator("vine").fit(wide, wide)
