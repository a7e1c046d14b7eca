"""Views: levels and files of images, columns that hold none, and a kind of output that is added by one class."""

import io
import struct
import wave
import zlib
from dataclasses import dataclass

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import mmmi_hf
from mmmi_hf.causal import common_cause
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format import views
from mmmi_hf.dataset.format.reading import StoredDataError
from mmmi_hf.dataset.format.views import StoredView, View
from mmmi_hf.dataset.generation.cost import Size
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.flow import bijection
from mmmi_hf.flow.elementwise.asinh import AsinhBijection
from tests.support import generate

IMAGE = View(kind="image", half_range=1.0)
WIDE = View(kind="image", half_range=2.0)


def test_images_are_shown_in_a_fixed_range_and_clipped():
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, 0.5]).reshape(1, 1, 2, 3)
    pixels = np.asarray(Image.open(io.BytesIO(IMAGE.stored.shown(values, IMAGE)[0])))
    assert pixels.tolist() == [[0, 0, 128], [255, 255, 191]]
    wide = np.asarray(Image.open(io.BytesIO(WIDE.stored.shown(values, WIDE)[0])))
    assert wide.tolist() == [[0, 64, 128], [191, 255, 159]]
    colour = Image.open(io.BytesIO(IMAGE.stored.shown(np.zeros((1, 3, 2, 2)), IMAGE)[0]))
    assert colour.mode == "RGB"


@pytest.mark.parametrize(
    ("shape", "fits"), [((1, 32, 32), True), ((3, 8, 8), True), ((2, 8, 8), False), ((8, 8), False)]
)
def test_which_shapes_an_image_has(shape, fits):
    assert IMAGE.stored.fits(shape) == fits


def bomb():
    """A PNG file that says it has 60000 × 60000 pixels."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    header = struct.pack(">II", 60_000, 60_000) + bytes(content[24:29])
    content[16:29], content[29:33] = header, struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return bytes(content)


def png(text=None):
    """An image file, with a text inside if one is given."""
    buffer, more = io.BytesIO(), PngInfo()
    if text is not None:
        more.add_text("y", text)
    Image.new("L", (8, 8)).save(buffer, "PNG", pnginfo=more)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array(["a"]), "has the type string"),
        (pa.array([{"path": "a.png"}]), "has the type struct"),
        (pa.array([{"bytes": b"\x89PNG"}]), "no PNG file"),
        (pa.array([{"bytes": bomb()}]), "no PNG file"),
        (pa.array([{"bytes": png(), "path": "y=0.5"}]), "gives its files names"),
        (pa.array([{"bytes": png(text="0.5")}]), r"more than pixels in its file \(chunk b'tEXt'\)"),
        (pa.array([{"bytes": png() + b"y=0.5"}]), r"more than pixels in its file \(bytes after the end\)"),
        (pa.array([{"bytes": png()[:-12]}]), r"more than pixels in its file \(no end\)"),
    ],
)
def test_columns_that_hold_no_images(column, words):
    with pytest.raises(StoredDataError, match=words):
        IMAGE.stored.read(column, "x1_image", (1, 8, 8), IMAGE)


@dataclass(frozen=True)
class Heard(bijection.View):
    """What the bijection of a sound says of its output."""

    rate: int = 8000


class SoundView(StoredView):
    """Sounds as WAV files of 16 bits."""

    suffix = "_audio"
    noun = "16-bit sound"
    scaled = "scaled to −32767 … 32767 and clipped"
    task = "audio-classification"

    def fits(self, shape):
        return len(shape) == 1

    def feature(self, view):
        return datasets.Audio(sampling_rate=view.rate, decode=False)

    def levels(self, values, view):
        return np.clip(np.rint(values / view.half_range * 32767), -32767, 32767).astype(np.int16)

    def values(self, levels, view):
        return (levels / 32767 * view.half_range).astype(np.float32)

    def files(self, levels, view):
        files = []
        for sound in levels:
            buffer = io.BytesIO()
            with wave.open(buffer, "wb") as file:
                file.setparams((1, 2, view.rate, len(sound), "NONE", "not compressed"))
                file.writeframes(sound.astype("<i2").tobytes())
            files.append(buffer.getvalue())
        return files

    def read(self, column, name, shape, view):
        levels = np.empty((len(column), *shape), np.int16)
        for row, content in enumerate(views.contents(column, name)):
            with wave.open(io.BytesIO(content)) as file:
                levels[row] = np.frombuffer(file.readframes(shape[0]), "<i2")
        return levels

    def file_bytes(self, shape):
        return 44 + 2 * shape[0]


def test_a_kind_of_output_is_added_by_what_its_bijection_says_and_one_class(tmp_path, monkeypatch):
    """Columns, estimate, rows, manifest, certificate with its bounds, card and loading go by the kind, not by shape."""
    monkeypatch.setitem(views.KINDS, "sound", SoundView())
    monkeypatch.setattr(AsinhBijection, "view", Heard("sound", 4.0))
    config = MMMIConfig(
        name="sounds",
        causal_model=common_cause((64,), mi=1.0),
        modalities=(Modality("asinh"), Modality("identity")),
        rows=64,
    )
    folder = generate(config, tmp_path / "out").folder
    (certificate,) = certify(folder, progress=False).values()
    assert certificate.valid, certificate.reasons
    assert 0.5 < certificate.bounds["I(x1;y)"].view.measured < 1.0
    (train,) = (folder / "data/sounds").glob("train-*.parquet")
    assert pq.read_schema(train).names[:3] == ["x1_audio", "x1", "x2"]
    loaded = mmmi_hf.load(folder, "sounds", split="train")
    assert loaded.dataset.features["x1_audio"] == datasets.Audio(sampling_rate=8000, decode=False)
    with wave.open(io.BytesIO(loaded.dataset[0]["x1_audio"]["bytes"])) as heard:
        assert (heard.getframerate(), heard.getnframes()) == (8000, 64)
    card = (folder / "README.md").read_text()
    assert "| `x1_audio` | 16-bit sound | the same for a viewer: ±4 scaled to" in card
    assert "audio-classification" in card
    assert Size.of(config).bytes == 64 * int(np.ceil(2 * 4.5 * 64 + 44 + 2 * 64 + 5 * 8))
