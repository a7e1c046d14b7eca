"""The columns beside a modality that people look at or listen to: a class for each kind of output that has one.

Owns the record of a view, and for each kind its column, levels, files and words. Everything else asks here, by the kind
that a bijection states of its output (`flow/bijection.py`), and never by shape; a kind that is not in KINDS, such as a
series, is stored without a view. May import datasets, pyarrow and Pillow; knows no room above `common/`.

A view is a function of the float column alone: values −h … h become integers, its levels, and these a small file. It is
never claimed exact. A certificate reads the levels back and inverts the values in their middles.
"""

from __future__ import annotations

import io
import wave
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import datasets
import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from mmmi_hf.common.records import Record
from mmmi_hf.dataset.format.reading import StoredDataError

if TYPE_CHECKING:
    from mmmi_hf.flow import bijection

Shape = tuple[int, ...]

LOUDEST = 32767
"""The largest level of a sound."""


class View(Record):
    """What of a modality a manifest says about its view.

    Attributes:
        kind: a key of KINDS.
        half_range: the values −half_range … half_range are its whole range.
        rate: samples per second of a sound.
    """

    kind: str
    half_range: Annotated[float, Field(gt=0.0)]
    rate: Annotated[int, Field(ge=1)] | None = None

    @field_validator("kind")
    @classmethod
    def _is_stored(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of view; known are {', '.join(KINDS)}")
        return kind

    @property
    def stored(self) -> StoredView:
        """How outputs of its kind are stored."""
        return KINDS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind} ±{self.half_range:g}" + (f", {self.rate} Hz" if self.rate else "")


def stored_views(outputs: Mapping[str, bijection.View]) -> dict[str, View]:
    """Modality → what a manifest says of its view, from what its bijection says; of those stored with one."""
    return {name: View(**asdict(output)) for name, output in outputs.items() if output.kind in KINDS}


class StoredView(ABC):
    """How outputs of one kind are stored for people.

    Attributes:
        suffix: of the column: x1 is seen in x1_image.
        noun, scaled: what a card says of the column: what it holds, and what became of the values.
        task: what the Hub calls work on it.
        tolerance: relative residual to which steps are inverted from levels: far below what these lose.
        decoder: what a reader has to install beside `datasets`; empty if nothing.
    """

    suffix: ClassVar[str]
    noun: ClassVar[str]
    scaled: ClassVar[str]
    task: ClassVar[str]
    tolerance: ClassVar[float]
    decoder: ClassVar[str] = ""

    @abstractmethod
    def fits(self, shape: Shape) -> bool:
        """Whether outputs of this shape can be stored so."""

    @abstractmethod
    def feature(self, view: View) -> Any:
        """The `datasets` feature of the column; its Arrow type must be that of files, (bytes, path)."""

    @abstractmethod
    def levels(self, values: np.ndarray, view: View) -> np.ndarray:
        """Integers (n, *shape) for finite values (n, *shape); what lies outside the range is clipped."""

    @abstractmethod
    def values(self, levels: np.ndarray, view: View) -> np.ndarray:
        """The middle of the values that became each level, float32."""

    @abstractmethod
    def files(self, levels: np.ndarray, view: View) -> list[bytes]:
        """A file for each of n outputs, that holds its levels and nothing else."""

    @abstractmethod
    def read(self, column: pa.Array, name: str, shape: Shape, view: View) -> np.ndarray:
        """The levels (n, *shape) in a stored column called `name`.

        Raises:
            StoredDataError: anything else, files that say more than levels included.
        """

    @abstractmethod
    def file_bytes(self, shape: Shape) -> int:
        """An upper estimate of the size of a file."""

    def without_decoder(self, view: View) -> Any:
        """The feature with which rows are read where what decodes it is not installed; None if it always is."""
        del view

    def shown(self, values: np.ndarray, view: View) -> list[bytes]:
        """The column of values (n, *shape): a file for each."""
        return self.files(self.levels(values, view), view)


