"""Sample sheets: what is drawn where, clipping only in the picture, and every refusal."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmmi_hf.flow.training.sheets import sample_sheet


def _read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_every_image_is_on_the_sheet_doubled_and_in_its_place(tmp_path):
    levels = torch.linspace(-1, 1, 6).reshape(2, 3, 1, 1, 1).expand(2, 3, 1, 32, 32)
    sheet = _read(sample_sheet(levels, ["one", "two"], tmp_path / "sheets" / "a.png"))
    expected = np.round((np.linspace(-1, 1, 6) + 1) * 127.5).astype(int).reshape(2, 3)
    right, bottom = sheet.shape[1] - 16, sheet.shape[0] - 16
    for row in range(2):
        for column in range(3):
            y, x = bottom - (2 - row) * 68 + 4, right - (3 - column) * 68 + 4
            assert np.unique(sheet[y : y + 64, x : x + 64]).tolist() == [expected[row, column]]
    assert (sheet[:16] == 255).all()
    assert (sheet[-16:] == 255).all()
    assert (sheet[:, -16:] == 255).all()
    assert (sheet[:, :40] < 128).any(), "the names on the left are drawn"


def test_colour_and_clipping(tmp_path):
    images = torch.tensor([3.0, -3.0, 0.0]).reshape(1, 1, 3, 1, 1).expand(1, 1, 3, 8, 8).clone()
    sheet = _read(sample_sheet(images, ["red"], tmp_path / "c.png"))
    assert sheet[-17, -17].tolist() == [255, 0, 128]
    assert images.max() == 3.0, "the tensor is left as it was"


def test_a_heading_and_longer_names_make_room(tmp_path):
    images = torch.zeros(1, 2, 1, 8, 8)
    plain = _read(sample_sheet(images, ["a"], tmp_path / "a.png"))
    named = _read(sample_sheet(images, ["a much longer name"], tmp_path / "b.png", column_names=["sample"]))
    assert named.shape[1] > plain.shape[1]
    assert named.shape[0] > plain.shape[0]


def test_nothing_partial_is_left(tmp_path):
    path = sample_sheet(torch.zeros(1, 1, 1, 4, 4), ["a"], tmp_path / "a.png")
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    ("images", "names", "columns", "message"),
    [
        (torch.zeros(2, 1, 8, 8), ["a", "b"], (), "images must be a non-empty tensor"),
        (torch.zeros(1, 1, 2, 8, 8), ["a"], (), "images must be a non-empty tensor"),
        (torch.zeros(1, 0, 1, 8, 8), ["a"], (), "images must be a non-empty tensor"),
        (torch.zeros(2, 1, 1, 8, 8), ["a"], (), "one name per row of images: 2, got 1"),
        (torch.zeros(1, 1, 1, 8, 8), ["a"], ("b", "c"), "at most one name per column: 1, got 2"),
        (torch.full((1, 1, 1, 8, 8), torch.nan), ["a"], (), "images must be finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, images, names, columns, message):
    with pytest.raises(ValueError, match=message):
        sample_sheet(images, names, tmp_path / "x.png", column_names=columns)
    assert not list(tmp_path.iterdir())
