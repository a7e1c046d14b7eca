"""What a preprocessing leaves: bounded where the inverse can begin, refused where it cannot, never written."""

import doctest
import io
import re

import numpy as np
import pytest
from PIL import Image

from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.configuration import ConfigurationError, MMMIConfig, Modality
from tests.support import generate


def after(folder, transform, **options):
    given = {"rows_float64": 0, "rows": 100, "progress": False, "transform": transform, **options}
    (result,) = certify(folder, **given).values()
    return result


def jpeg(values):
    """Every image as a JPEG file of middling quality, read again."""
    pixels = np.clip(np.rint(values * 32.0 + 128.0), 0, 255).astype(np.uint8)
    found = np.empty_like(values)
    for row, image in enumerate(pixels):
        file = io.BytesIO()
        Image.fromarray(image[0]).save(file, "JPEG", quality=75)
        found[row, 0] = (np.asarray(Image.open(file), dtype=np.float32) - 128.0) / 32.0
    return found


def halved(values):
    return values[:, :, ::2, ::2]


def test_what_changes_nothing_leaves_what_was_measured(honest):
    result = after(honest, lambda values: values)
    assert result.valid
    assert not result.written
    for quantity, left in result.transformed.items():
        assert left == pytest.approx(result.bounds[quantity].float32.measured, abs=0.02)


def test_the_more_is_lost_the_less_is_left(honest):
    found = [after(honest, change).transformed for change in (jpeg, halved, np.zeros_like)]
    for quantity in ("I(x1;y)", "I(x1,x2;y)"):
        assert found[0][quantity] > 0.3
        assert found[0][quantity] > found[1][quantity] >= found[2][quantity] == 0.0


def test_a_modality_without_a_transform_keeps_its_values(honest):
    result = after(honest, {"x2": np.zeros_like})
    assert result.transformed["I(x2;y)"] == 0.0
    assert result.transformed["I(x1;y)"] == pytest.approx(result.bounds["I(x1;y)"].float32.measured, abs=0.02)
    assert result.to_dict()["transformed"] == result.transformed


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (lambda values: values.reshape(len(values), -1), r"gave the shape \(64,\), and the inverse takes \(1, 8, 8\)"),
        (lambda values: values[:, :, :0], "of any height and width: no bound is known"),
        (lambda values: np.repeat(values, 3, axis=1), r"gave the shape \(3, 8, 8\)"),
        (lambda values: values[1:], "must give 100 rows of real numbers"),
        (lambda values: values.astype(str), "must give 100 rows of real numbers"),
        (lambda values: None, "must give 100 rows"),
        ({"x3": np.abs}, "a function, or one for some of x1, x2"),
        ({}, "a function, or one for some of x1, x2"),
        ("resize", "a function, or one for some of x1, x2"),
    ],
)
def test_what_no_bound_is_known_for_is_refused(honest, transform, words):
    with pytest.raises(ConfigurationError, match=words):
        after(honest, transform)


def test_one_transform_is_for_images(tmp_path):
    model = {"story": "common_cause", "shape": [8], "mi": 1.0}
    config = MMMIConfig(name="series", causal_model=model, modalities=(Modality("asinh"), Modality("asinh")), rows=80)
    generate(config, tmp_path / "out", certify=False)
    with pytest.raises(ConfigurationError, match="no images to transform; name modalities of x1, x2"):
        after(tmp_path / "out", np.abs, rows=64)


def test_too_few_rows_and_a_wish_to_write_are_refused(honest):
    with pytest.raises(ConfigurationError, match="at least 32 rows"):
        after(honest, np.abs, rows=16)
    with pytest.raises(ConfigurationError, match="leave out the transform"):
        after(honest, np.abs, write=True)


def test_the_example_of_the_docstring(honest, capsys):
    """Run as it stands, in another folder."""
    names = {}
    for example in doctest.DocTestParser().get_examples(certify.__doc__):
        source = example.source.replace('"my-dataset"', repr(str(honest)))
        exec(compile(source, "example", "exec"), names)
    shown = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    print(shown)
    left = {name: float(re.search(r"'I\(x1;y\)': ([0-9.]+)", text)[1]) for name, text in shown.items()}
    assert set(left) == {"resized", "cropped", "jpeg", "encoded"}
    assert min(left["resized"], left["jpeg"]) > 0.9 > max(left["cropped"], left["encoded"])


def test_pixels_of_8_bits_are_those_of_the_view(honest):
    """Not numbers between 0 and 255, in which the inverse would find nothing."""
    (view,) = set(DatasetFolder(honest, reading=True).known_manifest("small").views.values())
    pixels = after(honest, lambda values: view.stored.levels(values, view)).transformed
    floats = after(honest, lambda values: view.stored.values(view.stored.levels(values, view), view)).transformed
    assert pixels == floats
    assert pixels["I(x1;y)"] > 0.9


def test_errors_of_a_transform_are_the_users_own(honest):
    def broken(values):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$") as raised:
        after(honest, broken)
    assert not isinstance(raised.value, ConfigurationError)
