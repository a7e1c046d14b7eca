"""What is learned is learned from the training rows: the paper's recipe, and the adapter of latentmi."""

import numpy as np

from mmmi_hf.benchmark import Pairs, Training, make_estimator


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
