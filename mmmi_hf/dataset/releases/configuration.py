"""MMMIConfig: everything that determines the rows of one dataset configuration.

Owns the configuration object, its validation and its YAML form. May import `datasets`, causal/ and the names of
bijections; never torch, so that `mmmi-hf info` stays quick. Ground truth is computed from the causal model and never
stored here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import datasets
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict, ValidationError

from mmmi_hf.causal import CausalModel
from mmmi_hf.causal.arguments import shown
from mmmi_hf.common.numbers import is_whole
from mmmi_hf.common.records import STRICT, Record, wrong_of
from mmmi_hf.common.terminal import printable
from mmmi_hf.common.yaml_files import dump
from mmmi_hf.dataset.releases.model_spec import build_model, model_to_mapping
from mmmi_hf.dataset.releases.pipelines import DEFAULT_PIPELINE
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError, FieldError, check_fields, read_yaml

DEFAULT_ROWS = 10_000
Standardize = Literal["whiten", "rms", "none"]
SPLITS = ("train", "validation", "test")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_VERSION = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}\.[0-9]{1,9}")
MOST_ROWS = 10**12
_RESERVED_NAMES = ("ground_truth", "default")
"""The second is what `load_dataset` takes if none is named, whatever else a card says."""


def has_no_classes(pipeline: str) -> bool:
    """Whether a pipeline's name is that of an element-wise bijection, which takes any shape."""
    from mmmi_hf.flow.catalogue import elementwise_bijections

    return pipeline in elementwise_bijections()


def is_name(value: Any) -> bool:
    """Whether a configuration may be called so."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None and value not in _RESERVED_NAMES


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError(
            f"got {value!r}; use letters, digits, '.', '_' and '-', at most 96, and not {' or '.join(_RESERVED_NAMES)}"
        )
    return value


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError(f"got {shown(value)}, expected x.y.z with three numbers")
    return value


def _prose(value: str) -> str:
    if printable(value) != value:
        raise ValueError(f"expected text without control characters or user:token@ of addresses, got {shown(value)}")
    return value


_NUMPY = BeforeValidator(lambda value: int(value) if is_whole(value) else value)
"""Whole numbers of NumPy become plain ones."""


@dataclass(frozen=True)
class Modality:
    """How the latent of one modality becomes data.

    Attributes:
        pipeline: a bundled pipeline, a folder, a Hub id, or an element-wise bijection ("identity", "asinh", …).
        class_label: the class that a class-conditional pipeline draws; None for bijections without classes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT | ConfigDict(strict=False)  # takes mappings, as files give them
    pipeline: Annotated[str, Strict()] = DEFAULT_PIPELINE
    class_label: Annotated[int, Strict(), _NUMPY, Field(ge=0, le=2**31)] | None = None


class ConfigurationFields(Record):
    """The fields of a configuration, as a file gives them and `MMMIConfig` keeps them; what they mean is told there."""

    name: Annotated[str, AfterValidator(_name)]
    version: Annotated[str, AfterValidator(_version)] = "1.0.0"
    description: Annotated[str, AfterValidator(_prose)] | None = None
    rows: Annotated[int, _NUMPY, Field(ge=1, le=MOST_ROWS)] = DEFAULT_ROWS
    seed: Annotated[int, _NUMPY, Field(ge=0, le=2**63 - 1)] = 0
    standardize: Standardize = "whiten"
    store_latents: bool = False
    store_posterior: bool = False
    modalities: Annotated[tuple[Modality, ...], Field(strict=False)]
    causal_model: Any


