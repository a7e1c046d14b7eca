"""CausalModel's own surface: attributes, every refusal of arguments and of queries, dense models, imports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InfiniteInformationError, InvalidModelError, InvalidQueryError, common_cause

GOOD = {"eta": [1.0], "weights": [[1.0], [2.0]], "mixing": [[1.0, 0.0], [0.0, 1.0]], "shape": (2, 2)}


def test_attributes():
    model = CausalModel(**GOOD, templates=[["ones"], [np.arange(4.0).reshape(2, 2)]])
    assert model.modalities == ("x1", "x2")
    assert model.names == ("x1", "x2", "y")
    assert dict(model.shapes) == {"x1": (2, 2), "x2": (2, 2)}
    np.testing.assert_array_equal(model.template(1, 0), [[0, 1], [2, 3]])
    for array in (model.eta, model.weights, model.mixing, model.template(1, 0)):
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(TypeError):
        model.shapes["x1"] = (3,)
    with pytest.raises(AttributeError, match="has no matrix"):
        _ = model.matrix
    assert repr(model).startswith("CausalModel(x1 (2, 2), x2 (2, 2); digest ")
    assert ", …;" in repr(common_cause((2,), modalities=5))


def test_arguments_are_copied():
    eta, template = np.array([1.0]), np.ones((2, 2))
    model = CausalModel(eta, [[1.0]], [[1.0]], shape=(2, 2), templates=template)
    before = model.digest
    eta[0], template[0, 0] = 5.0, 7.0
    assert model.eta[0] == 1.0
    assert model.template(0, 0)[0, 0] == 1.0
    assert CausalModel.from_json(model.to_json()).digest == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eta": []}, r"eta has shape \(0,\), expected \(K,\)"),
        ({"eta": 1.0}, r"eta has shape \(\)"),
        ({"eta": "a"}, "eta is 'a', expected numbers"),
        ({"eta": [[1.0], [1.0, 2.0]]}, "eta is .* expected numbers"),
        ({"eta": [0.0]}, "eta is all zero, so that y has no source"),
        ({"eta": [np.nan]}, r"eta\[0\] is .*nan.*, expected a finite number"),
        ({"eta": [1e200]}, r"eta has entries above 1e\+150"),
        ({"eta": [1.0, 1.0]}, "weights has 1 columns but eta has 2 entries"),
        ({"weights": [[1.0]]}, "mixing has 2 rows but weights has 1"),
        ({"weights": [1.0, 2.0]}, r"weights has shape \(2,\), expected \(M, K\)"),
        ({"weights": [[], []]}, r"weights has shape \(2, 0\)"),
        ({"weights": [[1.0], [np.inf]]}, r"weights\[1, 0\] is .*inf"),
        ({"weights": [[1e130], [1.0]]}, r"weights\[0\] exceed mixing\[0\]"),
        ({"mixing": [[1.0], [0.0]]}, r"mixing\[1\] is all zero: x2 has no vector source"),
        ({"mixing": np.zeros((2, 0))}, r"mixing has shape \(2, 0\)"),
        ({"mixing": [[1.0, 0.0], [0.0, 1e-200]]}, r"mixing\[1\] is all zero"),
        ({"shape": ()}, r"shape is \(\), expected a tuple of positive integers"),
        ({"shape": (2, 0)}, r"shape is \(2, 0\)"),
        ({"shape": 4}, "shape is 4"),
        ({"shape": [(2,), (2,), (2,)]}, "shape gives 3 shapes for 2 modalities"),
        ({"shape": [(2,), (0,)]}, r"shape is \(0,\)"),
        (
            {"shape": [(2,), (3,)], "mixing": [[1.0, 1.0], [0.0, 1.0]]},
            r"shape differs between x1 \(2,\) and x2 \(3,\), which share vector source 1",
        ),
        ({"templates": "rainbow"}, "templates names 'rainbow', expected one of ones"),
        ({"templates": 3}, "templates is int, expected a name, an array"),
        ({"templates": np.ones((3, 3))}, r"templates has shape \(3, 3\), expected \(2, 2\)"),
        ({"templates": [[1.0, 2.0], [3.0]]}, r"templates\[0\] must have one entry per common cause: 1"),
        ({"templates": [["ones"]]}, "templates has 1 rows, expected"),
        ({"templates": ["ones", "ones"]}, r"templates\[0\] must have one entry"),
        ({"templates": [["ones"], [None]]}, r"templates\[1\]\[0\] is None but weights\[1\]\[0\] is 2.0"),
        ({"templates": [["ones"], [np.zeros((2, 2))]]}, r"templates\[1\]\[0\] is all zero although its weight is not"),
        ({"templates": [["ones"], [np.ones(4)]]}, r"templates\[1\]\[0\] has shape \(4,\), expected \(2, 2\)"),
        ({"templates": [["ones"], [{}]]}, r"templates\[1\]\[0\] is dict, expected a template's name or an array"),
        ({"templates": [["ones"], ["rainbow"]]}, "names 'rainbow'"),
        ({"templates": np.full((2, 2), np.inf)}, "templates contains a value that is not finite"),
        ({"templates": np.zeros((2, 2))}, "templates is all zero"),
        ({"templates": np.full((2, 2), 1e200)}, r"templates has entries of size 1e\+200"),
    ],
)
def test_wrong_models_are_refused(change, message):
    with pytest.raises(InvalidModelError, match=message) as caught:
        CausalModel(**{**GOOD, **change})
    assert "\n" not in str(caught.value)


def test_a_zero_template_may_have_a_zero_weight():
    model = CausalModel(
        [1.0], [[1.0], [0.0]], np.eye(2), shape=(2, 2), templates=np.stack([np.ones((1, 2, 2)), np.zeros((1, 2, 2))])
    )
    assert model.mutual_information("x1", "x2") == 0.0
    assert (
        CausalModel([1.0], [[0.0], [0.0]], np.eye(2), shape=(2,), templates=np.zeros(2)).total_correlation(["x1", "y"])
        == 0.0
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (("x3", "y"), "a names 'x3', expected blocks of this model: x1, x2, y"),
        (("x1", "z"), "b names 'z'"),
        (("x1", []), r"b is \[\], expected a block's name"),
        (("", "y"), "a names ''"),
        ((None, "y"), "a is None"),
        (([1], "y"), "a names 1"),
        (("x1", "y", "q"), "given names 'q'"),
        (("x1", "y", None), "given is None"),
        (("x1", "y", 3), "given is 3"),
        (("x1", "x1"), "overlap in x1"),
        (("x1", "y", "y"), "overlap in y"),
        ((["x1", "x2"], "y", "x2"), "overlap in x2"),
        ((["x1", "x1"], "y"), r"a is \['x1', 'x1'\], expected every block at most once"),
    ],
)
def test_wrong_queries_are_refused(query, message):
    model = CausalModel(**GOOD)
    for ask in (model.mutual_information, model.canonical_correlations):
        with pytest.raises(InvalidQueryError, match=message) as caught:
            ask(*query)
        assert "\n" not in str(caught.value)


def test_other_wrong_queries_are_refused():
    model = CausalModel(**GOOD)
    with pytest.raises(InvalidQueryError, match="names names 'x9'"):
        model.total_correlation(["x1", "x9"])
    with pytest.raises(InvalidQueryError, match=r"names is \[\]"):
        model.dual_total_correlation([])
    with pytest.raises(InvalidQueryError, match="overlap in y"):
        model.partial_information_decomposition("x1", "y")
    with pytest.raises(InvalidQueryError, match="overlap"):
        model.interaction_information("x1", "x2", "x2")
    with pytest.raises(InvalidQueryError, match="x1, x2, x3, …, x30, y"):
        common_cause((2,), modalities=30).mutual_information("q", "y")


def test_models_without_any_template():
    model = CausalModel([1.0], [[0.0], [0.0]], [[1.0, 0.5], [0.0, 1.0]], shape=(3,), templates=[[None], [None]])
    assert model.mutual_information("x1", "y") == 0.0
    assert model.mutual_information("x1", "x2") == pytest.approx(-1.5 * np.log(1 - 0.25 / 1.25), rel=1e-14)
    assert model.template(0, 0) is None
    drawn = model.sample(2, seed=0)
    assert model.pointwise_mutual_information(drawn, "x1", "x2").shape == (2,)
    assert CausalModel.from_json(model.to_json()).digest == model.digest


@pytest.mark.parametrize("value", [-1e-16, float("nan"), float("inf")])
def test_an_impossible_value_is_raised_with_the_number(monkeypatch, value):
    class Broken:
        def information(self) -> float:
            return value

    model = CausalModel(**GOOD)
    monkeypatch.setattr(model._law, "form", lambda query: Broken())
    with pytest.raises(ArithmeticError, match=str(value)):
        model.mutual_information("x1", "y")


def test_equal_names_in_any_container():
    model = CausalModel(**GOOD)
    assert model.mutual_information(("x1",), ["y"], ()) == model.mutual_information("x1", "y", [])
    assert model.total_correlation("x1") == 0.0


def matrix(seed: int = 0, rows: int = 8, columns: int = 11) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def test_dense_models():
    model = CausalModel.from_matrix(matrix(), [(2, 2), (3,)])
    assert model.names == ("x1", "x2", "y")
    assert dict(model.shapes) == {"x1": (2, 2), "x2": (3,)}
    np.testing.assert_array_equal(model.matrix, matrix())
    for attribute in ("eta", "weights", "mixing"):
        with pytest.raises(AttributeError, match="made by from_matrix"):
            getattr(model, attribute)
    covariance = matrix() @ matrix().T
    blocks = {"y": [0], "x1": [1, 2, 3, 4], "x2": [5, 6, 7]}

    def logdet(*names: str) -> float:
        index = np.concatenate([blocks[name] for name in names])
        return float(np.linalg.slogdet(covariance[np.ix_(index, index)])[1])

    expected = 0.5 * (logdet("x1") + logdet("x2") - logdet("x1", "x2"))
    assert model.mutual_information("x1", "x2") == pytest.approx(expected, rel=1e-11)
    expected = 0.5 * (logdet("x1", "y") + logdet("x2", "y") - logdet("y") - logdet("x1", "x2", "y"))
    assert model.mutual_information("x1", "x2", "y") == pytest.approx(expected, rel=1e-11)
    assert model.pointwise_variance("x1", "x2") == pytest.approx(np.sum(model.canonical_correlations("x1", "x2") ** 2))


def test_dense_models_with_more_sources_than_rows_are_reduced():
    wide = matrix(columns=400)
    model = CausalModel.from_matrix(wide, [(2, 2), (3,)])
    turned = CausalModel.from_matrix(wide @ np.linalg.qr(matrix(1, 400, 400))[0], [(2, 2), (3,)])
    assert model.mutual_information("x1", "x2") == pytest.approx(turned.mutual_information("x1", "x2"), rel=1e-10)


def test_dense_infinite_queries():
    rows = matrix()
    rows[5] = rows[1] - rows[2]
    model = CausalModel.from_matrix(rows, [(2, 2), (3,)])
    with pytest.raises(InfiniteInformationError, match="rows of A of x1, x2 are linearly dependent"):
        model.mutual_information("x1", "x2")
    fitted = np.linalg.lstsq(rows[1:].T, rows[0], rcond=None)[0] @ rows[1:]  # the dependent rows say nothing of y
    assert model.residual_variance(["x1", "x2"]) == pytest.approx(np.sum((rows[0] - fitted) ** 2), rel=1e-12)
    with pytest.raises(InfiniteInformationError):
        model.mutual_information("x2", ["x1", "y"])
    assert model.mutual_information("x1", "y") > 0
    assert model.mutual_information("x2", "y") > 0
    rows[7] = rows[6]
    singular = CausalModel.from_matrix(rows, [(2, 2), (3,)])
    with pytest.raises(InfiniteInformationError):
        singular.mutual_information("x2", "y")
    with pytest.raises(InvalidQueryError, match="x2 has a singular covariance and cannot be whitened"):
        singular.sample(2, seed=0)
    assert singular.sample(2, seed=0, standardize="rms").z["x2"].shape == (2, 3)


def test_dense_target_that_a_modality_fixes():
    rows = matrix()
    rows[0] = rows[1] + rows[4]
    with pytest.raises(InfiniteInformationError, match="x1, y"):
        CausalModel.from_matrix(rows, [(2, 2), (3,)]).mutual_information("x1", "y")


@pytest.mark.parametrize(
    ("rows", "shapes", "message"),
    [
        (matrix(), [(2, 2)], "A has 8 rows, expected 5: one for y"),
        (matrix(), (2, 2), "shapes is .*, expected one shape per modality"),
        (matrix(), [], r"shapes is \[\]"),
        (matrix(), [(7.0,)], r"shape is \(7.0,\)"),
        (matrix(rows=4098, columns=2), [(4097,)], "A has 4098 rows, expected at most 4096"),
        (matrix() * (np.arange(8) != 3)[:, None], [(7,)], r"A\[3\] is all zero"),
        (matrix(columns=5), [(7,)], "A has 5 columns: x1 has 7 entries and so no density"),
        (np.full((8, 11), np.nan), [(7,)], r"A\[0, 0\] is .*nan"),
        (np.ones(8), [(7,)], r"A has shape \(8,\)"),
    ],
)
def test_wrong_matrices_are_refused(rows, shapes, message):
    with pytest.raises(InvalidModelError, match=message) as caught:
        CausalModel.from_matrix(rows, shapes)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_the_largest_matrix():
    rows = np.eye(4096) + 0.01 * matrix(rows=4096, columns=4096)
    model = CausalModel.from_matrix(rows, [(4000,), (95,)])
    covariance = rows @ rows.T
    terms = [
        np.linalg.slogdet(part)[1]
        for part in (covariance[1:4001, 1:4001], covariance[4001:, 4001:], covariance[1:, 1:])
    ]
    assert model.mutual_information("x1", "x2") == pytest.approx(0.5 * (terms[0] + terms[1] - terms[2]), rel=1e-9)


def test_import_brings_no_heavy_library():
    program = (
        "import sys, mmmi_hf.causal\n"
        "heavy = {'torch', 'diffusers', 'accelerate', 'datasets', 'pyarrow', 'matplotlib', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
