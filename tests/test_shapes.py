"""Public functions of causal/ and flow/ keep the shapes that their annotations state; a wrong one is found."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from mmmi_hf.causal import CausalModel, common_cause, two_telescopes
from mmmi_hf.flow import diagnostics, load_bijection
from mmmi_hf.flow.computing import layouts, spectrogram
from mmmi_hf.flow.evaluation import metrics, storage
from mmmi_hf.flow.evaluation.classifier import ImageClassifier
from mmmi_hf.flow.training import recipe as training
from mmmi_hf.flow.training.images import LabelledImages
from mmmi_hf.flow.training.recipe import TrainingRecipe
from mmmi_hf.flow.training.signals import LabelledSignals
from tests.networks import tiny_flow
from tests.shapes import checked, watching


def exact_facts():
    model = two_telescopes((3, 4), rho_tilde_1=0.5)
    latents = model.sample(5, seed=0)
    assert model.eta.shape == model.weights.shape[1:]
    assert len(model.mixing) == 2
    model.canonical_correlations("x1", "y")
    model.pointwise_mutual_information(latents, "x1", "y")
    model.information_map("x1")
    model.decode(latents, "x1")
    model.unstandardize_latents(model.standardize_latents(latents.z["x1"], "x1", "rms"), "x1", "rms")
    classes = common_cause((2,)).with_target({"classes": {"quantiles": 3}})
    assert len(classes.class_prior) == classes.class_posterior(classes.sample(4, seed=0), "x1").shape[1]


def bijections():
    pipe, z = tiny_flow(num_inference_steps=2), torch.randn(2, 1, 8, 8)
    pipe.invert(pipe(z, 0).images, 0)
    pipe.scheduler.reverse_step(lambda x, t: -x, 0, z)
    series = load_bijection("asinh", (5,))
    series.invert(series(torch.randn(3, 5)).images)
    diagnostics.step_certificate(pipe, samples=2, iterations=2)


def training_and_evaluation():
    draw = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, 3, generator=draw), torch.randn(8, 3, generator=draw)
    metrics.frechet_distance(a, b)
    metrics.precision_recall(a[:8], b, k=2)
    metrics.nearest(a, b, 2)
    ImageClassifier(1, 2)(torch.randn(3, 1, 8, 8))
    storage.quantised(torch.randn(2, 3), 8, 1.0)
    images = LabelledImages(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]), ("a", "b"))
    recipe = TrainingRecipe("none", image_size=8, batch_size=2)
    training.flow_matching_batch(recipe, images, training.draws_of_step(recipe, images, 0))
    signals = LabelledSignals(torch.zeros(2, 64), torch.tensor([0, 1]), ("a", "b"), 2.0)
    companded = {"bins": 8, "rate": 8000, "half_range": 1.0, "companding": {"knee": 1.0, "scale": 1.0}}
    layout = layouts.layout_of(2, companded)
    layout.made(layout.unmade(signals.batch(torch.tensor([0]))[0]))
    spectrogram.spectrogram(signals.floats(signals.values), 1.0)


def test_all_that_state_a_shape_keep_it():
    with watching("mmmi_hf.causal", "mmmi_hf.flow") as (wanted, called):
        exact_facts()
        bijections()
        training_and_evaluation()
    assert len(wanted) >= 25
    assert wanted - called == set(), "these are not called here: call them"


@pytest.mark.parametrize(
    ("function", "annotations", "arguments"),
    [
        (CausalModel.decode, {"return": 'Float[Array, "n k"]'}, lambda model, latents: (model, latents, "x1")),
        (
            CausalModel.standardize_latents,
            {"z": 'Float[Array, "n d"]', "return": 'Float[Array, "d n"]'},
            lambda model, latents: (model, latents.z["x1"], "x1", "rms"),
        ),
    ],
)
def test_a_wrong_annotation_is_found(function, annotations, arguments):
    model = common_cause((3,))
    given = arguments(model, model.sample(4, seed=0))
    checked(function)(*given)
    with pytest.raises(TypeCheckError):
        checked(function, **annotations)(*given)


def test_rows_that_do_not_go_together_are_found():
    nearest = checked(metrics.nearest)
    nearest(torch.zeros(2, 3), torch.ones(4, 3), 1)
    with pytest.raises(TypeCheckError):
        nearest(torch.zeros(2, 3), torch.ones(4, 5), 1)
    with pytest.raises(TypeCheckError):
        nearest(torch.zeros(2, 3), np.ones((4, 3)), 1)
