"""Forged or damaged files beside honest rows – manifest, certificate, ground truth, card, images – are refused with a
reason, never an unexplained error."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmmi_hf.causal import Latents, common_cause
from mmmi_hf.dataset.certificate.bounds import Plan, lower_bounds
from mmmi_hf.dataset.certificate.folder_checks import check_folder
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.ground_truth import SCHEMA, ground_truth_table, write_ground_truth
from mmmi_hf.dataset.format.schema import pmi_pairs
from mmmi_hf.dataset.releases.configuration import ConfigurationError
from tests.dataset.certificate import forgeries
from tests.dataset.certificate.forgeries import (
    SMALL,
    changed,
    manifest_of,
    put_manifest,
    reasons_of,
    rewritten,
    uncertified,
    without,
)
from tests.support import generate

VIEW_OF_X2 = ("modalities", 1, "view", "half_range")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("rows"), "small.json: rows: is missing"),
        (changed(10**30, "rows"), "rows: input should be less than or equal to 9007199254740992"),
        (changed(True, "rows"), "rows: input should be a valid integer, got True"),
        (changed("1.0", "version"), "version: string should match pattern"),
        (without("modalities", 0, "pipeline_digest"), "modalities[0].pipeline_digest: is missing"),
        (changed(5, "modalities", 0, "pipeline_digest"), "modalities[0].pipeline_digest: input should be a valid str"),
        (changed(0.0, "modalities", 1, "view", "half_range"), "half_range: input should be greater than 0, got 0.0"),
        (changed(float("inf"), "modalities", 1, "view", "half_range"), "half_range: input should be a finite number"),
        (
            changed("smell", "modalities", 1, "view", "kind"),
            "modalities[1].view.kind: 'smell' is no kind of view; known are image, sound;",
        ),
        (changed("many", "splits", "train", "bytes"), "splits.train.bytes: input should be a valid integer"),
        (changed("so", "statements", "why"), "statements.why: unknown field"),
        (changed(3, "format"), "of format 3; this version of mmmi_hf reads 1 to 2: install the newest"),
        (changed("two", "format"), "format: input should be 1 or 2, got 'two'"),
    ],
)
def test_malformed_manifests_are_refused(place, change, words):
    document = manifest_of(place)
    change(document)
    put_manifest(place, document)
    with pytest.raises(ConfigurationError) as error:
        reasons_of(place)
    assert words.removeprefix("small.json: ") in str(error.value)
    assert "\n" not in str(error.value)


def test_the_line_of_a_wrong_field_is_said(place):
    path = place.manifest_path("small")
    path.write_text(path.read_text().replace('"rows": 120', '"rows": "many"', 1))
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "many" in text)
    with pytest.raises(ConfigurationError, match=rf"small\.json, line {line}: splits\.train\.rows: "):
        reasons_of(place)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (changed([1, 64], "modalities", 1, "shape"), "x2 of the shape 1×64 cannot have the view image ±4"),
        (changed([{"name": "y1"}], "targets"), "names other columns of the target than the causal model has"),
        (changed([1, 4, 16], "modalities", 0, "shape"), "shapes of modalities differ"),
        (changed("0" * 64, "causal_model"), "the causal model is another than the manifest's (digest)"),
    ],
)
def test_manifests_that_contradict_the_rest_are_refused(place, change, words):
    rewritten(place, change)
    assert words in reasons_of(place)


@pytest.mark.parametrize("write", [None, False])
def test_an_edited_ground_truth_is_refused_and_left_as_it_is(place, write):
    truth = place.ground_truth("small")
    table = pq.read_table(truth).to_pylist()
    for row in table:
        row["measured_view"] = row["value"] if row["measured_view"] is not None else None
    pq.write_table(pa.Table.from_pylist(table, schema=pq.read_schema(truth)), truth)
    before = truth.read_bytes()
    assert "the ground truth gives I(x1;y) the measured_view 1.0" in reasons_of(place, write=write)
    assert truth.read_bytes() == before


def with_ground_truth(place, rows):
    """The ground truth replaced, and no certificate."""
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), place.ground_truth("small"))
    place.certificate_path("small").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [*rows, {**rows[0], "quantity": "I(x1;x9)"}], "lists I(x1;x9), which the causal model"),
        (lambda rows: [*rows, rows[0]], "lists a quantity twice; it lists every quantity of the causal model once"),
        (lambda rows: [], "does not list I(x1;y)"),
        (lambda rows: rows[:1], "does not list I(x2;y)"),
        (lambda rows: rows[:-3], "does not list unique(x1;y) without x2"),
        (
            lambda rows: [{**rows[0], "floor_view": 0.5}, *rows[1:]],
            "gives I(x1;y) the floor_view 0.5",
        ),
        (lambda rows: [{**rows[0], "rows_inverted": 9}, *rows[1:]], "the rows_inverted 9, the certificate nothing"),
        (lambda rows: [{**rows[0], "version": "9.0.0"}, *rows[1:]], "I(x1;y) is that of small 9.0.0"),
        (lambda rows: [{**rows[0], "value": None}, *rows[1:]], "I(x1;y) is None in the ground truth"),
        (lambda rows: [{**rows[0], "method": "guessed"}, *rows[1:]], "I(x1;y) tells another method: 'guessed'"),
    ],
)
def test_ground_truth_lists_nothing_else(place, change, words):
    rows = ground_truth_table(SMALL).to_pylist()
    with_ground_truth(place, rows)
    assert check_folder(place.path, "small") == []
    with_ground_truth(place, change(rows))
    assert words in check_folder(place.path, "small")[0]


def test_a_ground_truth_without_bounds_is_right_beside_a_certificate(place):
    """As a kill between the two leaves it; the same call writes it again."""
    whole, card = place.ground_truth("small").read_bytes(), place.card.read_bytes()
    write_ground_truth(SMALL, place.ground_truth("small"), None)
    assert reasons_of(place, rows_float64=None, write=False) == ""
    assert place.ground_truth("small").read_bytes() != whole
    assert reasons_of(place, rows_float64=None) == ""
    assert place.ground_truth("small").read_bytes() == whole
    place.card.write_text(place.card.read_text().replace("64 sampled rows were inverted", "Nothing was measured"))
    assert reasons_of(place, rows_float64=None) == ""
    assert place.card.read_bytes() == card


@pytest.mark.parametrize("name", ["manifests", "certificates", "ground_truth"])
def test_files_that_cannot_be_read_are_named(place, name):
    path = next((place.path / name).iterdir())
    path.write_text("[" * 100_000)
    if name == "ground_truth":
        assert "malformed" in reasons_of(place)
    elif name == "manifests":
        with pytest.raises(ConfigurationError, match=r"small.json: invalid JSON"):
            certify(place.path, progress=False)
    else:
        assert "is not a certificate of this manifest" in reasons_of(place)


def test_the_range_of_the_view_is_the_pipelines(honest, tmp_path):
    """Else its 8-bit pictures could show anything, though they agree with the float column."""
    wide = tmp_path / "wide"
    forgeries.forge(honest, wide, "small", lambda columns: None, manifest_changes=changed(9.0, *VIEW_OF_X2))
    assert "the view of x2 is image ±9, its pipeline's is image ±4" in reasons_of(DatasetFolder(wide))


def test_the_view_is_there_if_the_pipeline_makes_one(honest, tmp_path):
    bare = tmp_path / "bare"
    forgeries.forge(honest, bare, "small", lambda columns: None, manifest_changes=without("modalities", 1, "view"))
    assert check_folder(bare, "small") == []
    assert "the view of x2 is none, its pipeline's is image ±4" in reasons_of(DatasetFolder(bare))


def test_lists_of_unlike_length_are_no_images(place):
    """As many numbers as wanted, but not in every row: `datasets` would shift them in silence."""
    path = place.path / place.manifest("small").splits["test"].files[0]
    table = pq.read_table(path)
    rows = [row.as_py() for row in table["x1"]]
    rows[0][0][0].append(rows[0][0][1].pop(0))
    at, field = table.schema.get_field_index("x1"), table.schema.field("x1")
    values = pa.ExtensionArray.from_storage(field.type, pa.array(rows, field.type.storage_type))
    pq.write_table(table.set_column(at, field, values), path)
    uncertified(place)
    assert "column x1 has rows of another shape" in reasons_of(place)


def test_a_damaged_page_is_malformed(place):
    """Behind rewritten digests."""
    path = place.ground_truth("small")
    content = bytearray(path.read_bytes())
    content[10:40] = b"\xff" * 30
    path.write_bytes(content)
    assert "malformed" in reasons_of(place)


def test_a_configuration_that_is_being_made_is_no_stray(place):
    write_ground_truth(dataclasses.replace(SMALL, name="more"), place.ground_truth("more"), None)
    (place.path / "data/more").mkdir()
    place.work("more").mkdir(parents=True)
    assert check_folder(place.path, "small") == []


def test_a_class_that_the_pipeline_lacks_is_refused(honest, tmp_path):
    folder = forgeries.forge(
        honest,
        tmp_path / "forged",
        "small",
        lambda columns: None,
        manifest_changes=changed(3, "modalities", 0, "class_label"),
    )
    assert "'identity' has no classes" in reasons_of(DatasetFolder(folder))


def again(columns):
    """The pointwise information of the rows as they are."""
    latents = Latents({name: columns[name].astype(float) for name in ("x1", "x2")}, columns["y"], "whiten")
    for column, pair in pmi_pairs(SMALL.model).items():
        columns[column] = SMALL.model.pointwise_mutual_information(latents, *pair)


def decoded(columns):
    """y becomes exactly what the decoder says."""
    latents = Latents({name: columns[name].astype(float) for name in ("x1", "x2")}, columns["y"], "whiten")
    columns["y"] = np.asarray(SMALL.model.decode(latents, ("x1", "x2")))
    again(columns)


def one_nan(columns):
    columns["pmi_x1_y"][70] = np.nan


def signs(columns):
    columns["x1"] *= -1
    again(columns)


@pytest.mark.parametrize(
    ("change", "words"),
    [(decoded, "of the recovered latents: p = "), (signs, "covariances"), (one_nan, "row 70: pmi_x1_y is not finite")],
)
def test_without_the_seed_too(honest, tmp_path, change, words):
    folder = forgeries.forge(honest, tmp_path / "forged", "small", change, manifest_changes=forgeries.without_seed)
    assert words in reasons_of(DatasetFolder(folder))


def test_files_of_a_split_must_be_called_so(place):
    """`load_dataset` finds the files of a split by their names, whatever the manifest says."""
    names = [f"data/small/{split}-00000-of-00001.parquet" for split in ("validation", "test")]
    contents = [(place.path / name).read_bytes() for name in names]
    for name, content in zip(names, reversed(contents), strict=True):
        (place.path / name).write_bytes(content)

    def change(manifest):
        first, second = manifest["splits"]["validation"], manifest["splits"]["test"]
        first["files"], second["files"] = second["files"], first["files"]

    rewritten(place, change)
    assert f"{names[1]} is not what a file of the split validation is called" in reasons_of(place)


ROWS = {"train": [0, 120], "validation": [120, 135], "test": [135, 150]}


def with_rows(**others):
    """Every file is said to hold rows."""

    def change(manifest):
        for entry in manifest["files"]:
            if entry["path"].startswith("data/"):
                entry["rows"] = (ROWS | others)[entry["path"].split("/")[-1].split("-")[0]]

    return change


@pytest.mark.parametrize("rows", [[121, 135], [120, 136], [135, 120], [0, 120]])
def test_the_rows_of_files_must_follow_on_each_other(place, rows):
    rewritten(place, with_rows(validation=rows))
    assert "files of validation are not said to hold the rows 120 … 134" in reasons_of(place)


def test_a_file_must_have_the_rows_that_it_is_said_to_have(place):
    path = place.path / "data/small/validation-00000-of-00001.parquet"
    rewritten(place, with_rows())
    assert check_folder(place.path, "small") == []
    pq.write_table(pq.read_table(path).slice(1), path)
    rewritten(place, with_rows())
    assert f"{path.name} has 14 rows, the manifest states 15" in check_folder(place.path, "small")[0]


def test_columns_must_be_those_of_the_configuration(place):
    """The same values under other `datasets` features, which `load_dataset` would go by."""
    path = place.path / "data/small/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    said = table.schema.metadata[b"huggingface"].replace(
        b'"x1_image": {"_type"', b'"x1_image": {"decode": false, "_type"'
    )
    pq.write_table(table.replace_schema_metadata({b"huggingface": said}), path)
    rewritten(place)
    assert "has columns of other kinds than the configuration's" in reasons_of(place)


@pytest.mark.parametrize("replayed", [True, False])
def test_stored_latents_are_those_of_the_images(tmp_path, replayed):
    config = dataclasses.replace(SMALL, store_latents=True)
    place = DatasetFolder(generate(config, tmp_path / "out").folder)
    assert reasons_of(place, use_seed=replayed) == ""
    for path in sorted((place.path / "data/small").iterdir()):
        table = pq.read_table(path)
        at = table.schema.get_field_index("z1")
        pq.write_table(table.set_column(at, table.schema.field(at), table["z2"]), path)
    uncertified(place)
    words = "z1 is not the latent of (seed, row)" if replayed else "z1 is not the latent of x1 (64 of 64 sampled rows)"
    assert words in reasons_of(place, use_seed=replayed)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1,)])
@pytest.mark.parametrize("information", [8.0, 11.0, 13.0, 18.0, 25.0])
def test_much_information_is_no_forgery(tmp_path, shape, information):
    """Pointwise information of float32 images is that of their latents to about e^I times their rounding, and the
    residuals that tests of the law look at are smaller than it."""
    config = dataclasses.replace(SMALL, causal_model=common_cause(shape, mi=information))
    place = DatasetFolder(generate(config, tmp_path / "out", certify=False).folder)
    assert reasons_of(place) == ""


def test_no_bound_is_published_above_the_analytic_information():
    """What is stored cannot have more; a limit from a sample may lie above it and was then refused by `verify`."""
    model = SMALL.model
    latents = model.sample(64, seed=3)
    generator = np.random.default_rng(0)
    y = np.asarray(model.decode(latents, ("x1",))) + 0.1 * generator.standard_normal(64)
    missing = {name: np.zeros(64, dtype=bool) for name in latents.z}
    found = lower_bounds(model, latents.z, y, "whiten", Plan.of(model, 1, 0.99), None, missing)["I(x1;y)"]
    assert found["correlation"] > 1.5
    assert found["bound"] == model.mutual_information("x1", "y")


def test_generate_says_that_a_manifest_is_damaged(place):
    place.manifest_path("small").write_text('{"format": 2}')
    with pytest.raises(ConfigurationError, match=r"small\.json, line 1: config: is missing; .*remove it and generate"):
        generate(SMALL, place.path)
