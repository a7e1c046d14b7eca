"""Maps of where the information sits, against dense covariances and against the whole."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InvalidQueryError, common_cause, templates

SHAPE = (2, 3)
KINDS = ("whiten", "rms", "none")


def dense(model):
    """The same model as a matrix A over all its sources."""
    size, modalities = math.prod(SHAPE), len(model.modalities)
    causes, sources = model.weights.shape[1], model.mixing.shape[1]
    rows = np.zeros((1 + modalities * size, causes + sources * size))
    rows[0, :causes] = model.eta
    for i in range(modalities):
        block = rows[1 + i * size : 1 + (i + 1) * size]
        for k in range(causes):
            template = model.template(i, k)
            block[:, k] = 0.0 if template is None else model.weights[i, k] * template.ravel()
        for j in range(sources):
            block[:, causes + j * size : causes + (j + 1) * size] = model.mixing[i, j] * np.eye(size)
    return CausalModel.from_matrix(rows, [SHAPE] * modalities)


@pytest.fixture
def model():
    rng = np.random.default_rng(3)
    patterns = [[rng.standard_normal(SHAPE) for _ in range(2)] for _ in range(2)]
    return CausalModel([1.0, 0.5], [[0.7, 0.4], [-0.3, 1.2]], [[1, 0.4], [0.3, 2]], shape=SHAPE, templates=patterns)


def covariance_of(model, kind):
    """Cov of (y, z'_1, z'_2), by an independent route: eigenvectors of the dense covariance."""
    matrix, size = dense(model).matrix, math.prod(SHAPE)
    blocks = [matrix[1 + i * size : 1 + (i + 1) * size] for i in range(2)]
    for i, block in enumerate(blocks):
        own = block @ block.T
        values, vectors = np.linalg.eigh(own)
        scaling = {
            "whiten": (vectors / np.sqrt(values)) @ vectors.T,
            "rms": np.eye(size) / np.sqrt(np.trace(own) / size),
            "none": np.eye(size),
        }[kind]
        blocks[i] = scaling @ block
    joint = np.concatenate([matrix[:1], *blocks])
    return joint @ joint.T


@pytest.mark.parametrize("kind", KINDS)
def test_maps_against_dense_covariances(model, kind):
    size = math.prod(SHAPE)
    joint = covariance_of(model, kind)
    correlations = joint / np.sqrt(np.outer(np.diagonal(joint), np.diagonal(joint)))
    of_target = -0.5 * np.log1p(-(correlations[0, 1 : 1 + size] ** 2)).reshape(SHAPE)
    of_pair = -0.5 * np.log1p(-(np.diagonal(correlations[1 : 1 + size, 1 + size :]) ** 2)).reshape(SHAPE)
    for each in (model, dense(model)):
        np.testing.assert_allclose(each.information_map("x1", standardize=kind), of_target, rtol=1e-11)
        np.testing.assert_allclose(each.information_map("x1", "x2", standardize=kind), of_pair, rtol=1e-11)


def exact_maps(model, kind):
    """The maps of x1 with y and with x2 from dense covariances with 90 digits."""
    size = math.prod(SHAPE)
    with mpmath.workdps(90):
        rows = mpmath.matrix(dense(model).matrix.tolist())
        blocks = [rows[1 + i * size : 1 + (i + 1) * size, :] for i in range(2)]
        if kind == "whiten":
            for i, block in enumerate(blocks):
                values, vectors = mpmath.eigsy(block * block.T)
                blocks[i] = vectors * mpmath.diag([1 / mpmath.sqrt(value) for value in values]) * vectors.T * block

        def information(first, second):
            dots = [
                sum(u * v for u, v in zip(*pair, strict=True))
                for pair in ((first, second), (first,) * 2, (second,) * 2)
            ]
            return float(-mpmath.log1p(-(dots[0] ** 2) / (dots[1] * dots[2])) / 2)

        lists = [[list(block[c, :]) for c in range(size)] for block in blocks]
        y = list(rows[0, :])
        return [information(one, y) for one in lists[0]], [information(*pair) for pair in zip(*lists, strict=True)]


@pytest.mark.parametrize("kind", ["whiten", "none"])
@pytest.mark.parametrize("loud", [(1e2, 1e2), (1e9, 1e3), (1e16, 1.0), (1e40, 1e-2), (1e30, 1e30)])
def test_maps_of_causes_far_louder_than_the_noise(loud, kind):
    """Whitened, 1 - s/h cancels from 1e16 on: the maps were 0 in silence."""
    rng = np.random.default_rng(8)
    patterns = [[rng.standard_normal(SHAPE) for _ in range(2)] for _ in range(2)]
    weights = rng.standard_normal((2, 2)) * loud
    model = CausalModel([1.0, 0.5], weights, [[1, 0.4], [0.3, 2]], shape=SHAPE, templates=patterns)
    for about, exact in zip(("y", "x2") if kind == "whiten" else ("y",), exact_maps(model, kind), strict=False):
        found = model.information_map("x1", about, standardize=kind)
        np.testing.assert_allclose(found.ravel(), exact, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mi", [20.0, 38.0, 100.0, 160.0])
def test_a_homogeneous_template_at_any_information(mi):
    """Whitened, every coordinate has the share 1/d of the cause: ρ² = 1/d with y, 1/d² with the other modality."""
    model = common_cause((1, 4, 4), mi=mi)
    assert model.information_map("x1") == pytest.approx(-0.5 * math.log1p(-1.0 / 16), rel=1e-12)
    assert model.information_map("x1", "x2") == pytest.approx(-0.5 * math.log1p(-1.0 / 256), rel=1e-12)


def test_a_single_component_far_louder_than_its_noise():
    model = common_cause((1, 4, 4), mi=80.0, template="component")
    assert model.information_map("x1")[0, 2, 2] == pytest.approx(80.0, rel=1e-12)
    with pytest.raises(ArithmeticError, match="below rounding"):
        model.information_map("x1", "x2")
    quiet = common_cause((1, 4, 4), mi=12.0, template="component")
    assert quiet.information_map("x1", "x2")[0, 2, 2] == pytest.approx(quiet.mutual_information("x1", "x2"), rel=1e-9)


def test_a_target_whose_causes_nothing_tells_apart():
    model = CausalModel([0.6, 0.8], [[0.6e40, 0.8e40]], [[1.0]], shape=(1,))
    with pytest.raises(ArithmeticError, match="below rounding"):
        model.information_map("x1")


def test_a_single_component_holds_everything():
    shape = (1, 4, 4)
    model = common_cause(shape, mi=2.0, template="component")
    for kind in KINDS:
        where = model.information_map("x1", standardize=kind)
        assert where[0, 2, 2] == pytest.approx(2.0, rel=1e-12)
        assert np.count_nonzero(where) == 1
        between = model.information_map("x1", "x2", standardize=kind)
        assert between[0, 2, 2] == pytest.approx(model.mutual_information("x1", "x2"), rel=1e-12)


def test_a_homogeneous_template_spreads_it_evenly():
    model = common_cause((1, 4, 4), mi=1.0)
    where = model.information_map("x2")
    assert np.ptp(where) < 1e-15
    assert where.max() < 1.0 / 16  # whitening leaves less than an even share in any one coordinate
    loud = model.information_map("x2", standardize="none")
    assert loud[0, 0, 0] == pytest.approx(0.5 * math.log1p(math.expm1(2.0) / 16), rel=1e-12)


def test_maps_follow_the_template():
    ring = templates.ring((1, 8, 8))
    where = common_cause((1, 8, 8), mi=1.0, template=ring).information_map("x1", standardize="none")
    assert np.array_equal(np.argsort(where, axis=None), np.argsort(ring, axis=None))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("y", "x1"), "blocks"),
        (("x1", "x1"), "overlap"),
        (("x1", "x9"), "x9"),
        (("x1", "x3"), r"b is 'x3' of shape \(3,\), but x1 has \(4,\)"),
    ],
)
def test_maps_that_cannot_be_drawn(arguments, says):
    model = common_cause([(4,), (4,), (3,)], mi=1.0, modalities=3)
    with pytest.raises(InvalidQueryError, match=says):
        model.information_map(*arguments)
    with pytest.raises(InvalidQueryError, match="standardize"):
        model.information_map("x1", standardize="minmax")


def test_noise_below_rounding_is_refused():
    model = common_cause((1,), rho_tilde=1e60)
    with pytest.raises(ArithmeticError, match="below rounding"):
        model.information_map("x1", "x2", standardize="none")
    with pytest.raises(ArithmeticError, match="below rounding"):
        CausalModel.from_matrix([[1.0, 0.0], [1.0, 1e-200]], [(1,)]).information_map("x1", standardize="none")
