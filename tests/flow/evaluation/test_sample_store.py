"""Stored samples: addressed by (seed, class, row), resumed after a kill, and bound to their pipeline."""

import pytest
import torch
from safetensors.torch import save_file

from mmmi_hf.flow.evaluation.sample_store import latents_of_all_classes, latents_of_class, silent, stored_samples
from mmmi_hf.flow.pipeline import FlowMatchingPipeline
from mmmi_hf.flow.scheduler import FlowMatchODEScheduler


@pytest.fixture
def pipeline(small_recipe):
    return FlowMatchingPipeline(
        small_recipe.network(2).eval(), FlowMatchODEScheduler(num_inference_steps=2), patch_size=2
    )


def test_latents_depend_on_their_address_alone():
    whole = latents_of_class(3, 1, range(6), (1, 4, 4))
    assert torch.equal(latents_of_class(3, 1, [4, 2], (1, 4, 4)), whole[[4, 2]])
    for other in (
        latents_of_class(4, 1, range(6), (1, 4, 4)),
        latents_of_class(3, 0, range(6), (1, 4, 4)),
        latents_of_class(3, 1, range(6), (1, 4, 4), purpose="storage"),
    ):
        assert not torch.isclose(other, whole).any()


@pytest.mark.statistical
def test_latents_are_standard_normal():
    z = latents_of_class(0, 0, range(400), (1, 8, 8)).flatten()
    n = len(z)
    scores = {
        "mean": float(z.mean()) * n**0.5,
        "variance": (float(z.square().mean()) - 1) / (2 / n) ** 0.5,
        "fourth moment": (float(z.pow(4).mean()) - 3) / (96 / n) ** 0.5,
    }
    print({name: f"z = {score:.2f}" for name, score in scores.items()})
    assert max(map(abs, scores.values())) < 4.5


def test_samples_are_those_of_the_pipeline(pipeline, tmp_path):
    samples = stored_samples(pipeline, 3, tmp_path, seed=5, batch_size=4, progress=False)
    assert samples.shape == (2, 3, 1, 8, 8)
    z = latents_of_class(5, 1, range(4), (1, 8, 8)).float()
    assert torch.equal(samples[1], pipeline(z, 1, batch_size=4).images[:3])


def test_more_samples_continue_with_the_next_rows(pipeline, tmp_path):
    few = stored_samples(pipeline, 3, tmp_path, batch_size=2, progress=False)
    more = stored_samples(pipeline, 5, tmp_path, batch_size=2, progress=False)
    assert torch.equal(more[:, :3], few)


def test_a_killed_run_continues_and_ends_with_the_same_samples(pipeline, tmp_path, monkeypatch):
    undisturbed = stored_samples(pipeline, 6, tmp_path / "a", batch_size=2, progress=False)
    real, calls = FlowMatchingPipeline.__call__, []

    def failing(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, *arguments, **keywords)

    monkeypatch.setattr(FlowMatchingPipeline, "__call__", failing)
    with pytest.raises(KeyboardInterrupt):
        stored_samples(pipeline, 6, tmp_path / "b", batch_size=2, progress=False)
    assert torch.equal(stored_samples(pipeline, 6, tmp_path / "b", batch_size=2, progress=False), undisturbed)
    assert len(calls) == 4 + 3, "three chunks were there; the fourth failed and was made again with the last two"


def test_other_weights_seeds_and_batch_sizes_keep_apart(pipeline, tmp_path):
    first = stored_samples(pipeline, 2, tmp_path, batch_size=2, progress=False)
    assert not torch.equal(stored_samples(pipeline, 2, tmp_path, seed=1, batch_size=2, progress=False), first)
    with torch.no_grad():
        pipeline.unet.conv_out.bias.add_(1.0)
    assert not torch.equal(stored_samples(pipeline, 2, tmp_path, batch_size=2, progress=False), first)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_foreign_chunk_is_refused(pipeline, tmp_path):
    stored_samples(pipeline, 2, tmp_path, batch_size=2, progress=False)
    chunk = next(tmp_path.rglob("class-001*"))
    save_file({"images": torch.zeros(2, 1, 8, 8)}, chunk, metadata={"pipeline": "another"})
    with pytest.raises(ValueError, match="another pipeline, seed or class; delete it"):
        stored_samples(pipeline, 2, tmp_path, batch_size=2, progress=False)


@pytest.mark.parametrize(("per_class", "batch_size"), [(0, 2), (2, 0)])
def test_numbers_below_one_are_refused(pipeline, tmp_path, per_class, batch_size):
    with pytest.raises(ValueError, match=f"at least 1, got {per_class} and {batch_size}"):
        stored_samples(pipeline, per_class, tmp_path, batch_size=batch_size)


def test_latents_of_all_classes_and_their_labels(pipeline):
    latents, labels = latents_of_all_classes(pipeline, 0, 3, purpose="samples")
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(latents[3:], latents_of_class(0, 1, range(3), (1, 8, 8)))


def test_the_progress_bar_setting_is_restored(pipeline):
    pipeline.set_progress_bar_config(desc="mine")
    with silent(pipeline):
        assert pipeline._progress_bar_config["disable"]
    assert pipeline._progress_bar_config == {"desc": "mine"}
