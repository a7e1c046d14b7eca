"""The manifest of a configuration, `manifests/CONFIG.json`: what its rows are, and the digests of its files.

Owns the type, its writer and its reader, which also takes format 1 (see `format_1.py`). Imports no other room.

Everything outside `statements` can be recomputed or compared by a check: with the causal model, the pipelines, the data
files, or the rows that the seed gives. What stands in `statements` is what the maker says, and nobody checks it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from mmmi_hf.common.records import Count, Digest, Positive, Record, RecordError
from mmmi_hf.dataset.format.format_1 import manifest_fields
from mmmi_hf.dataset.format.views import View

MANIFEST_FORMAT: Final = 2
READ_FORMATS = (1, MANIFEST_FORMAT)


class FileEntry(Record):
    """A file that the manifest vouches for.

    Attributes:
        path: from the folder.
        bytes: its size.
        sha256: of its content.
        rows: of a file that holds rows [start, stop) as it was finished, by row number; None where `splits` says it.
    """

    path: str
    bytes: Count
    sha256: Digest
    rows: tuple[Count, Count] | None = None


class Split(Record):
    """The rows of a split: how many, their bytes before compression, and their files in order."""

    rows: Count
    bytes: Count
    files: tuple[str, ...]


class ModalityEntry(Record):
    """A modality: its shape, and the bijection that made it.

    Attributes:
        name: x1, x2, …
        shape: of one row.
        pipeline: where the bijection is found: a bundled name, a folder, a Hub id.
        pipeline_digest: of the bijection itself.
        class_label: the class that it drew; None for bijections without classes.
        view: the column for people; None where there is none.
    """

    name: str
    shape: tuple[Positive, ...]
    pipeline: str
    pipeline_digest: Digest
    class_label: Count | None = None
    view: View | None = None


class Target(Record):
    """A target column that is more than the one number y: a class among `classes`, or numbers of a shape."""

    name: str
    kind: Literal["number", "class"] = "number"
    classes: Positive | None = None
    shape: tuple[Positive, ...] = ()


class Computing(Record):
    """What decided the last bits of rows.

    Attributes:
        dtype, micro_batch, chunk_rows, channels_last, compiled: how the networks computed.
        device, hardware, machine, versions: on what.
        files: the data files that were made so; None for all of them.
    """

    dtype: str
    micro_batch: Positive
    chunk_rows: Positive | None = None
    channels_last: bool = False
    compiled: bool = False
    device: tuple[str, ...]
    hardware: tuple[str, ...]
    machine: str
    versions: dict[str, str]
    files: tuple[str, ...] | None = None


class Statements(Record):
    """What the maker says and nobody checks.

    Attributes:
        description: prose.
        world_size: processes that shared the work.
        computing: how rows were computed; one entry where all were computed alike.
    """

    description: str | None = None
    world_size: Positive = 1
    computing: tuple[Computing, ...] = ()

    @property
    def versions(self) -> Mapping[str, str]:
        """The software of the first rows."""
        return self.computing[0].versions if self.computing else {}


POSTERIOR = "y_posterior"
"""The column of the exact probabilities of the classes."""


class Manifest(Record):
    """A configuration of a dataset folder.

    Attributes:
        format: of the file that it was read from; what is written has MANIFEST_FORMAT.
        config, version: the configuration and its version.
        rows: in all splits.
        splits: split → its rows and files.
        seed: of the latents; None where it is not told.
        standardize, store_latents: as in MMMIConfig.
        causal_model: digest of the causal model.
        configuration: digest of the configuration that the rows were made with (MMMIConfig.digest).
        modalities: one entry each, x1 first.
        targets: the target columns; None for the one number y.
        files: the data files and the causal model. Ground truth and card are derived: nothing vouches for them, and
            every check computes them again.
        statements: what nobody checks.
    """

    format: Literal[1, 2] = MANIFEST_FORMAT
    config: str
    version: Annotated[str, Field(pattern=r"^[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}$")]
    rows: Positive
    splits: dict[str, Split]
    seed: Count | None = None
    standardize: Literal["whiten", "rms", "none"]
    store_latents: bool
    causal_model: Digest
    configuration: Digest
    modalities: tuple[ModalityEntry, ...]
    targets: tuple[Target, ...] | None = None
    files: tuple[FileEntry, ...]
    statements: Statements

    @property
    def description(self) -> str:
        """The maker's, empty where there is none."""
        return self.statements.description or ""

    @property
    def data(self) -> tuple[FileEntry, ...]:
        """The entries of the data files."""
        return tuple(entry for entry in self.files if entry.path.startswith("data/"))

    @property
    def stored(self) -> dict[str, bool]:
        """Which optional columns there are, as `features` takes it."""
        posterior = any(entry.name == POSTERIOR for entry in self.targets or ())
        return {"store_latents": self.store_latents, "store_posterior": posterior}

    @property
    def views(self) -> dict[str, View]:
        """Modality → its view, for those that have one."""
        return {entry.name: entry.view for entry in self.modalities if entry.view is not None}

    def write(self, path: Path) -> None:
        """Put it in place. What was read from format 1 stays as it is: a published manifest never changes."""
        if self.format != MANIFEST_FORMAT:
            raise ValueError(f"a manifest of format {self.format} is read, and never written")
        super().write(path)

    @classmethod
    def parse(cls, text: bytes, where: str) -> Manifest:
        found = format_of(text)
        if found is not None and found not in READ_FORMATS:
            raise RecordError(
                f"{where} is a manifest of format {found}; this version of mmmi_hf reads {READ_FORMATS[0]} to "
                f"{MANIFEST_FORMAT}: install the newest"
            )
        return cls.from_json(text, where, translated=manifest_fields if found == 1 else None)


def format_of(text: bytes) -> int | None:
    """The number under `format` of a JSON object; None where there is none."""
    try:
        found = json.loads(text).get("format")
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, int) else None