class ImageView(StoredView):
    """Images, grey or RGB, channels first, as PNG files of 8 bits."""

    suffix = "_image"
    noun = "8-bit image"
    scaled = "scaled to 0 … 255 and clipped"
    task = "image-feature-extraction"
    tolerance = 1e-4

    def fits(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[0] in (1, 3)

    def feature(self, view: View) -> datasets.Image:
        del view
        return datasets.Image()

    def levels(self, values: np.ndarray, view: View) -> np.ndarray:
        return np.clip(np.rint((values / view.half_range + 1.0) * 127.5), 0, 255).astype(np.uint8)

    def values(self, levels: np.ndarray, view: View) -> np.ndarray:
        return ((levels / 127.5 - 1.0) * view.half_range).astype(np.float32)

    def files(self, levels: np.ndarray, view: View) -> list[bytes]:
        from PIL import Image

        del view
        files = []
        for image in levels:
            pixels = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
            files.append(buffer.getvalue())
        return files

    def read(self, column: pa.Array, name: str, shape: Shape, view: View) -> np.ndarray:
        from PIL import Image

        del view
        channels, height, width = shape
        decoded = np.empty((len(column), *shape), dtype=np.uint8)
        for row, content in enumerate(contents(column, name)):
            try:
                with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
                    if image.mode != ("L" if channels == 1 else "RGB") or image.size != (width, height):
                        raise StoredDataError(f"column {name} holds a {image.mode} image of size {image.size}")
                    array = np.asarray(image)
            except StoredDataError:
                raise
            except (TypeError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise StoredDataError(f"column {name} holds something that is no PNG file") from error
            if foreign := _foreign_chunk(content):
                raise StoredDataError(f"column {name} holds an image with more than pixels in its file ({foreign})")
            decoded[row] = array[None] if channels == 1 else array.transpose(2, 0, 1)
        return decoded

    def file_bytes(self, shape: Shape) -> int:
        channels, height, width = shape
        return channels * height * width + height + 128


class SoundView(StoredView):
    """Sounds of one channel, as WAV files of 16 bits."""

    suffix = "_audio"
    noun = "16-bit sound"
    scaled = f"scaled to −{LOUDEST:,} … {LOUDEST:,} and clipped"
    task = "audio-classification"
    tolerance = 2e-6
    decoder = "datasets[audio]"

    def fits(self, shape: Shape) -> bool:
        return len(shape) == 1

    def feature(self, view: View) -> datasets.Audio:
        return datasets.Audio(sampling_rate=view.rate)

    def without_decoder(self, view: View) -> datasets.Audio | None:
        """Files as bytes: `datasets` decodes sounds by torchcodec, which its extra `audio` has."""
        return None if datasets.config.TORCHCODEC_AVAILABLE else datasets.Audio(sampling_rate=view.rate, decode=False)

    def levels(self, values: np.ndarray, view: View) -> np.ndarray:
        return np.clip(np.rint(values * (LOUDEST / view.half_range)), -LOUDEST, LOUDEST).astype(np.int16)

    def values(self, levels: np.ndarray, view: View) -> np.ndarray:
        return (levels * (view.half_range / LOUDEST)).astype(np.float32)

    def files(self, levels: np.ndarray, view: View) -> list[bytes]:
        return [_wav_header(len(sound), view) + sound.astype("<i2").tobytes() for sound in levels]

    def read(self, column: pa.Array, name: str, shape: Shape, view: View) -> np.ndarray:
        header = _wav_header(shape[0], view)
        levels = np.empty((len(column), *shape), np.int16)
        for row, content in enumerate(contents(column, name)):
            if not isinstance(content, bytes) or content[: len(header)] != header:
                raise StoredDataError(
                    f"column {name} holds something that is no WAV file of {shape[0]} samples at {view.rate} Hz"
                )
            if len(content) != len(header) + 2 * shape[0]:
                raise StoredDataError(f"column {name} holds a sound with more or fewer bytes than its samples have")
            levels[row] = np.frombuffer(content, "<i2", offset=len(header))
        return levels

    def file_bytes(self, shape: Shape) -> int:
        return 44 + 2 * shape[0]


KINDS: dict[str, StoredView] = {"image": ImageView(), "sound": SoundView()}
"""Kind of output → how it is stored for people."""


def undecoded(views: Mapping[str, View]) -> dict[str, str]:
    """Column → what a reader has to install for it, of the views that `datasets` alone does not decode."""
    return {f"{name}{view.stored.suffix}": view.stored.decoder for name, view in views.items() if view.stored.decoder}


def is_view_column(name: str) -> bool:
    """Whether a column holds views."""
    return name.endswith(tuple(kind.suffix for kind in KINDS.values()))


def contents(column: pa.Array, name: str) -> list[bytes]:
    """The files of a view's column. Raises StoredDataError for another type, and for files with names."""
    if not pa.types.is_struct(column.type) or column.type.get_field_index("bytes") < 0:
        raise StoredDataError(f"column {name} has the type {column.type}, expected files")
    if column.type.get_field_index("path") >= 0 and column.field("path").null_count < len(column):
        raise StoredDataError(f"column {name} gives its files names, expected none")
    return list(column.field("bytes").to_pylist())


def _wav_header(samples: int, view: View) -> bytes:
    """All of a WAV file of one channel before its samples."""
    if view.rate is None:
        raise ValueError(f"a sound must have a rate, got {view}; its bijection's view says it")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, view.rate, samples, "NONE", "not compressed"))
        file.writeframes(bytes(2 * samples))
    return buffer.getvalue()[: -2 * samples]


def _foreign_chunk(content: bytes) -> str:
    """What a PNG file holds beside the size and the pixels of its image; nothing for a bare one."""
    place = len(b"\x89PNG\r\n\x1a\n")
    while place < len(content):
        length, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            return f"chunk {kind!r}"
        place += 12 + length
        if kind == b"IEND":
            return "" if place == len(content) else "bytes after the end"
    return "no end"
