"""What plain `load_dataset` would read by a folder's card: other rows, other kinds or somebody else's by default are
refused, honest entries of others are not."""

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset_builder
from huggingface_hub import DatasetCard

from mmmi_hf.dataset.certificate import card_checks
from mmmi_hf.dataset.certificate.folder_checks import check_folder

MORE = "- config_name: more\n  data_files:\n  - split: train\n    path: data/more/train-*\n"
THEIRS = "- config_name: theirs\n  data_files: other/*.csv\n"


def card_of(old, new):
    def change(place):
        text = place.card.read_text()
        assert old in text
        place.card.write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda place: (
                (place.path / "data/more").mkdir(),
                place.work("more").mkdir(parents=True),
                card_of("configs:\n", f"configs:\n{MORE}")(place),
            ),
            "read 'more', which is no configuration",
        ),
        (
            card_of("configs:\n", f"configs:\n{THEIRS}  default: true\n"),
            "does not say what `load_dataset` reads (",
        ),
        (
            card_of("configs:\n", "configs:\n- config_name: theirs\n  data_files: '*/small/*'\n"),
            "read 'theirs', which is no configuration",
        ),
        (
            card_of("configs:\n", "configs:\n- config_name: theirs\n  data_dir: data/small\n"),
            "read 'theirs', which is no configuration",
        ),
        (card_of("data/small/train-*", "other/train-*"), "something else as 'small'"),
        (card_of("- config_name: small\n", "- config_name: small\n  data_dir: other\n"), "something else as 'small'"),
        (card_of("ground_truth/*.parquet", "other/*.parquet"), "something else as 'ground_truth'"),
        (
            card_of(
                "configs:\n", "configs:\n- config_name: better\n  data_files: data/small/test-*\n  default: true\n"
            ),
            "does not say what `load_dataset` reads (",
        ),
        (
            card_of(
                "configs:\n", "configs:\n- config_name: more\n  data_files:\n  - split: x\n    path: data/more/x-*\n"
            ),
            "read 'more', which is no configuration",
        ),
        (
            card_of("ground_truth/*.parquet", "ground_truth/*.parquet\n  default: true"),
            "does not say what `load_dataset` reads (",
        ),
        (card_of("A test configuration.", "I = 99 nats."), "another version or description than the manifest"),
        (card_of("version: 1.0.0", "version: 2.0.0"), "another version or description than the manifest"),
        (lambda place: place.card.write_text("---\na: " + "[" * 5000 + "\n---\n"), "does not say what"),
        (card_of("configs:\n", "configs: none\nothers:\n"), "does not say what `load_dataset` reads"),
        (lambda place: place.card.unlink(), "does not say what `load_dataset` reads"),
        (
            lambda place: shutil.copy(place.ground_truth("small"), place.path / "ground_truth/more.parquet"),
            "ground_truth/more.parquet belongs to no configuration",
        ),
        (lambda place: (place.path / "data/more").mkdir(), "data/more belongs to no configuration"),
        (card_of("- name: y\n    dtype: float64", "- name: y\n    dtype: float16"), "take 'small' for something else"),
        (card_of("num_examples: 120", "num_examples: 12"), "take 'small' for something else"),
        (
            card_of("- name: value\n    dtype: float64", "- name: value\n    dtype: int64"),
            "take 'ground_truth' for some",
        ),
        (card_of("dtype: float64", "dtype: imaginary"), "does not say what `load_dataset` reads"),
    ],
    ids=[
        "data of a configuration that is not here",
        "theirs by default",
        "theirs of ours by pattern",
        "theirs of ours by folder",
        "elsewhere",
        "data_dir",
        "ground truth",
        "another default",
        "another split",
        "ground truth by default",
        "another description",
        "another version",
        "deep",
        "no list",
        "no card",
        "a stray ground truth",
        "stray data",
        "another type",
        "other sizes",
        "another type of truth",
        "no type",
    ],
)
def test_what_plain_load_dataset_reads_is_checked(place, change, words):
    change(place)
    assert words in " ".join(check_folder(place.path, "small"))


def test_a_part_of_a_repository_is_no_forgery(place):
    """Its card names all configurations, those that were not downloaded too, and somebody else's."""
    card_of("configs:\n", f"configs:\n{MORE}{THEIRS}")(place)
    assert check_folder(place.path, "small") == []


