"""Pictures of configurations, folders and families; the card shows them, and plain `load_dataset` is not disturbed."""

import json
import shutil

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmmi_hf.causal import common_cause
from mmmi_hf.dataset.assembly import generate
from mmmi_hf.dataset.cards import pictures as pictures_module
from mmmi_hf.dataset.cards.dataset_card import dataset_card
from mmmi_hf.dataset.cards.pictures import (
    CAPTIONS,
    draw,
    draw_for_card,
    family_pictures,
    first_rows,
    folder_pictures,
    shown_in_card,
    tuples_figure,
)
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import ModalityEntry
from mmmi_hf.dataset.format.reading import DataFile
from mmmi_hf.dataset.format.schema import pmi_pairs
from mmmi_hf.dataset.generation.rows import load_bijections, make_rows, modality_entries
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.dataset.releases.registry import get_configuration
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.figures import style

OF_A_FOLDER = ["causal_graph", "information", "templates", "tuples", "pointwise"]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    config = MMMIConfig(
        name="small",
        description="A small test configuration.",
        causal_model={"story": "common_cause", "shape": [1, 8, 8], "mi": 1.0},
        modalities=(Modality("identity"), Modality("identity")),
        rows=150,
        seed=11,
    )
    return config, generate(config, tmp_path_factory.mktemp("made") / "out", progress=False).folder


@pytest.fixture
def small_config(made_once):
    return made_once[0]


@pytest.fixture
def made(made_once, tmp_path):
    """A folder of one's own, pictures included."""
    return shutil.copytree(made_once[1], tmp_path / "out")


def files(folder):
    return {path.stem: path.read_bytes() for path in sorted((folder / "figures" / "small").iterdir())}


def test_generate_draws_every_picture_and_the_card_shows_it(made):
    assert sorted(files(made)) == sorted(OF_A_FOLDER)
    assert all(len(content) < 300_000 for content in files(made).values())
    card = (made / "README.md").read_text()
    for name in OF_A_FOLDER:
        assert f"![small: {CAPTIONS[name]}](figures/small/{name}.png)" in card
    assert "\n\n\n" not in card[card.index("## Pictures") : card.index("## Loading")]
    assert not any(
        "figures/" in entry["path"] for entry in json.loads((made / "manifests/small.json").read_text())["files"]
    )


def test_pictures_beside_the_data_do_not_disturb_load_dataset(made):
    data = datasets.load_dataset(str(made), "small")
    assert {split: len(rows) for split, rows in data.items()} == {"train": 120, "validation": 15, "test": 15}
    assert data["train"].column_names[0] == "x1_image"
    assert len(datasets.load_dataset(str(made), "ground_truth", split="train")) > 5
    assert set(datasets.get_dataset_config_names(str(made))) == {"small", "ground_truth"}


def test_a_second_configuration_is_folded_away_in_the_card(made, small_config):
    generate(small_config.replace(name="tall", seed=3), made, progress=False)
    card = (made / "README.md").read_text()
    assert card.count("<details>") == card.count("</details>") == 1
    assert "<summary><code>tall</code></summary>" in card
    assert "figures/tall/tuples.png" in card


def test_only_what_is_missing_is_drawn_again(made, small_config):
    before = files(made)
    (made / "figures/small/tuples.png").rename(made / "figures/small/.tuples.png.partial")
    (made / "figures/small/information.png").write_bytes(b"kept")
    generate(small_config, made, progress=False)
    assert files(made) == before | {"information": b"kept"}
    assert draw_for_card(DatasetFolder(made), "small") == []


def test_what_was_left_out_is_drawn_by_the_next_run(made, small_config, tmp_path):
    folder = generate(small_config, tmp_path / "plain", figures=False, progress=False).folder
    assert not (folder / "figures").exists()
    assert "Pictures" not in (folder / "README.md").read_text()
    generate(small_config, folder, progress=False)
    assert files(folder) == files(made)
    assert "figures/small/tuples.png" in (folder / "README.md").read_text()


def test_pictures_of_replaced_rows_are_replaced(made, small_config):
    before = files(made)
    generate(small_config.replace(seed=12), made, overwrite=True, progress=False)
    after = files(made)
    assert after["causal_graph"] == before["causal_graph"]
    assert after["tuples"] != before["tuples"]
    assert after["pointwise"] != before["pointwise"]


def test_a_card_without_pictures_has_no_such_section(made):
    shutil.rmtree(made / "figures")
    folder = DatasetFolder(made)
    assert shown_in_card(folder, "small") == []
    assert "Pictures" not in dataset_card(folder)


