"""The contract of laws, on every one of ours, and on laws that break it."""

from __future__ import annotations

import numpy as np
import pytest

from mmmi_hf.causal import (
    CausalModel,
    NotExactError,
    categorical_cause,
    common_cause,
    decaying_modalities,
    independent,
    template_ablation,
    two_telescopes,
)
from mmmi_hf.causal.laws.categorical.categorical_law import CategoricalLaw
from mmmi_hf.causal.laws.serialization import LAWS
from mmmi_hf.testing import laws
from tests.causal.causal_oracles import dense_rows

TELESCOPES = two_telescopes((3, 4), rho_tilde_1=0.5)
MODELS = {
    "telescopes": TELESCOPES,
    "decaying": decaying_modalities((4,), modalities=3, alpha=1.5, beta=1.3),
    "ablation": template_ablation((2, 3), rho_tilde=[[0.6, 0.3], [0.4, -0.5]], eta=[1.0, 0.0], templates="gaussian"),
    "independent": independent([(2,), (3,)]),
    "categories": CausalModel.of_law(
        CategoricalLaw(
            [0.3, 0.3, 0.4], [[-1.0, 1.0, 0.5], [0.0, 1.5, -1.0]], [(2, 3), (4,)], ["ones", np.arange(4.0) + 1.0]
        )
    ),
    "two categories": categorical_cause((3, 4), means=[[-1.0, 1.0], [0.0, 1.5]]).with_target(None),
    "whole blocks with a common scale": common_cause((2, 3), mi=0.6).with_common_scale(9.0),
    "directions with a common scale": TELESCOPES.with_common_scale(12.0, 3),
    "shifted": TELESCOPES.with_shift(0, 1.7),
    "matrix": CausalModel.from_matrix(dense_rows(TELESCOPES)[0], list(TELESCOPES.shapes.values())),
}
TARGETS = {
    "classes": ({"classes": {"quantiles": 4}}, ("posterior", "moments")),
    "parity": ({"parity": {"causes": [0, 1]}}, ("posterior", "maps", "moments")),
    "boolean": ({"boolean": {"table": [0, 0, 0, 1], "causes": [0, 1]}}, ("posterior", "maps", "moments")),
    "square": ({"function": {"name": "square"}}, ("pointwise", "moments")),
}
"""Targets, and what a law with them has not."""
LACKING = {
    "whole blocks with a common scale": ("pointwise", "maps"),
    "directions with a common scale": ("pointwise", "maps"),
    "shifted": ("maps",),
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", MODELS)
def test_laws_keep_the_contract(name):
    laws.check_law(MODELS[name].law, seed=11, without=LACKING.get(name, ()))


@pytest.mark.statistical
@pytest.mark.parametrize("name", [name for name in LACKING if "pointwise" in LACKING[name]])
def test_pointwise_information_has_the_mean_that_is_stated_where_its_variance_is_not(name):
    model = MODELS[name]
    drawn = model.sample(20_000, seed=4)
    for query in (("x1", "y"), ("x1", "x2"), (["x1", "x2"], "y"), ("x1", "x2", "y"), ("x1", "y", "x2")):
        found = model.pointwise_mutual_information(drawn, *query)
        score = (found.mean() - model.mutual_information(*query)) / (found.std() / len(found) ** 0.5)
        print(name, query, f"z = {score:+.2f}")
        assert abs(score) < 4.0


@pytest.mark.statistical
@pytest.mark.parametrize("name", TARGETS)
def test_laws_with_a_target_keep_it_too(name):
    target, lacking = TARGETS[name]
    law = MODELS["telescopes"].with_target(target).law
    laws.check_law(law, seed=11, rows=2000, without=lacking)
    with pytest.raises(NotExactError):
        laws.check_law(law, seed=11, rows=200, without=lacking[:-1])


def test_what_a_law_is_said_not_to_have_must_be_refused():
    with pytest.raises(AssertionError, match="moments was expected to be refused"):
        laws.check_law(MODELS["independent"].law, rows=500, without=("moments",))


def test_every_kind_of_law_is_among_them():
    assert {type(model.law) for model in MODELS.values()} == set(LAWS.values())


def test_a_matrix_has_no_causes_that_two_modalities_share():
    laws.check_refusal(MODELS["matrix"].law, "x1", "x2")
    with pytest.raises(AssertionError, match="expected to be refused"):
        laws.check_refusal(MODELS["telescopes"].law, "x1", "x2")


@pytest.mark.parametrize(
    ("attribute", "broken", "says"),
    [
        ("information", lambda form: lambda: form.information() + 0.3, "its parts are|mean pointwise"),
        ("variance", lambda form: lambda: 0.01 * form.variance(), "mean pointwise information"),
        ("pointwise", lambda form: lambda *rows: form.pointwise(*rows) + 0.2, "mean pointwise information"),
    ],
)
def test_a_law_that_breaks_it_is_found(monkeypatch, attribute, broken, says):
    model = CausalModel.from_json(MODELS["ablation"].to_json())
    honest = model.law.form

    def form(query):
        found = honest(query)

        class Changed:
            information, variance = found.information, found.variance
            pointwise, correlations = found.pointwise, found.correlations

        changed = Changed()
        setattr(changed, attribute, broken(found))
        return changed

    monkeypatch.setattr(model.law, "form", form)
    with pytest.raises(AssertionError, match=says):
        laws.check_law(model.law, seed=3, rows=2000)


def test_rows_that_are_not_whitened_are_found(monkeypatch):
    model = CausalModel.from_json(MODELS["ablation"].to_json())
    monkeypatch.setattr(model.law, "sampler", lambda kind, honest=model.law.sampler: honest("none"))
    with pytest.raises(AssertionError, match="covariance of whitened x1"):
        laws.check_whitened_rows(model.law, 3, 2000)
    with pytest.raises(AssertionError, match="drawn as whiten"):
        laws.check_standardizers(model.law, 3)


def test_a_cause_that_two_modalities_share_takes_the_place_of_y():
    model = MODELS["telescopes"]
    (mass,) = model.of_shared_causes("x1", "x2")
    np.testing.assert_array_equal(mass.eta, [1.0, 0.0])
    assert mass.mutual_information("x2", "y") > 0.0
