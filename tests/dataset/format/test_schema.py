"""Features and Arrow arrays: exact values, the types that `datasets` itself would choose."""

import datasets
import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, common_cause
from mmmi_hf.dataset.format.schema import features, pmi_pairs, to_table
from mmmi_hf.dataset.format.target_columns import column_rows, target_features
from mmmi_hf.dataset.format.views import KINDS, View

VIEWS = {"x1": View(kind="image", half_range=1.0)}


@pytest.fixture
def mixed_model():
    """An RGB image, a time series and a matrix."""
    return CausalModel([1.0], [[0.5], [0.4], [0.3]], np.eye(3), shape=[(3, 4, 4), (7,), (2, 5)])


def test_features_of_every_kind_of_modality(mixed_model):
    found = features(mixed_model, VIEWS, store_latents=True)
    assert list(found) == [
        *["x1_image", "x1", "x2", "x3", "y"],
        *["pmi_x1_y", "pmi_x2_y", "pmi_x3_y", "pmi_x1_x2", "pmi_x1_x3", "pmi_x2_x3"],
        *["row", "z1", "z2", "z3"],
    ]
    assert found["x1"] == datasets.Array3D((3, 4, 4), "float32")
    assert found["x2"] == datasets.List(datasets.Value("float32"), length=7)
    assert found["x3"] == datasets.Array2D((2, 5), "float32")
    assert next(iter(pmi_pairs(mixed_model).values())) == ("x1", "y")


def test_more_than_five_dimensions_are_refused():
    model = CausalModel([1.0], [[1.0]], [[1.0]], shape=(2,) * 6)
    with pytest.raises(ValueError, match="x1 has 6 dimensions"):
        features(model, {})


def test_arrow_arrays_equal_what_datasets_encodes(mixed_model):
    rng = np.random.default_rng(0)
    wanted = features(mixed_model, VIEWS, store_latents=True)
    count = 5
    columns = {}
    for name, feature in wanted.items():
        if isinstance(feature, datasets.Image):
            columns[name] = KINDS["image"].shown(rng.normal(size=(count, 3, 4, 4)), VIEWS["x1"])
        elif isinstance(feature, datasets.List):
            columns[name] = rng.normal(size=(count, feature.length)).astype(np.float32)
        elif hasattr(feature, "shape"):
            columns[name] = rng.normal(size=(count, *feature.shape)).astype(np.float32)
        elif feature.dtype == "int64":
            columns[name] = np.arange(count)
        else:
            columns[name] = rng.normal(size=count)
    table = to_table(columns, wanted)
    table.validate(full=True)
    plain = {
        name: [{"bytes": value, "path": None} for value in values] if isinstance(values, list) else values.tolist()
        for name, values in columns.items()
    }
    expected = datasets.Dataset.from_dict(plain, features=wanted).data.table
    assert table.schema.types == expected.schema.types
    assert table.to_pydict() == expected.to_pydict()


def test_names_of_classes_stay_in_their_cell_of_a_table():
    names = ["a|b", "<b>"]
    model = common_cause((2,), mi=1.0).with_target({"classes": {"quantiles": 2, "names": names}})
    (row,) = column_rows([model], posterior=False)
    assert row["meaning"] == r"the target: one of 2 classes (a\|b, &lt;b&gt;)"
    assert target_features(model)["y"].names == names
