"""Rows whose y a target makes: columns, labels by name, posteriors, certificates, and damage that must be found."""

from __future__ import annotations

import math

import datasets
import numpy as np
import pytest

import mmmi_hf
from mmmi_hf.causal import Latents
from mmmi_hf.dataset.certificate.inversion import recover
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.schema import pmi_pairs
from mmmi_hf.dataset.format.target_columns import target_values
from mmmi_hf.dataset.generation.rows import load_bijections, make_rows
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from tests.dataset.certificate.forgeries import forge

TWO_CAUSES = {
    "eta": [1.0, 0.5],
    "weights": [[0.8, 0.0], [0.0, 0.6]],
    "mixing": [[1.0, 0.0], [0.0, 1.0]],
    "shape": [1, 4, 4],
}
TARGETS = {
    "classes": {"classes": {"quantiles": 3, "flip": 0.1, "names": ["low", "middle", "high"]}},
    "parity": {"parity": {"causes": [0, 1]}},
    "boolean": {"boolean": {"causes": [0, 1], "table": [0, 1, 1, 2]}},
    "several": {"several": {"coefficients": [[1.0, 0.0], [1.0, -2.0]]}},
    "square": {"function": {"name": "square"}},
    "exponential": {"function": {"name": "exponential"}},
}
CLASSES = ("classes", "parity", "boolean")
DRAWN = "parity"


def configuration(target, **changes):
    fields = {
        "name": "made",
        "version": "1.0.0",
        "causal_model": {**TWO_CAUSES, "target": TARGETS[target]},
        "modalities": (Modality("half-cube"), Modality("asinh")),
        "rows": 150,
        "seed": 5,
        "store_posterior": target in CLASSES,
    }
    return MMMIConfig(**{**fields, **changes})


@pytest.mark.parametrize("target", TARGETS)
def test_rows_are_certified_and_load_by_name(folders, target):
    folder, config = folders(target), configuration(target)
    data = datasets.load_dataset(str(folder), "made", split="train")
    loaded = mmmi_hf.load(folder, "made", split="train", progress=False)
    names = [name for name in data.column_names if name.startswith("y")]
    batch = next(loaded.torch_batches(names, batch_size=120))
    drawn = config.model.sample(120, seed=5)
    if target in CLASSES:
        assert data.features["y"] == datasets.ClassLabel(names=list(config.model.target.class_names))
        np.testing.assert_array_equal(batch["y"].numpy(), drawn.y)
        posterior = config.model.class_posterior(drawn, ["x1", "x2"])
        np.testing.assert_array_equal(batch["y_posterior"].numpy(), posterior)
        assert {"bayes_accuracy(x1,x2;y)", "bayes_log_loss(x1;y)"} <= set(loaded.ground_truth)
    elif target == "several":
        np.testing.assert_array_equal(np.stack([batch["y1"], batch["y2"]], axis=1), drawn.y)
    else:
        np.testing.assert_array_equal(batch["y"].numpy(), drawn.y)
    truth = loaded.ground_truth["I(x1,x2;y)"]
    assert truth.value == config.model.mutual_information(["x1", "x2"], "y")
    assert truth.method.startswith("exact: quadrature over the posterior")
    assert 0.99 * truth.value <= truth.measured_float32 <= truth.value
    assert loaded.ground_truth["I(x1;y)"].floor_float32 is not None or target == "square"
    if target in ("several", "square"):  # the law of their pointwise information is not computed
        assert truth.floor_float32 is None
    else:
        assert 0.1 * truth.value < truth.floor_float32 < truth.value
    pmi = np.array(data["pmi_x1_y"])
    np.testing.assert_allclose(pmi, config.model.pointwise_mutual_information(drawn, "x1", "y"))
    card = (folder / "README.md").read_text()
    assert ("`y1`, `y2`" if target == "several" else "| `y` |") in card
    assert "exact probability of each class" in card or target not in CLASSES


@pytest.mark.parametrize("target", TARGETS)
def test_certificates_hold_again_with_and_without_the_seed(folders, target):
    for options in ({"sample_seed": 3}, {"use_seed": False}):
        (result,) = certify(folders(target), progress=False, rows_float64=0, write=False, **options).values()
        assert result.valid, result.reasons
        if not options.get("use_seed", True):
            assert all(each.float32.floor is None for each in result.record.bounds.values())


def swapped(config):
    """Targets go with other rows, and all that follows from them is written again."""

    def change(columns):
        drawn = config.model.sample(config.rows, seed=config.seed)
        moved = Latents(drawn.z, drawn.y[::-1].copy())
        columns |= target_values(config.model, moved)
        for column, (a, b) in pmi_pairs(config.model).items():
            columns[column] = config.model.pointwise_mutual_information(moved, a, b)

    return change


@pytest.mark.parametrize("target", ["classes", "parity", "several", "square"])
def test_a_target_that_goes_with_other_rows_is_found(folders, target, tmp_path):
    forged = forge(folders(target), tmp_path / "forged", "made", swapped(configuration(target)))
    for use_seed, found in ((True, "is not the one of"), (False, "of the recovered latents: p = ")):
        (result,) = certify(forged, progress=False, rows_float64=0, write=False, use_seed=use_seed).values()
        assert not result.valid
        assert found in " | ".join(result.reasons)


@pytest.mark.statistical
@pytest.mark.parametrize("target", CLASSES)
def test_the_posterior_of_recovered_latents_reaches_the_bayes_accuracy(target):
    config = configuration(target, rows=256)
    bijections = load_bijections(config, device="cpu")
    table = make_rows(config, 0, 256, bijections=bijections)
    recovered = {}
    for name, shape in config.model.shapes.items():
        stored = np.array(table[name].combine_chunks().storage.to_pylist(), dtype=np.float32).reshape(-1, *shape)
        recovered[name] = recover(bijections[name], None, stored)
    labels = table["y"].to_numpy()
    posterior = config.model.class_posterior(Latents(recovered, labels), ["x1", "x2"])
    stored = np.array(table["y_posterior"].to_pylist())
    assert np.abs(posterior - stored).max() < 1e-5
    expected = config.model.bayes_accuracy(["x1", "x2"]).value
    right = posterior.argmax(axis=1) == labels
    score = (right.mean() - expected) / math.sqrt(expected * (1.0 - expected) / len(right))
    print(f"{target}: {right.mean():.4f} of {expected:.4f}, z = {score:+.2f}")
    assert abs(score) < 4.0


def test_requests_that_do_not_fit_are_refused():
    with pytest.raises(ConfigurationError, match="store_posterior: got true, but y has no classes"):
        configuration("several", store_posterior=True)
    with pytest.raises(ConfigurationError, match="store_posterior: got 3, expected a valid boolean"):
        configuration("classes", store_posterior=3)
    assert configuration("classes").digest != configuration("classes", store_posterior=False).digest
    with pytest.raises(ConfigurationError, match="3 different words"):
        configuration("classes", causal_model={**TWO_CAUSES, "target": {"classes": {"quantiles": 3, "names": ["a"]}}})
    assert "store_posterior: true" in configuration("classes").to_yaml()
