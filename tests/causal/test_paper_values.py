"""Reference values, the paper's Appendix B, and dense float64 log-determinants against the structured algebra."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mmmi_hf.causal import CausalModel, InfiniteInformationError, common_cause, decaying_modalities, two_telescopes

RELATIVE = 1e-9


def close(value):
    return pytest.approx(value, rel=RELATIVE, abs=0)


def test_story_one_at_full_size():
    model = common_cause((3, 32, 32))
    assert model.mutual_information("y", "x1") == close(4.0152047810652)
    assert model.mutual_information("x1", "x2") == close(3.6687125511304)
    assert model.mutual_information("y", ["x1", "x2"]) == close(4.3616970110001)


def test_story_two_from_the_norms_of_its_templates():
    norm, inner = 773.3628, 633.8707
    first, second = np.zeros((3, 32, 32)), np.zeros((3, 32, 32))
    first.flat[0] = math.sqrt(norm)
    second.flat[0] = inner / math.sqrt(norm)
    second.flat[1] = math.sqrt(norm - inner**2 / norm)
    mass = CausalModel(
        [1.0, 0.0], [[1.0, 1.0], [1.0, 0.0]], np.eye(2), shape=(3, 32, 32), templates=[[first, second], [first, None]]
    )
    assert mass.mutual_information("y", "x1") == close(2.7716010614265)
    assert mass.mutual_information("y", "x2") == close(3.3260202488092)
    assert mass.mutual_information("x1", "x2") == close(2.6295191323451)
    atmosphere = CausalModel(
        [0.0, 1.0], [[1.0, 1.0], [1.0, 0.0]], np.eye(2), shape=(3, 32, 32), templates=[[first, second], [first, None]]
    )
    assert atmosphere.mutual_information("y", "x2") == 0.0
    assert two_telescopes((3, 32, 32), eta_1=0.0, eta_2=1.0).mutual_information("y", "x2") == 0.0


def test_story_three_at_full_size():
    model = decaying_modalities((3, 32, 32), alpha=1.2, beta=1.2)
    assert model.mutual_information("y", "x1") == close(3.4359638596575)
    assert model.mutual_information("y", "x10") == close(1.8081755769088)
    assert model.mutual_information("x1", "x2") == close(5731.3677716364)
    assert model.mutual_information("x1", "x10") == close(710.69607838376)
    assert decaying_modalities((3, 32, 32), alpha=1.6, beta=1.6).mutual_information("x1", "x2") == close(
        2613.2984035249
    )


def appendix_b(eta, weights, mixing, d):
    """The closed forms for two modalities with templates of ones, in rational numbers up to the logarithm."""
    eta = np.array([Fraction(float(value)) for value in eta])
    w1, w2, g1, g2 = (np.array([Fraction(float(value)) for value in row]) for row in (*weights, *mixing))
    a, r1, r2 = eta @ eta, eta @ w1, eta @ w2
    o, q, p = w1 @ w1, w2 @ w2, w1 @ w2
    b, c, f = o + g1 @ g1, q + g2 @ g2, p + g1 @ g2
    big_b, big_c, big_f = b + (d - 1) * o, c + (d - 1) * q, f + (d - 1) * p
    minor = big_b * big_c - big_f**2
    determinant = a * minor - d * (r1**2 * big_c + r2**2 * big_b - 2 * r1 * r2 * big_f)
    vector = 0.5 * (d - 1) * math.log((b - o) * (c - q) / ((b - o) * (c - q) - (f - p) ** 2))
    return {
        ("y", "x1", ()): -0.5 * math.log(1 - d * r1**2 / (a * big_b)),
        ("x1", "x2", ()): vector + 0.5 * math.log(big_b * big_c / minor),
        ("y", ("x1", "x2"), ()): 0.5 * math.log(a * minor / determinant),
        ("x1", "x2", "y"): vector
        + 0.5 * math.log((a * big_b - d * r1**2) * (a * big_c - d * r2**2) / (a * determinant)),
    }


@given(seed=st.integers(0, 2**32 - 1), d=st.integers(1, 3072), causes=st.integers(1, 4), sources=st.integers(2, 4))
@settings(deadline=None, max_examples=40)
def test_appendix_b(seed, d, causes, sources):
    rng = np.random.default_rng(seed)
    eta, weights = rng.normal(size=causes), rng.normal(size=(2, causes))
    mixing = rng.normal(size=(2, sources))
    assume(abs(mixing[0] @ mixing[1]) < 0.95 * math.sqrt((mixing[0] @ mixing[0]) * (mixing[1] @ mixing[1])))
    model = CausalModel(eta, weights, mixing, shape=(d,))
    for (one, two, condition), value in appendix_b(eta, weights, mixing, d).items():
        assert model.mutual_information(one, two, given=condition) == pytest.approx(value, rel=1e-9, abs=1e-12)


@st.composite
def models(draw):
    """Random models: any K, M, J, dense or sparse mixing, random or shared templates, one or two shapes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, k = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    d = draw(st.integers(1, 6))
    two_shapes = m > 1 and draw(st.booleans())
    dimensions = [d + 2 if two_shapes and i >= m // 2 else d for i in range(m)]
    mixing = np.zeros((m, 2 * m))
    for i in range(m):
        for j in range(m):
            if dimensions[i] == dimensions[j]:
                mixing[i, j] = rng.normal()
    mixing[:, m:] = np.diag(rng.uniform(0.5, 2.0, m))
    weights = rng.normal(size=(m, k)) * (rng.random((m, k)) < 0.8)
    shared = draw(st.booleans())
    common = {n: rng.normal(size=n) for n in set(dimensions)}
    templates = [[common[n] if shared else rng.normal(size=n) for _ in range(k)] for n in dimensions]
    eta = rng.normal(size=k)
    model = CausalModel(eta, weights, mixing, shape=[(n,) for n in dimensions], templates=templates)
    rows = {"y": np.concatenate([eta, np.zeros(2 * m * max(dimensions))])[None, :]}
    for i, n in enumerate(dimensions):
        block = np.zeros((n, k + 2 * m * max(dimensions)))
        for cause in range(k):
            block[:, cause] = weights[i, cause] * templates[i][cause]
        for j in range(2 * m):
            start = k + j * max(dimensions)
            block[:, start : start + n] += mixing[i, j] * np.eye(n)
        rows[f"x{i + 1}"] = block
    return model, rows


def dense(rows, names):
    factor = np.concatenate([rows[name] for name in names])
    return 0.5 * np.linalg.slogdet(factor @ factor.T)[1]


@given(drawn=models(), data=st.data())
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_random_models_agree_with_dense_algebra(drawn, data):
    model, rows = drawn
    names = list(model.names)
    places = [data.draw(st.integers(0, 3)) for _ in names]
    a, b, c = ([n for n, place in zip(names, places, strict=True) if place == which] for which in range(3))
    assume(a and b)
    terms = [dense(rows, a + c), dense(rows, b + c), -dense(rows, a + b + c), -dense(rows, c) if c else 0.0]
    scale = sum(abs(term) for term in terms)
    assert model.mutual_information(a, b, given=c) == pytest.approx(sum(terms), rel=1e-9, abs=1e-12 * (1 + scale))
    together = a + b + c
    total = sum(dense(rows, [n]) for n in together) - dense(rows, together)
    assert model.total_correlation(together) == pytest.approx(total, rel=1e-9, abs=1e-11)
    rest = sum(dense(rows, [m for m in together if m != n]) for n in together if len(together) > 1)
    dual = rest - (len(together) - 1) * dense(rows, together)
    assert model.dual_total_correlation(together) == pytest.approx(dual, rel=1e-9, abs=1e-11)
    assert model.o_information(together) == pytest.approx(total - dual, rel=1e-9, abs=1e-11)
    again = CausalModel.from_json(model.to_json())
    assert again.digest == model.digest
    assert again.mutual_information(a, b, given=c) == model.mutual_information(a, b, given=c)


@pytest.mark.parametrize("mi", [1e-10, 1e-6, 0.25, 2.5, 12.0])
def test_the_wanted_information_from_tiny_to_large(mi):
    assert common_cause((1, 32, 32), mi=mi).mutual_information("x1", "y") == close(mi)


def test_dependent_sources_are_infinite_only_where_they_are_asked_for():
    model = CausalModel([1.0], [[1.0], [0.5], [0.2]], [[1.0, 0], [2.0, 0], [1.0, 1.0]], shape=(3,))
    with pytest.raises(InfiniteInformationError, match="x1"):
        model.mutual_information("x1", "x2")
    assert model.mutual_information("x1", "x3") > 0
    assert model.mutual_information("x2", "y") > 0