def test_the_first_rows_are_those_of_the_data_whatever_the_files(made):
    shards = sorted((made / "data/small").glob("*.parquet"))
    table = pa.concat_tables(
        [pq.read_table(next((made / "data/small").glob(f"{split}-*"))) for split in ("train", "validation", "test")]
    )
    rows = first_rows([DataFile("a", made / "data/small/train-00000-of-00001.parquet")])
    assert rows["row"] == list(range(pictures_module.ROWS_SHOWN))
    assert rows["y"] == table["y"].to_pylist()[: pictures_module.ROWS_SHOWN]
    assert np.shape(rows["x1"]) == (pictures_module.ROWS_SHOWN, 1, 8, 8)
    across = first_rows([DataFile("a", shards[0]), DataFile("b", shards[2])], count=18)
    assert across["row"] == [*range(135, 150), 120, 121, 122], "the test split has 15 rows, the rest is validation's"


def test_one_row_has_tuples_but_no_histogram(small_config, tmp_path):
    folder = generate(small_config.replace(rows=1), tmp_path / "one", progress=False).folder
    assert sorted(files(folder)) == ["causal_graph", "information", "templates", "tuples"]


def test_modalities_of_every_kind(tmp_path):
    model = {"story": "common_cause", "shape": [[1, 4, 4], [3, 4, 4], [12], [2, 3]], "modalities": 4, "mi": 0.5}
    config = MMMIConfig(name="small", causal_model=model, modalities=(Modality("identity"),) * 4, rows=8)
    assert sorted(files(generate(config, tmp_path / "out", progress=False).folder)) == sorted(OF_A_FOLDER)


def test_very_many_modalities_are_not_all_shown_and_that_is_said():
    model = common_cause((2, 2), modalities=14, mi=0.5)
    latents = model.sample(2, seed=0)
    rows = {**latents.z, "y": latents.y}
    rows |= {column: model.pointwise_mutual_information(latents, *pair) for column, pair in pmi_pairs(model).items()}
    entry = ModalityEntry(name="x", shape=(2, 2), pipeline="identity", pipeline_digest="0" * 64)
    figure = tuples_figure("small", model, [entry] * 14, rows)
    assert any("the first 12 of 14 modalities" in text.get_text() for text in figure.texts)
    assert sum("datum:0," in (axes.get_gid() or "") for axes in figure.axes) == 12


def test_formats_and_refusals(made, tmp_path):
    folder = DatasetFolder(made)
    one = [next(folder_pictures(folder, "small"))]
    assert [path.name for path in draw(iter(one), tmp_path / "d", formats=("svg", "png", "svg"))] == [
        "causal_graph.svg",
        "causal_graph.png",
    ]
    with pytest.raises(ValueError, match="expected some of png, pdf, svg"):
        draw(iter(one), tmp_path / "d", formats=("gif",))
    with pytest.raises(ConfigurationError, match=r"holds no configuration 'smal'; it holds small"):
        next(folder_pictures(folder, "smal"))
    (made / "data/small/train-00000-of-00001.parquet").write_bytes(b"no parquet")
    with pytest.raises(ConfigurationError, match=r"train-00000-of-00001.parquet cannot be read"):
        draw(folder_pictures(folder, "small"), tmp_path / "e")
    (made / "causal_models/small.json").unlink()
    with pytest.raises(ConfigurationError, match=r"small.json cannot be read.*generate 'small' again"):
        next(folder_pictures(folder, "small"))


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("decaying-modalities", ["decay"]),
        ("common-cause", ["overview"]),
        ("template-ablation", ["overview", "gallery"]),
        ("two-telescopes", ["overview", "gallery"]),
        ("independent", ["causal_graph", "information", "templates"]),
    ],
)
def test_a_family_is_shown_side_by_side(family, names):
    assert [picture.name for picture in family_pictures(family)] == names


def test_pictures_are_complete_files(made):
    for path in (made / "figures/small").iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert min(picture.size) > 200


def texts(figure):
    return [text.get_text() for text in (*figure.texts, *(text for axes in figure.axes for text in axes.texts))]


def test_tuples_of_a_synergy_show_what_all_modalities_tell_together():
    parity = get_configuration("parity-2-1.0").replace(modalities=(Modality("identity"), Modality("identity")))
    table = make_rows(parity, 5, 8)
    rows = {column: table.column(column).to_pylist() for column in table.column_names}
    bijections = load_bijections(parity, device="cpu")
    latents = parity.model.sample(3, seed=parity.seed, start=5)
    entries = modality_entries(parity, bijections)
    figure = tuples_figure("parity", parity.model, entries, rows, latents=latents)
    said = texts(figure)
    together = parity.model.pointwise_mutual_information(latents, ["x1", "x2"], "y")
    assert "$i(x_{1},x_{2};y)$" in said
    assert all(style.decimals(float(value)) in said for value in together)
    assert any("$I(x_{1},x_{2};y)$ = 0.271 nats" in text for text in said)
    assert "$i(x_{1},x_{2};y)$" not in texts(tuples_figure("parity", parity.model, entries, rows)), "no seed is told"
    plain = common_cause((1, 32, 32), mi=1.0)
    assert "$i(x_{1},x_{2};y)$" not in texts(
        tuples_figure("common", plain, entries, rows, latents=plain.sample(3, seed=0))
    )
