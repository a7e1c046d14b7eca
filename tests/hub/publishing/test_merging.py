"""Cards merged in one process, and the parts of a card's text."""

import pytest
import yaml

from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities
from mmmi_hf.common.yaml_files import Parsed
from mmmi_hf.dataset.cards.dataset_card import BEGIN, END, dataset_card, size_category
from mmmi_hf.dataset.cards.text import (
    bound,
    bound_sentences,
    cell,
    certificate_line,
    columns_of,
    corrections_of,
    graph_text,
    nats,
    spread,
    summary,
)
from mmmi_hf.dataset.format.certificate_record import (
    CertificateRecord,
    ColumnBound,
    FloorEvidence,
    MapEvidence,
    QuantityBounds,
    Replays,
    RoundTrip,
    Sample,
)
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.pipelines import DEFAULT_PIPELINE
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.hub.client.errors import HubRequestError
from mmmi_hf.hub.merging import merge_cards, split_card
from tests.hub.hub_data import make

FIELDS = "license: apache-2.0\ntags: [ours]\nconfigs: [{config_name: a, default: true}]\n"
OURS = f"---\n{FIELDS}---\n\n{BEGIN}\nnew\n{END}\n"


def fields(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_nothing_there():
    assert merge_cards("", OURS, ["a"]) == OURS


def test_text_is_replaced_between_the_markers_only():
    theirs = f"---\nlicense: mit\n---\nbefore\n\n{BEGIN}\nold\n{END}\n\nafter\n"
    merged = merge_cards(theirs, OURS, ["a"])
    assert merged.endswith(f"before\n\n{BEGIN}\nnew\n{END}\n\nafter\n")
    assert merge_cards(merged, OURS, ["a"]) == merged
    assert fields(merged)["license"] == "mit"


def test_a_card_without_yaml_or_without_text():
    assert merge_cards("Only words.\n", OURS, ["a"]).endswith(f"Only words.\n\n{BEGIN}\nnew\n{END}\n")
    merged = merge_cards("---\nlicense: mit\n---\n", OURS, ["a"])
    assert merged.endswith(f"---\n\n{BEGIN}\nnew\n{END}\n")
    assert fields(merged)["configs"] == [{"config_name": "a", "default": True}]


def test_a_single_entry_without_a_list():
    theirs = "---\ndataset_info: {features: [], splits: [{name: train, num_examples: 5}]}\ntags: one\n---\nx\n"
    merged = fields(merge_cards(theirs, OURS, ["a"]))
    assert merged["dataset_info"] == [fields(theirs)["dataset_info"]]
    assert merged["tags"] == ["one", "ours"]


def test_unreadable_yaml_is_refused():
    with pytest.raises(HubRequestError, match=r"README\.md has YAML that cannot be read"):
        split_card("---\na: [\n---\nx\n")
    with pytest.raises(HubRequestError, match="no mapping"):
        split_card("---\n- a\n---\nx\n")
    assert split_card("---\n# nothing\n---\nx\n") == ({}, "x\n")


def test_numbers():
    assert [nats(value) for value in (0.0, 1.0, 0.00012345, 12345.678)] == [
        "0.0000",
        "1.0000",
        "0.0001234",
        "1.235e+04",
    ]
    assert [spread(v) for v in ([], [1.0], [1.0, 1.0], [1.0, 2.0], [3.0, 1.0, 2.0])] == [
        "–",
        "1.0000",
        "1.0000",
        "1.0000, 2.0000",
        "1.0000 … 3.0000",
    ]
    assert (bound(None), bound(0.49999), bound(-0.00001)) == ("not measured", "0.4999", "-0.0001")
    assert cell("I(x1;x2|y)") == "I(x1;x2\\|y)"
    assert [size_category(rows) for rows in (1, 1000, 10**8)] == ["n<1K", "1K<n<10K", "n>10M"]


def test_certificate_line():
    one, two = RoundTrip(median=1e-6, max=5e-6, failed=0, rows=2), RoundTrip(failed=2, rows=2)
    certificate = CertificateRecord.model_construct(
        sample=Sample(rows=(1, 2), rows_float64=(), seed="1", unseen_share=0.9),
        confidence=0.99,
        round_trip={"x1": {"float32": one}, "x2": {"float32": two}, "x3": {}},
        replayed=True,
        replays=None,
        evidence=None,
    )
    assert certificate_line(certificate, {}) == (
        "2 sampled rows were inverted and gave the latents of their seed again, with relative errors of at most "
        "5.0e-06; no floor was computed; "
        "a measured bound holds with 99 % confidence if the other rows err as the sampled ones do"
    )
    unseeded = certificate_line(certificate.model_copy(update={"replayed": False}), {})
    assert "gave latents of the declared law; no floor: without the seed no row can be called good" in unseeded
    maps = {
        name: MapEvidence(pipeline="0" * 64, label=label, seen=seen, bad=0, micro_batch=32, software={"torch": "2.0"})
        for name, label, seen in (("x1", 7, 1504), ("x2", 8, 800), ("x3", 8, 800))
    }
    floored = certificate.model_copy(
        update={
            "evidence": FloorEvidence(differing=1, maps=maps),
            "replays": Replays(equal=1023, largest=2e-6),
            "sample": certificate.sample.model_copy(update={"rows_replayed": 1024}),
            "bounds": {"I(x1;y)": QuantityBounds(analytic=1.0, view=ColumnBound(floor=0.5, measured=0.6, tried={}))},
        }
    )
    assert certificate_line(floored, {}).endswith(
        "; 1,024 rows were made again and are the same, 1,023 of them bit for bit, the others within 2.0e-06; "
        "a floor holds with 99 % confidence whatever the unseen rows are; "
        "floors of floats take inverses of maps to fail no more often here than where that was counted "
        "(0 of 1,504 and 0 of 800 latents, torch 2.0); "
        "a measured bound holds with 99 % confidence if the other rows err as the sampled ones do"
    )
    pairs = {f"I(x1;x{number})": "why" for number in range(2, 8)}
    sentences = bound_sentences(floored, {**pairs, "I(x2;y)": "why not"})
    assert sentences[2:4] == [
        "no floor of I(x1;x2), I(x1;x3), I(x1;x4) and 3 others: why",
        "no floor of I(x2;y): why not",
    ]
    cut = {
        "x1": {"view": two.model_copy(update={"clipped": 0.36})},
        "x2": {"view": two.model_copy(update={"clipped": 0.0})},
    }
    assert "views cut 36 % of the values of x1, which lie beyond their range" in certificate_line(
        certificate.model_copy(update={"round_trip": cut}), {}
    )
    cut["x2"]["view"] = two.model_copy(update={"clipped": 0.3})
    (sentence,) = bound_sentences(certificate.model_copy(update={"round_trip": cut}), {})[1:-1]
    assert sentence.startswith("views cut 30 to 36 % of the values of x1, x2,")
    none = floored.model_copy(update={"bounds": {"I(x2;y)": QuantityBounds(analytic=1.0)}})
    assert not bound_sentences(none, {"I(x2;y)": "why not"})[0].startswith("a floor holds")


def test_graphs():
    assert "x2 = w21 T21 ũ1 + G22 û2" in graph_text(common_cause((1, 4, 4), mi=1.0))
    many = graph_text(decaying_modalities((1, 4, 4), modalities=10))
    assert "…" in many
    assert max(map(len, many.splitlines())) < 100
    assert "A u" in graph_text(CausalModel.from_matrix([[1.0, 0.0], [0.5, 1.0]], [(1,)]))


@pytest.mark.parametrize("count", [1, 10])
def test_card_of_one_modality_and_of_ten(tmp_path, count):
    config = MMMIConfig(
        name="many",
        causal_model={"story": "common_cause", "shape": [5], "mi": 0.5, "modalities": count},
        modalities=(Modality("identity"),) * count,
        rows=3,
        store_latents=True,
    )
    card = dataset_card(DatasetFolder(make(tmp_path / "data", config)))
    assert ("10 of 5" if count == 10 else "| 5 |") in card
    assert "`z1`" in card
    assert max(len(line) for line in card.splitlines() if line.startswith("|")) < 400


def test_corrections_are_those_of_the_configurations(two, monkeypatch):
    entry = {
        "date": "2026-01-31",
        "configuration": "a",
        "versions": "1.0.0",
        "superseded_by": "1.1.0",
        "what": "Wrong.",
    }
    monkeypatch.setattr(
        "mmmi_hf.dataset.cards.text.parse", lambda text: Parsed([entry, entry | {"configuration": "z"}], {})
    )
    assert corrections_of(["a", "b"]) == [entry]
    assert "- 2026-01-31, `a` 1.0.0: Wrong. Superseded by 1.1.0." in dataset_card(DatasetFolder(two))


def test_a_card_says_how_a_configuration_differs_from_the_release_of_its_name(tmp_path):
    released = get_configuration("decaying-modalities-alpha1.2-beta1.2", pipeline="identity")
    folder = DatasetFolder(
        make(tmp_path / "data", released.replace(rows=3, causal_model=common_cause([5], modalities=10)))
    )
    card = dataset_card(folder)
    assert "rows 3 (released: 10000)" in card
    there = f"{DEFAULT_PIPELINE} class 0, {DEFAULT_PIPELINE} class 1, "
    assert f"modalities 10 × identity (released: {there}" in card
    assert f"- **`{released.name}`**: Ten images" in card


def test_summary_and_columns(two):
    folder = DatasetFolder(two)
    manifest = folder.manifest("a")
    shown = summary(folder, "a", manifest)
    assert shown["shapes"] == "2 of 1×6×6"
    assert [entry["quantity"] for entry in shown["bounds"]] == ["I(x1;y)", "I(x2;y)", "I(x1,x2;y)", "I(x1;x2)"]
    assert "60 sampled rows" in shown["certificate"]
    model = CausalModel.from_json(folder.causal_model("a").read_text())
    names = [row["name"] for row in columns_of([manifest], [model])]
    assert names == ["`x1`, `x2`", "`x1_image`, `x2_image`", "`y`", "`pmi_x1_y`, `pmi_x2_y`, `pmi_x1_x2`", "`row`"]
    assert 'revision="v3.0.0"' in dataset_card(folder, location="org/x", revision="v3.0.0")
