"""Train as observed and test under an intervention, read by plain `load_dataset` as one configuration."""

from __future__ import annotations

import datasets
import numpy as np
import pytest

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.yaml_files import front_matter
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.derived import write_derived
from mmmi_hf.dataset.format.configurations import Pair, pairs
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.hub.merging import merge_cards, split_card
from tests.support import generate

SHIFT = {"cause": 0, "scale": 3.0}


def configuration(name, **more):
    spec = {"story": "common_cause", "shape": [1, 4, 4], "mi": 1.5, **more}
    return MMMIConfig(
        name=name,
        causal_model=spec,
        modalities=(Modality("identity"), Modality("half-cube")),
        rows=400,
        seed=len(name),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("pairs") / "out"
    generate(configuration("seen"), out)
    generate(configuration("moved", shift=SHIFT), out)
    generate(configuration("other", mi=1.0, shift=SHIFT), out)
    return DatasetFolder(out, reading=True)


def test_load_dataset_trains_on_one_law_and_tests_on_the_other(folder):
    names = datasets.get_dataset_config_names(str(folder.path))
    assert set(names) == {"moved", "other", "seen", "moved-from-seen", "ground_truth"}
    data = datasets.load_dataset(str(folder.path), "moved-from-seen")
    assert {split: len(rows) for split, rows in data.items()} == {"train": 320, "validation": 40, "test": 40}
    for split, config in (("train", "seen"), ("validation", "seen"), ("test", "moved")):
        alone = datasets.load_dataset(str(folder.path), config, split=split)
        assert data[split]["y"] == alone["y"]
        assert data[split]["row"] == alone["row"]
    assert np.std(data["test"]["y"]) > 2.0 * np.std(data["train"]["y"])
    truth = datasets.load_dataset(str(folder.path), "ground_truth", split="train").to_pandas().set_index("config")
    stated = truth[truth.quantity == "KL(x1,x2)"].value["moved"]
    model = configuration("moved", shift=SHIFT).model
    assert stated == model.shift_divergence(["x1", "x2"]) > 0.5
    assert CausalModel.of_law(model.law.observed).digest == configuration("seen").model.digest
    text = folder.card.read_text()
    assert "- **`moved-from-seen`**: Train and validation of seen, test of moved: between them lies the" in text
    assert f"KL(x1,x2) = {stated:.4f} nats" in text


def test_the_card_is_checked_and_merged(folder):
    for name in ("seen", "moved"):
        (result,) = certify(folder.path, name, rows_float64=0, progress=False, write=False).values()
        assert result.valid, result.reasons
    text = folder.card.read_text()
    fields, _ = split_card(merge_cards(text, text, ["seen"]))
    assert fields["size_categories"] == ["1K<n<10K"]
    assert "moved-from-seen" in [entry["config_name"] for entry in fields["configs"]]
    before, begin, after = text.partition("- config_name: moved-from-seen")
    for wrong in (
        before + begin + after.replace("data/moved/test-*", "data/other/test-*", 1),
        before + "- config_name: moved-from-other" + after,
    ):
        assert wrong != text
        try:
            folder.card.write_text(wrong)
            (result,) = certify(folder.path, "seen", rows_float64=0, progress=False, write=False).values()
            assert "which is no configuration of the folder" in " ".join(result.reasons)
        finally:
            write_derived(folder)
    assert folder.card.read_text() == text


def test_a_pair_that_is_none_anymore_leaves_the_card(folder):
    """Its splits would be those of two maps or laws. Pairs of configurations of others stay."""
    fields, body = split_card(folder.card.read_text())
    named = [entry["config_name"] for entry in fields["configs"]]
    assert named.count("moved-from-seen") == 1
    foreign = {"config_name": "a-from-b", "data_files": Pair("b", "a").data_files}
    there = front_matter(fields | {"configs": [*fields["configs"], foreign]}) + body
    apart = front_matter(
        fields
        | {
            kind: [entry for entry in fields[kind] if entry["config_name"] != "moved-from-seen"]
            for kind in ("configs", "dataset_info")
        }
    )
    merged, _ = split_card(merge_cards(there, apart + body, ["seen"]))
    assert [entry["config_name"] for entry in merged["configs"]] == [
        *(name for name in named if name != "moved-from-seen"),
        "a-from-b",
    ]
    assert "moved-from-seen" not in [entry["config_name"] for entry in merged["dataset_info"]]
    assert merged["size_categories"] == ["1K<n<10K"]


def test_what_makes_a_pair(folder):
    manifests = {name: folder.known_manifest(name) for name in folder.configurations()}
    models = {name: folder.model(name) for name in manifests}
    assert pairs(manifests, models) == [Pair("seen", "moved")]
    targets = {name: model.with_target({"parity": {"causes": [0]}}) for name, model in models.items()}
    absent = {name: model.with_missing({"x1": 0.2}) for name, model in targets.items()}
    assert pairs(manifests, targets) == pairs(manifests, absent) == [Pair("seen", "moved")]
    assert pairs(manifests, {**models, "seen": targets["seen"]}) == []
    loud = manifests["moved"].model_copy(update={"standardize": "rms"})
    assert pairs({**manifests, "moved": loud}, models) == []
    pair = Pair("seen", "moved")
    assert Pair.of_entry(pair.name, pair.data_files) == pair
    for name, files in (("x", pair.data_files), (pair.name, pair.data_files[:2]), (pair.name, None), (pair.name, "a")):
        assert Pair.of_entry(name, files) is None