@dataclass
class MMMIConfig(datasets.BuilderConfig):
    """One configuration: a causal model and how its latents become rows.

    Attributes:
        name: of the configuration; a file name and a `datasets` configuration name.
        version: x.y.z; changes only with the configuration's bytes.
        description: one or two sentences for cards and lists.
        causal_model: a CausalModel, or the mapping that a YAML file gives under `causal_model` (a story with its
            coefficients, explicit coefficients, or the fields of a CausalModel's JSON).
        modalities: one Modality per modality of the causal model.
        standardize: "whiten" (each latent exactly N(0, I)), "rms" (divided by its analytic root mean square) or "none".
        rows: in all splits together (80 % train, 10 % validation, 10 % test).
        seed: of the latents; row r is drawn from the stream (seed, r).
        store_latents: also store the latents, columns z1 … zM.
        store_posterior: of a target with classes, also store their exact probabilities given the row's modalities,
            column y_posterior.
        base_folder: of relative paths of pictures in `causal_model`; None for the working directory.
        data_dir, data_files: of `datasets`, of no meaning here.

    Raises:
        ConfigurationError: a field that cannot be used (names the field and what would be right).
    """

    causal_model: CausalModel | Mapping[str, Any] | None = None
    modalities: tuple[Modality, ...] = ()
    standardize: Standardize = "whiten"
    rows: int = DEFAULT_ROWS
    seed: int = 0
    store_latents: bool = False
    store_posterior: bool = False
    base_folder: Path | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        given: dict[str, Any] = {name: getattr(self, name) for name in ConfigurationFields.model_fields}
        given["version"] = str(self.version)
        if isinstance(self.modalities, list | tuple):
            given["modalities"] = [asdict(each) if isinstance(each, Modality) else each for each in self.modalities]
        try:
            checked = ConfigurationFields(**given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            message, (_, _, right) = wrong_of(first), first["msg"].partition(" should be ")
            if right:
                right = right.replace("a valid integer", "a whole number")
                message = f"got {shown(first['input'])}, expected {right}"
            raise FieldError(first["loc"], message) from error
        super().__post_init__()
        self.version: datasets.Version = datasets.Version(checked.version)
        self.rows, self.seed, self.modalities = checked.rows, checked.seed, checked.modalities
        count = len(self.model.modalities)
        if len(self.modalities) != count:
            raise FieldError(
                ("modalities",),
                f"got {len(self.modalities)}; the causal model has {count} ({', '.join(self.model.modalities)})",
            )
        if self.store_posterior and self.model.classes is None:
            raise FieldError(("store_posterior",), "got true, but y has no classes; leave it out or give such a target")

    @property
    def model(self) -> CausalModel:
        """The causal model, built from `causal_model` once per value (`datasets` sets fields after construction).

        Raises:
            ConfigurationError: there is none, or it cannot be built; names the field.
        """
        if isinstance(self.causal_model, CausalModel):
            return self.causal_model
        if not isinstance(self.causal_model, Mapping):
            raise FieldError(
                ("causal_model",), "is missing: give a story with its coefficients, or eta, weights and mixing"
            )
        built: tuple[object, CausalModel] | None = self.__dict__.get("_built")
        if built is None or built[0] is not self.causal_model:
            built = (self.causal_model, build_model(self.causal_model, folder=self.base_folder))
            self.__dict__["_built"] = built
        return built[1]

    @property
    def is_of_the_map(self) -> bool:
        """Whether latents are N(0, I) in each modality, the law that pipelines are trained on and measured under."""
        return self.standardize == "whiten" and self.model.law.is_standard

    @property
    def stored(self) -> dict[str, bool]:
        """Which optional columns there are, as `features` takes it."""
        return {"store_latents": self.store_latents, "store_posterior": self.store_posterior}

    def replace(self, **changes: Any) -> MMMIConfig:
        """A copy with the fields of `changes`; None leaves a field as it is."""
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, **given) if given else self

    def with_pipeline(self, pipeline: str | None) -> MMMIConfig:
        """A copy in which every modality uses another pipeline (None: unchanged); labels go where it has no classes."""
        if pipeline is None:
            return self
        kept = {"class_label": None} if has_no_classes(pipeline) else {}
        return self.replace(
            modalities=tuple(dataclasses.replace(m, pipeline=pipeline, **kept) for m in self.modalities)
        )

    @property
    def split_rows(self) -> dict[str, range]:
        """The rows of every split: contiguous, 80/10/10 %, at least one row each from three rows on."""
        tenth = max(self.rows // 10, 1 if self.rows >= 3 else 0)
        ends = (self.rows - 2 * tenth, self.rows - tenth, self.rows)
        starts = (0, *ends[:-1])
        return {split: range(start, end) for split, start, end in zip(SPLITS, starts, ends, strict=True) if start < end}

    @property
    def digest(self) -> str:
        """sha256 over what determines a row's content: everything but name, description, version and row count."""
        content = {
            "causal_model": self.model.digest,
            "modalities": [dataclasses.asdict(modality) for modality in self.modalities],
            "standardize": self.standardize,
            "seed": self.seed,
            "store_latents": self.store_latents,
            **({"store_posterior": True} if self.store_posterior else {}),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_yaml(self) -> str:
        """The configuration as YAML that `from_yaml` reads back."""
        model = self.causal_model
        fields: dict[str, Any] = {"name": self.name, "version": str(self.version)}
        if self.description:
            fields["description"] = self.description
        fields |= {
            "rows": self.rows,
            "seed": self.seed,
            "standardize": self.standardize,
            "store_latents": self.store_latents,
            **({"store_posterior": True} if self.store_posterior else {}),
            "modalities": [
                {key: value for key, value in dataclasses.asdict(modality).items() if value is not None}
                for modality in self.modalities
            ],
            "causal_model": model_to_mapping(model) if isinstance(model, CausalModel) else dict(model or {}),
        }
        return dump(fields, short_lists=True)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> MMMIConfig:
        """Read the configuration file at `path`.

        Its fields are those of MMMIConfig; `causal_model` and `modalities` must be there, `name` defaults to the
        file's stem. Raises ConfigurationError naming the file, the line and the field.
        """
        source = read_yaml(path)
        try:
            return cls(**_arguments(source.data, Path(path)))
        except FieldError as error:
            raise source.located(error) from error


def _arguments(data: Any, path: Path) -> dict[str, Any]:
    """The keyword arguments of MMMIConfig that a YAML file gives."""
    known = tuple(ConfigurationFields.model_fields)
    if not isinstance(data, Mapping):
        raise FieldError((), f"expected the fields of a configuration ({', '.join(known)})")
    check_fields(data, known, ())
    for required in ("causal_model", "modalities"):
        if required not in data:
            raise FieldError((), f"the field {required!r} is missing")
    if "name" not in data and not is_name(path.stem):
        raise FieldError(
            (),
            f"the file's name would be the configuration's, and {path.stem!r} cannot be one; give a field 'name'",
        )
    return {"name": path.stem, "version": "1.0.0", **data, "base_folder": path.parent}


__all__ = ["SPLITS", "ConfigurationError", "MMMIConfig", "Modality"]
