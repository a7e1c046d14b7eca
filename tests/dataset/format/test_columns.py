"""Features and Arrow arrays: exact values, the types that `datasets` itself would choose."""

import io

import datasets
import numpy as np
import pytest
from PIL import Image

from mmmi_hf.causal import CausalModel
from mmmi_hf.dataset.format.schema import features, is_image, pmi_pairs, png_views, to_table


@pytest.fixture
def mixed_model():
    """An RGB image, a time series and a matrix."""
    return CausalModel([1.0], [[0.5], [0.4], [0.3]], np.eye(3), shape=[(3, 4, 4), (7,), (2, 5)])


def test_features_of_every_kind_of_modality(mixed_model):
    found = features(mixed_model, store_latents=True)
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
        features(model)


def test_arrow_arrays_equal_what_datasets_encodes(mixed_model):
    rng = np.random.default_rng(0)
    wanted = features(mixed_model, store_latents=True)
    count = 5
    columns = {}
    for name, feature in wanted.items():
        if isinstance(feature, datasets.Image):
            columns[name] = png_views(rng.normal(size=(count, 3, 4, 4)), 1.0)
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


def test_views_use_a_fixed_range_and_clip():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 0.5]).reshape(1, 1, 2, 3)
    pixels = np.asarray(Image.open(io.BytesIO(png_views(values, 1.0)[0])))
    assert pixels.tolist() == [[0, 0, 128], [255, 255, 191]]
    wide = np.asarray(Image.open(io.BytesIO(png_views(values, 2.0)[0])))
    assert wide.tolist() == [[0, 64, 128], [191, 255, 159]]
    colour = Image.open(io.BytesIO(png_views(np.zeros((1, 3, 2, 2)), 1.0)[0]))
    assert colour.mode == "RGB"


def test_which_shapes_have_a_view():
    assert is_image((1, 32, 32))
    assert is_image((3, 8, 8))
    assert not is_image((2, 8, 8))
    assert not is_image((32, 32))
