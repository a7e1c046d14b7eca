"""Pipelines on the Hub: published with a card, loaded by revision, no code and no pickle ever fetched."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mmmi_hf.flow.bundled import BUNDLED
from mmmi_hf.hub.client.remote import NOWHERE
from mmmi_hf.hub.client.versions import FIRST, Version
from mmmi_hf.hub.publishing.pipeline_content import PipelineContent
from tests.hub.clients import environment, run_alone
from tests.hub.hub_data import TOKEN
from tests.support import ROOT

RESULTS = ROOT / "model_cards" / "fashion-mnist"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A pipeline's folder: 1×8×8, two classes, random weights."""
    from tests.networks import tiny_flow

    pipe = tiny_flow(widths=(8, 8), classes=2, class_names=["shirt", "shoe"], num_inference_steps=2)
    folder = tmp_path_factory.mktemp("tiny") / "pipe"
    pipe.save_pretrained(folder)
    (folder / "evil.py").write_text("raise SystemExit('remote code ran')")
    (folder / "unet" / "weights.bin").write_bytes(b"a pickle")
    return folder


LOAD = """
import torch
from mmmi_hf import FlowMatchingPipeline
from mmmi_hf.hub.publishing.publish import publish
seen = {}
z = torch.linspace(-1, 1, 2 * 64).reshape(2, 1, 8, 8)
for revision in args[2:]:
    pipe = FlowMatchingPipeline.from_pretrained(args[0], revision=revision)
    pipe.set_progress_bar_config(disable=True)
    seen[revision] = [pipe.digest, pipe(z, 1).images.sum().item()]
again = publish(pipe, args[1], progress=False)
seen["object"] = [again.tag, FlowMatchingPipeline.from_pretrained(args[1], revision=again.tag).digest]
print_json(seen)
"""


