"""What is learned is learned from the training rows: the paper's recipe, and the adapter of latentmi."""

import sys
import types

import numpy as np
import pytest

from mmmi_hf.benchmark import Pairs, Training, make_estimator
from mmmi_hf.benchmark.estimators import latentmi
from mmmi_hf.benchmark.neighbours import Scaling


def parts(*rows, seed=0):
    generator = np.random.default_rng(seed)
    blocks = [generator.standard_normal((count, 3)) for count in rows]
    return [Pairs(x, x[:, 0] + 0.5 * generator.standard_normal(len(x))) for x in blocks]


def test_the_papers_recipe_trains_on_the_training_rows_alone():
    train, validation, test = parts(80, 40, 40)
    (other,) = parts(60, seed=1)
    recipe = Training.paper(width=8, layers=1, batch_size=16, steps=20, evaluate_every=10)
    found = [make_estimator("dv", training=recipe).fit(train, held).estimate(test) for held in (validation, other)]
    assert found[0] == found[1], "which validation rows there are changes nothing"
    assert make_estimator("dv", training=recipe).fit(other, validation).estimate(test) != found[0]


def test_latentmi_standardises_with_training_rows_alone(monkeypatch):
    class Model:
        def encode(self, a, b):
            return a[:, :2], b[:, :1]

    package = types.ModuleType("latentmi.lmi")
    package.learn_representation = lambda a, b, train, held_out, **settings: (a, b, Model())
    monkeypatch.setitem(sys.modules, "latentmi", types.ModuleType("latentmi"))
    monkeypatch.setitem(sys.modules, "latentmi.lmi", package)
    seen = []

    def watched(a, b, neighbours):
        seen.extend((a, b))
        return latentmi.Measured(0.0)

    monkeypatch.setattr(latentmi, "measured_ksg", watched)
    train, validation, test = parts(100, 30, 50)
    train = Pairs(4.0 * train.a + 1.0, train.b)
    make_estimator("latentmi").fit(train, validation).estimate(test)
    for found, scaled, block in zip(seen, (train.a[:, :2], train.b[:, None]), ("a", "b"), strict=True):
        rows = test.a[:, :2] if block == "a" else test.b[:, None]
        wanted = Scaling.of(scaled)(rows)
        assert np.sort(found, axis=0) == pytest.approx(np.sort(wanted, axis=0), abs=1e-5)
