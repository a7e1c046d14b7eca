"""Views: levels and files of images and sounds, columns that hold none, and a data set of sounds."""

import io
import struct
import wave
import zlib

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import mmmi_hf
from mmmi_hf.causal import common_cause
from mmmi_hf.cli.generate import _show_how_to_load
from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.reading import StoredDataError
from mmmi_hf.dataset.format.schema import to_table
from mmmi_hf.dataset.format.views import View
from mmmi_hf.dataset.generation.cost import Size
from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
from mmmi_hf.flow import bijection
from mmmi_hf.flow.elementwise.asinh import AsinhBijection
from mmmi_hf.hub.loading.batches import readable
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


SOUND = View(kind="sound", half_range=4.0, rate=8000)


def test_sounds_are_heard_in_a_fixed_range_and_clipped():
    (content,) = SOUND.stored.shown(np.array([[-8.0, -4.0, 0.0, 2.0, 4.0]]), SOUND)
    with wave.open(io.BytesIO(content)) as heard:
        assert heard.getparams()[:4] == (1, 2, 8000, 5)
        assert np.frombuffer(heard.readframes(5), "<i2").tolist() == [-32767, -32767, 0, 16384, 32767]
    column = pa.array([{"bytes": content, "path": None}])
    assert SOUND.stored.read(column, "x1_audio", (5,), SOUND).tolist() == [[-32767, -32767, 0, 16384, 32767]]


def test_a_level_of_a_sound_stands_for_the_middle_of_its_values():
    values = np.random.default_rng(0).uniform(-4, 4, (3, 50)).astype(np.float32)
    back = SOUND.stored.values(SOUND.stored.levels(values, SOUND), SOUND)
    assert back.dtype == np.float32
    assert np.abs(back - values).max() <= 0.5001 * 4 / 32767
    assert len(SOUND.stored.shown(values, SOUND)[0]) == SOUND.stored.file_bytes((50,))


def wav(samples=4, rate=8000, after=b""):
    (content,) = SOUND.stored.shown(np.zeros((1, samples)), View(kind="sound", half_range=4.0, rate=rate))
    return content + after


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RIFF", "no WAV file of 4 samples at 8000 Hz"),
        (None, "no WAV file of 4 samples at 8000 Hz"),
        (wav(rate=8001), "no WAV file of 4 samples at 8000 Hz"),
        (wav(samples=5), "no WAV file of 4 samples at 8000 Hz"),
        (wav(after=b"y=0.5"), "more or fewer bytes than its samples have"),
        (wav()[:-2], "more or fewer bytes than its samples have"),
    ],
)
def test_columns_that_hold_no_sounds(content, words):
    with pytest.raises(StoredDataError, match=words):
        SOUND.stored.read(pa.array([{"bytes": content}]), "x1_audio", (4,), SOUND)


def test_a_sound_has_a_rate():
    silent = View(kind="sound", half_range=1.0)
    with pytest.raises(ValueError, match="a sound must have a rate"):
        silent.stored.shown(np.zeros((1, 4)), silent)


@pytest.mark.parametrize(("shape", "fits"), [((64,), True), ((1, 64), False), ((1, 8, 8), False)])
def test_which_shapes_a_sound_has(shape, fits):
    assert SOUND.stored.fits(shape) == fits


@pytest.mark.parametrize("decodes", [True, False])
def test_sounds_are_read_as_files_where_nothing_decodes_them(monkeypatch, decodes):
    monkeypatch.setattr(datasets.config, "TORCHCODEC_AVAILABLE", decodes)
    heard = datasets.Audio(sampling_rate=8000)
    as_files = datasets.Audio(sampling_rate=8000, decode=False)
    assert SOUND.stored.feature(SOUND) == heard
    assert SOUND.stored.without_decoder(SOUND) == (None if decodes else as_files)
    features = datasets.Features({"x1_audio": heard, "x1": datasets.List(datasets.Value("float32"), length=4)})
    table = datasets.Dataset(to_table({"x1_audio": [wav()], "x1": np.zeros((1, 4), np.float32)}, features))
    wanted = heard if decodes else as_files
    for data in (datasets.DatasetDict(train=table), table, table.to_iterable_dataset()):
        part = readable(data, {"x1": SOUND})
        part = part["train"] if isinstance(part, dict) else part
        assert part.features["x1_audio"] == wanted
    assert readable(table.select_columns(["x1"]), {"x1": SOUND}).column_names == ["x1"]


def test_a_sound_is_stored_by_what_its_bijection_says(tmp_path, monkeypatch, capsys):
    """Columns, estimate, rows, manifest, certificate with its bounds, card and loading go by the kind, not by shape."""
    monkeypatch.setattr(datasets.config, "TORCHCODEC_AVAILABLE", False)
    monkeypatch.setattr(AsinhBijection, "view", bijection.View("sound", 4.0, 8000))
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
    assert "| `x1_audio` | 16-bit sound | the same for a viewer: ±4 scaled to −32,767" in card
    assert "audio-classification" in card
    assert "Without `datasets[audio]`" in card
    assert '`data.remove_columns(["x1_audio"])`. Nothing else has to be installed' in card
    _show_how_to_load(folder, "sounds")
    assert 'data = data.remove_columns(["x1_audio"])  # or: pip install "datasets[audio]"' in capsys.readouterr().out
    assert Size.of(config).bytes == 64 * int(np.ceil(2 * 4.5 * 64 + 44 + 2 * 64 + 5 * 8))