def test_publish_and_load_by_revision(hub, published, tiny, repo, tmp_path):
    result = published(tiny, repo, version="1.0.0")
    remote = hub.repo(repo, "model")
    assert (result["kind"], result["tag"]) == ("model", "v1.0.0")
    assert set(remote.files()) == {
        ".gitattributes",
        "README.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    }
    card = hub.store.read("model", repo, "README.md").decode()
    assert f'FlowMatchingPipeline.from_pretrained("{repo}", revision="v1.0.0")' in card
    assert "2 classes (shirt, shoe)" in card

    from mmmi_hf.flow import FlowMatchingPipeline

    local = FlowMatchingPipeline.from_pretrained(tiny)
    changed = FlowMatchingPipeline.from_pretrained(tiny)
    with torch.no_grad():
        changed.unet.conv_out.bias.add_(1.0)
    changed.save_pretrained(tmp_path / "changed")
    hub.store.commit(
        remote, "main", [("file", {"path": "evil.py", "content": b"raise SystemExit(9)"})], title="evil", message=""
    )
    assert published(tmp_path / "changed", repo)["version"] == "1.1.0"
    hub.requests.clear()
    env = environment(hub, tmp_path / "home", token=TOKEN)
    seen = run_alone(LOAD, repo, f"{repo}-object", "v1.0.0", "v1.1.0", env=env).value
    assert seen["v1.0.0"][0] == local.digest
    assert seen["v1.1.0"][0] == changed.digest
    assert seen["v1.0.0"][1] != seen["v1.1.0"][1]
    assert seen["object"] == ["v1.0.0", changed.digest]
    assert not [path for _, path in hub.requests if path.endswith((".py", ".bin"))]
    assert published(tiny, repo, version="1.1.0")["refused"] == "VersionExistsError"


BY_DIFFUSERS = """
import torch
from mmmi_hf import FlowMatchingPipeline
from diffusers import DiffusionPipeline
pipe = DiffusionPipeline.from_pretrained(args[0], revision="v1.0.0")
pipe.set_progress_bar_config(disable=True)
everyday = dict(class_labels=1, num_images=4)
images = pipe(**everyday, generator=torch.Generator().manual_seed(7)).images
pictures = pipe(**everyday, generator=torch.Generator().manual_seed(7), output_type="pil").images
shown = torch.tensor([list(picture.getdata()) for picture in pictures])
same = torch.equal(shown, ((images.flatten(1).clamp(-1, 1) + 1) * 127.5).round().long())
print_json([type(pipe).__name__, pipe.digest, pipe.class_names, images.shape, pictures[0].size, same])
"""


def test_diffusers_loads_what_was_published(hub, published, tiny, repo, tmp_path):
    """Without remote code: this package is imported, and the class names are no component."""
    from mmmi_hf.flow import FlowMatchingPipeline

    published(tiny, repo)
    hub.requests.clear()
    seen = run_alone(BY_DIFFUSERS, repo, env=environment(hub, tmp_path / "home", token=TOKEN)).value
    digest = FlowMatchingPipeline.from_pretrained(tiny).digest
    assert seen == ["FlowMatchingPipeline", digest, ["shirt", "shoe"], [4, 1, 8, 8], [8, 8], True]
    assert not [path for _, path in hub.requests if path.endswith((".py", ".bin"))]


def test_the_card_is_rendered_from_results(hub, published, repo):
    result = published("fashion-mnist", repo, card=str(RESULTS))
    card = hub.store.read("model", repo, "README.md").decode()
    assert f'FlowMatchingPipeline.from_pretrained("{repo}", revision="v1.0.0")' in card
    digest = json.loads((RESULTS / "training.json").read_text())["digest"]
    assert digest in card
    pictures = {path.name for path in RESULTS.glob("*.png")}
    assert pictures | {"recipe.yaml", "training.json", "evaluation.json"} <= set(hub.repo(repo, "model").files())
    assert all(f"({picture})" in card for picture in pictures)
    assert TOKEN not in json.dumps(result)


def test_what_else_the_card_is_made_from_is_published_too(tiny, tmp_path):
    results = Path(shutil.copytree(RESULTS, tmp_path / "results"))
    others = {"recipe-1.yaml", "distillation-1.yaml", "classifier.yaml", "classifier-cas.yaml", "speed-cpu.txt"}
    others |= {"guide.yaml", "teacher/recipe.yaml", "teacher/recipe-1.yaml", "teacher/training.json"}
    (results / "teacher").mkdir()
    for name in others:
        (results / name).write_text("dataset: pictures\n" if "recipe" in name else "seed: 7\n")
    assert others <= {file.path for file in PipelineContent(tiny, "org/pipe", results).files}


def card_of(content, version):
    (card,) = content.derived(NOWHERE, version)
    return card.read().decode()


def test_the_folders_own_card(tiny, tmp_path):
    content = PipelineContent(tiny, "org/pipe", None)
    assert "Nothing has been measured of it." in card_of(content, FIRST)
    assert 'revision="v2.0.0"' in card_of(content, Version(2, 0, 0))
    own = tmp_path / "own"
    own.mkdir()
    for path in tiny.rglob("*"):
        target = own / path.relative_to(tiny)
        target.mkdir() if path.is_dir() else target.write_bytes(path.read_bytes())
    (own / "README.md").write_text("My words.\n")
    assert card_of(PipelineContent(own, "org/pipe", None), FIRST) == "My words.\n"


def test_wrong_requests(hub, published, tiny, tmp_path, repo):
    refused = published(tiny, repo, configs=["a"])
    assert "configs belong to dataset folders" in refused["why"]
    with pytest.raises(ValueError, match=r"is missing; a card is rendered from recipe\.yaml"):
        PipelineContent(BUNDLED / "fashion-mnist", "org/pipe", tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "Other"}')
    with pytest.raises(ValueError, match="holds a Other"):
        PipelineContent(tmp_path, "org/pipe", None)