@pytest.mark.parametrize(
    ("entry", "keeps_away"),
    [
        ({"data_files": "other/*.csv"}, True),
        ({"data_files": "my-images/**"}, True),
        ({"data_files": ["extra.parquet", "a b/c.parquet", "v1.0/x-*"]}, False),  # a blank is nothing that we let be
        ({"data_files": ["extra.parquet", "v1.0/x-*"]}, True),
        ({"data_files": [{"split": "train", "path": ["a/*", "b/*"]}]}, True),
        ({"data_files": [{"split": "train", "path": ["a/*", "data/*"]}]}, False),
        ({"data_dir": "other"}, True),
        ({"data_dir": "other", "data_files": "small/*"}, True),
        ({"data_dir": "other/..", "data_files": "data/small/*"}, False),
        ({"data_dir": "data", "data_files": "small/*"}, False),
        ({"data_dir": None, "data_files": "small/*"}, True),
        ({"data_dir": None}, False),
        ({"data_dir": ""}, False),
        ({"data_dir": ["other"]}, False),
        ({}, False),
        ({"data_files": None}, False),
        ({"data_files": []}, False),
        ({"data_files": 7}, False),
        ({"data_files": {"train": "other/*"}}, False),
        ({"data_files": [{"split": "train"}]}, False),
        ({"data_files": [{"split": "train", "path": None}]}, False),
        ({"data_files": "other/../data/small/*"}, False),
        ({"data_files": "../small/*"}, False),
        ({"data_files": "./data/small/*"}, False),
        ({"data_files": "/etc/*"}, False),
        ({"data_files": "Data/small/*"}, False),
        ({"data_files": "d?ta/small/*"}, False),
        ({"data_files": "[d]ata/small/*"}, False),
        ({"data_files": "**/train-*"}, False),
        ({"data_files": "other\\..\\data\\*"}, False),
        ({"data_files": ["*.csv", "train*.csv"]}, True),
        ({"data_files": "**.csv"}, False),
        ({"data_files": "https://example.org/x.csv"}, False),
        ({"data_files": "s3::x.parquet"}, False),
        ({"data_files": "other/x::y"}, False),
        ({"default": False, "data_files": "other/*"}, True),
        ({"config_name": "ev[i]l", "data_files": [{"split": "train", "path": "data/ev[i]l/train-*"}]}, False),
        ({"config_name": "sm[a]ll", "data_files": [{"split": "test", "path": "data/sm[a]ll/test-*"}]}, False),
    ],
)
def test_entries_of_others_keep_away_from_our_files(place, entry, keeps_away):
    found = with_card(place, lambda data: data["configs"].append({"config_name": "theirs", **entry}))
    assert (found == "") is keeps_away, found
    assert keeps_away or "which is no configuration of the folder" in found or "does not say what" in found


def with_card(place, change):
    card = DatasetCard.load(place.card)
    change(card.data)
    card.save(place.card)
    return " ".join(check_folder(place.path, "small"))


def entries(*theirs, default=None, infos=None):
    """Others' entries after ours, of which the one that is called `default` is it; and the names of `dataset_info`."""

    def change(data):
        own = [{key: value for key, value in entry.items() if key != "default"} for entry in data["configs"]]
        every = own + [{"data_files": "other/*.parquet", **each} for each in theirs]
        data["configs"] = [e | ({"default": True} if e["config_name"] == default else {}) for e in every]
        if infos is not None:
            data["dataset_info"] = [{"config_name": name} for name in infos]

    return change


@pytest.mark.parametrize(
    ("change", "by_default"),
    [
        (entries({"config_name": "theirs"}), None),
        (entries({"config_name": "theirs"}, default="small"), "small"),
        (entries({"config_name": "theirs"}, infos=["small"]), "small"),  # the only one that is described
        (entries({"config_name": "theirs"}, infos=["small", "theirs"]), None),
        (entries({"config_name": "theirs"}, infos=[]), None),
        (entries({"config_name": "theirs"}, default="theirs"), "theirs"),
        (entries({"config_name": "default"}), "default"),
        (entries({"config_name": "theirs"}, infos=["theirs"]), "theirs"),
        (entries({"config_name": "theirs"}, infos=["ground_truth"]), "ground_truth"),
    ],
)
def test_what_is_read_by_default_is_ours(place, change, by_default):
    """As `load_dataset` itself decides."""
    (place.path / "other").mkdir()
    pq.write_table(pa.table({"a": [1, 2]}), place.path / "other/some.parquet")
    found = with_card(place, change)
    assert (found == "") is (by_default in (None, "small")), found
    if found:
        assert f"README.md makes `load_dataset` read {by_default!r} by default" in found
    if by_default is None:
        with pytest.raises(ValueError, match="Config name is missing"):
            load_dataset_builder(str(place.path))
    else:
        assert load_dataset_builder(str(place.path)).config.name == by_default


