"""Families whose y is a label: stated accuracies and those of rows, zeros that are zero, equal totals."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.releases.model_spec import build_model
from mmmi_hf.dataset.releases.registry import get_family, list_families

SHAPE, ROWS = (1, 8, 8), 4096
LABELS = ("common-cause-classes", "parity", "interactions", "regimes", "sometimes-missing")
RELEASES = {
    one.name: one
    for name in LABELS
    for suffix in ("", "-cifar10")
    for one in get_family(name + suffix).releases
    if not one.name.startswith("sometimes-missing-number")
}


def model_of(release) -> CausalModel:
    return build_model(release.model(SHAPE))


@pytest.mark.statistical
@pytest.mark.parametrize("name", RELEASES)
def test_the_posterior_of_rows_reaches_the_stated_bayes_accuracy(name):
    release = RELEASES[name]
    model = model_of(release)
    rows = model.sample(ROWS, seed=release.seed)
    for blocks in (*((one,) for one in model.modalities), model.modalities):
        posterior = model.class_posterior(rows, blocks)
        right = posterior.argmax(axis=1) == rows.y
        expected = model.bayes_accuracy(blocks).value
        score = (right.mean() - expected) / math.sqrt(expected * (1.0 - expected) / ROWS)
        loss = -np.log(posterior[np.arange(ROWS), rows.y])
        print(f"{name} {blocks}: {right.mean():.4f} of {expected:.4f}, z = {score:+.2f}")
        if model.mutual_information(blocks, "y") > 0.0:  # without information any guess is as good
            assert abs(score) < 4.0
            assert abs(loss.mean() - model.bayes_log_loss(blocks).value) < 4.0 * loss.std() / math.sqrt(ROWS)


def test_proper_subsets_of_a_parity_tell_exactly_nothing():
    for release in get_family("parity").releases:
        model = model_of(release)
        names = model.modalities
        for size in range(1, len(names)):
            for blocks in combinations(names, size):
                assert model.mutual_information(blocks, "y") == 0.0
        assert model.mutual_information(names, "y") > 0.1


def test_interactions_have_equal_totals_of_other_kinds():
    models = {one.name.removeprefix("interactions-"): model_of(one) for one in get_family("interactions").releases}
    for model in models.values():
        assert model.mutual_information(["x1", "x2"], "y") == pytest.approx(0.25, abs=1e-9)
    redundant, unique = models["redundant"], models["unique"]
    assert redundant.mutual_information("x1", "y") == pytest.approx(0.25, abs=1e-9)
    assert redundant.mutual_information("x2", "y") == pytest.approx(0.25, abs=1e-9)
    assert (unique.mutual_information("x2", "y"), unique.mutual_information("x1", "x2")) == (0.0, 0.0)
    assert models["synergistic"].mutual_information("x1", "y") == 0.0
    assert 0.0 < models["mixed"].mutual_information("x1", "y") < 0.25


def test_every_family_is_there_on_both_pipelines():
    families = list_families()
    for name in (*LABELS, "heavy-tailed", "shifted"):
        assert {name, f"{name}-cifar10"} <= set(families)
        pairs = zip(get_family(name).configurations, get_family(f"{name}-cifar10").configurations, strict=True)
        assert all(other == f"{one}-cifar10" for one, other in pairs)
    assert len(get_family("common-cause-classes").configurations) == 20
