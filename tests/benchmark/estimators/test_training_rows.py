"""What is learned is learned from the training rows: the paper's recipe, and the adapter of latentmi."""

import numpy as np
import pytest

from mmmi_hf.benchmark import Estimator, Measured, Pairs, Training, make_estimator


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


class Said(Estimator):
    """Says what it is given."""

    said = Measured(0.5, 0.1)

    def learn(self, train, validation, seed):
        return []

    def measure(self, test):
        return self.said


def test_what_an_estimator_says_is_plain_or_refused():
    train, validation, test = parts(20, 20, 20)
    fitted = Said().fit(train, validation)
    fitted.said = Measured(0.5, np.float32(0.25), {"k": np.int64(3), "of": np.arange(2)})
    assert fitted.estimate(test).details == {"k": 3, "of": [0, 1]}
    fitted.said = Measured(0.5, 0.1, {"k": object()})
    with pytest.raises(ValueError, match="details of 'unnamed' must be plain JSON values, got object"):
        fitted.estimate(test)
    for error in (float("nan"), float("inf"), -0.1):
        fitted.said = Measured(0.5, error)
        with pytest.raises(ArithmeticError, match="has the standard error"):
            fitted.estimate(test)