def test_two_defaults_are_none(place):
    found = with_card(place, entries({"config_name": "default"}, default="small"))
    assert "does not say what `load_dataset` reads (" in found


@pytest.mark.parametrize("manifest", ["{}", '{"format": 1}', '{"format": 1, "splits": 5}', None])
def test_a_manifest_beside_it_does_not_make_an_entry_ours(place, manifest):
    """One of another version, or one that names other files than the card."""
    (place.path / "manifests/evil.json").write_text(manifest or place.manifest_path("small").read_text())
    card = place.card.read_text()
    for files in ("other/*.parquet", [{"split": "train", "path": "data/evil/train-*"}]):
        place.card.write_text(card)
        assert "'evil'" in with_card(place, entries({"config_name": "evil", "data_files": files}, default="evil"))
    place.card.write_text(card)
    assert check_folder(place.path, "small") == []


@pytest.mark.parametrize("name", [".huggingface.yaml", "dataset_infos.json"])
def test_files_that_load_dataset_heeds_above_the_card(place, name):
    (place.path / name).write_text("{}")
    assert f"{name} makes `load_dataset` heed something else than README.md" in check_folder(place.path, "small")[0]


@pytest.mark.parametrize("value", ['!!int ""', '!!float ""', '!!int "_"', "2024-99-99"])
def test_cards_that_yaml_stumbles_over(place, value):
    card_of("configs:\n", f"x: {value}\nconfigs:\n")(place)
    assert "README.md does not say what `load_dataset` reads" in check_folder(place.path, "small")[0]


KINDS = [
    ("aux/train*", None, ["aux/train.parquet"], None),
    ("aux/*", None, ["aux/train.parquet", "aux/README.md", "aux/LICENSE"], None),
    ("aux/*", None, [], None),
    ("aux/**", None, ["aux/deep/train.csv"], "csv"),
    ("aux/train*", None, ["aux/train.csv", "aux/train.parquet", "aux/train-2.csv"], "csv"),
    ("aux/*.parquet", None, ["aux/a.txt.txt.parquet"], "text"),
    ("x/*", "aux", ["aux/x/a.parquet", "x/b.csv"], "csv"),  # `load_dataset` looks for the first kind at the root
]


@pytest.mark.parametrize(("pattern", "below", "files", "kind"), KINDS)
def test_entries_of_others_that_come_first_are_of_our_kind(place, pattern, below, files, kind):
    """`load_dataset` reads all configurations as the kind of files that the first one has."""
    for name in files:
        (place.path / name).parent.mkdir(parents=True, exist_ok=True)
        (place.path / name).write_text("a\n1\n")
    entry = {"config_name": "aux", "data_files": pattern} | ({"data_dir": below} if below else {})

    def first(data):
        data["configs"] = [entry, *data["configs"]]

    assert with_card(place, first) == (
        f"README.md names 'aux' first, which makes `load_dataset` take all files for {kind}" if kind else ""
    )
    if files:
        builder = type(load_dataset_builder(str(place.path), "small")).__name__
        assert builder.lower().startswith(kind or "parquet")


def test_entries_that_load_dataset_itself_cannot_read(place, monkeypatch):
    def stumbles(self):
        raise ValueError("what is this?")

    monkeypatch.setattr(card_checks.LocalDatasetModuleFactory, "get_module", stumbles)
    assert check_folder(place.path, "small") == ["`load_dataset` cannot tell what README.md names: what is this?"]


@pytest.mark.parametrize("configs", ["[]", "{}", "''"])
def test_a_card_without_entries(place, configs):
    with_card(place, lambda data: data.__setitem__("configs", yaml.safe_load(configs)))
    assert "read something else as 'small' than the manifest's files" in check_folder(place.path, "small")[0]


def test_ground_truth_speaks_of_its_own_configuration(place):
    """Under whatever name another table lies, plain `load_dataset` reads it with ours."""
    place.work("more").mkdir(parents=True)  # as if it were being made
    shutil.copy(place.ground_truth("small"), place.path / "ground_truth/more.parquet")
    assert check_folder(place.path, "small") == ["ground_truth/more.parquet lists quantities of another configuration"]


def test_hidden_files_beside_the_data_are_no_configuration(place):
    (place.path / "data/.DS_Store").write_bytes(b"")
    assert check_folder(place.path, "small") == []


def test_an_entry_of_a_configuration_elsewhere_is_a_list_of_its_files(place):
    for files in ("data/more/train-*", 7, [], {"train": "data/more/train-*"}):
        found = with_card(place, entries({"config_name": "more", "data_files": files}))
        assert "read 'more', which is no configuration" in found or "does not say what" in found
