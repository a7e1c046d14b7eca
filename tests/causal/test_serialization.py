"""JSON round trips, what a digest means, and every refusal of a text."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from mmmi_hf.causal import (
    CausalModel,
    InvalidModelError,
    common_cause,
    decaying_modalities,
    independent,
    template_ablation,
    templates,
    two_telescopes,
)
from tests.causal.causal_oracles import SEEDS, random_model


def matrix_model() -> CausalModel:
    return CausalModel.from_matrix(np.random.default_rng(1).normal(size=(8, 11)), [(2, 2), (3,)])


STORIES = {
    "common_cause": lambda: common_cause((1, 4, 4), mi=0.3),
    "two_telescopes": lambda: two_telescopes((4, 4)),
    "decaying_modalities": lambda: decaying_modalities((5,), modalities=4, alpha=1.2, beta=1.1),
    "template_ablation": lambda: template_ablation((4,), rho_tilde=[[1.0, 0.3], [0.0, 2.0]], templates="ring"),
    "independent": lambda: independent([(2,), (3,)]),
    "matrix": matrix_model,
}


@pytest.mark.parametrize("name", STORIES)
def test_round_trip_of_stories(name):
    model = STORIES[name]()
    text = model.to_json()
    again = CausalModel.from_json(text)
    assert again.to_json() == text
    assert again.digest == model.digest
    assert again.shapes == model.shapes
    assert again.mutual_information("x1", "y") == model.mutual_information("x1", "y")
    assert again.sample(2, seed=1).z["x2"].tobytes() == model.sample(2, seed=1).z["x2"].tobytes()


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_round_trip_of_any_model(seed):
    model = random_model(np.random.default_rng(seed))
    again = CausalModel.from_json(model.to_json())
    assert again.digest == model.digest
    assert again.to_json() == model.to_json()
    for one, other in ((again.eta, model.eta), (again.weights, model.weights), (again.mixing, model.mixing)):
        np.testing.assert_array_equal(one, other)


def test_digests_are_pinned():
    """A released configuration refers to its model by digest: these may never change."""
    assert common_cause((1, 32, 32), rho_tilde=0.5).digest == DIGESTS["structured"]
    matrix = np.arange(1.0, 13.0).reshape(3, 4) ** 0.5
    assert CausalModel.from_matrix(matrix, [(2,)]).digest == DIGESTS["matrix"]


DIGESTS = {
    "structured": "6d1d5a94af3fc3210bdcf91a53b328ba3b189e2463b92bc4ce8e61d7a64456e6",
    "matrix": "b87d69a95449d38a7fc7cf7d493299cc8a4a04586b1acd4999ce16140f33cb4b",
}


def test_equal_content_has_an_equal_digest():
    ones = np.ones((2, 2))
    given_ways = ["ones", ones, ones.tolist(), [["ones"], [ones]], [[ones.tolist()], ["ones"]], np.ones((2, 1, 2, 2))]
    models = [CausalModel([1.0], [[1.0], [2.0]], np.eye(2), shape=(2, 2), templates=each) for each in given_ways]
    assert len({model.digest for model in models}) == 1
    shapes = CausalModel([1], [[1], [2]], np.eye(2), shape=[(2, 2), (2, 2)])
    assert shapes.digest == models[0].digest
    unused = CausalModel([1.0], [[1.0], [0.0]], np.eye(2), shape=(2, 2), templates=[["ones"], [None]])
    other = CausalModel([1.0], [[1.0], [0.0]], np.eye(2), shape=(2, 2), templates=[["ones"], [-3 * ones]])
    assert unused.digest == other.digest


def test_different_content_has_a_different_digest():
    base = {"eta": [1.0], "weights": [[1.0], [2.0]], "mixing": np.eye(2), "shape": (2, 2)}
    changes = [
        {},
        {"eta": [2.0]},
        {"weights": [[1.0], [2.5]]},
        {"mixing": np.diag([1.0, 2.0])},
        {"shape": (4,)},
        {"shape": (1, 2, 2)},
        {"templates": "gaussian"},
        {"templates": [["ones"], ["gaussian"]]},
        {"templates": [["gaussian"], ["ones"]]},
    ]
    digests = [CausalModel(**{**base, **change}).digest for change in changes]
    assert len(set(digests)) == len(digests)


def test_templates_are_stored_once_and_exact_names_without_data():
    shared = np.random.default_rng(0).normal(size=(3, 3))
    model = CausalModel([1.0], [[1.0]] * 6, np.eye(6), shape=(3, 3), templates=[["ones"], [shared]] * 3)
    fields = json.loads(model.to_json())
    assert fields["template_index"] == [[0], [1]] * 3
    assert fields["templates"][0] == {"name": "ones", "shape": [3, 3]}
    assert set(fields["templates"][1]) == {"shape", "data"}
    named = json.loads(common_cause((3, 3), template="gaussian").to_json())["templates"][0]
    assert set(named) == {"name", "shape", "data"}
    np.testing.assert_array_equal(CausalModel.from_json(model.to_json()).template(1, 0), shared)
    again = CausalModel.from_json(common_cause((3, 3), template="gaussian").to_json())
    np.testing.assert_array_equal(again.template(0, 0), templates.gaussian((3, 3)))


def changed(model: CausalModel, **fields: object) -> str:
    return json.dumps({**json.loads(model.to_json()), **fields})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "text is not JSON"),
        ("[" * 100_000, "text is not JSON"),
        (None, "text is not JSON"),
        ("[]", "format must be"),
        ('{"format": "x"}', "format must be"),
        (changed(common_cause((2,)), version=2), "version is 2, expected 1"),
        (changed(common_cause((2,)), kind="cubic"), "kind is 'cubic', expected one of structured, matrix"),
        (changed(common_cause((2,)), kind=[]), r"kind is \[\], expected one of"),
        (
            changed(common_cause((2,)), templates=[{"name": "ones", "shape": [10**30]}]),
            r"templates\[0\]: shape is .*more than 16777216 entries",
        ),
        (changed(common_cause((2,)), extra=1), "unknown fields extra"),
        (json.dumps({"format": "mmmi_hf.causal_model", "version": 1, "kind": "matrix"}), "lacks shapes, matrix"),
        (changed(common_cause((2,)), shapes=3), "shapes is 3"),
        (changed(common_cause((2,)), eta=[float("nan")]), r"eta\[0\] is .*nan"),
        (changed(common_cause((2,)), eta=["a"]), "eta is .* expected numbers"),
        (changed(common_cause((2,)), templates={}), r"templates is \{"),
        (changed(common_cause((2,)), templates=[3]), r"templates\[0\] is 3"),
        (changed(common_cause((2,)), templates=[{"name": "ones"}]), r"templates\[0\] lacks shape"),
        (changed(common_cause((2,)), templates=[{"name": ["ones"], "shape": [2]}]), r"templates\[0\]: name is"),
        (changed(common_cause((2,)), templates=[{"name": "rainbow", "shape": [2]}]), "names 'rainbow'"),
        (changed(common_cause((2,)), templates=[{"shape": [2], "data": "", "x": 1}]), "unknown fields x"),
        (changed(common_cause((2,)), templates=[{"shape": [2], "data": "?"}]), "data is not base64"),
        (changed(common_cause((2,)), templates=[{"shape": [2], "data": 5}]), "data is not base64"),
        (changed(common_cause((2,)), templates=[{"shape": [2], "data": ""}]), "data has 0 bytes, expected 16"),
        (changed(common_cause((2,)), templates=[{"shape": [0], "data": ""}]), r"shape is \[0\]"),
        (changed(common_cause((2,)), templates=[{"shape": [True], "data": ""}]), r"shape is \[True\]"),
        (changed(common_cause((2,)), template_index=[[1], [0]]), "template_index contains 1, expected null or 0 … 0"),
        (changed(common_cause((2,)), template_index=[[True], [0]]), "template_index contains True"),
        (changed(common_cause((2,)), template_index=[0, 0]), "template_index must be a list of rows"),
        (changed(common_cause((2,)), template_index=[[None], [0]]), r"templates\[0\]\[0\] is None"),
        (changed(matrix_model(), matrix=[1.0]), r"matrix is \[1"),
    ],
)
def test_texts_that_are_no_model_are_refused(text, message):
    with pytest.raises(InvalidModelError, match=message) as caught:
        CausalModel.from_json(text)
    assert "\n" not in str(caught.value)
