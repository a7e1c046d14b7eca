"""Released configurations and families by name.

Owns looking them up, and what of them may be replaced. What is released stands in the files of `families/`, which are
listed here when something is asked for the first time.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from mmmi_hf.common.failures import in_one_line
from mmmi_hf.common.places import is_repository, place
from mmmi_hf.common.terminal import did_you_mean
from mmmi_hf.dataset.releases import families
from mmmi_hf.dataset.releases.configuration import MMMIConfig, has_no_classes
from mmmi_hf.dataset.releases.family import Family, Release, Shape
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError, FieldError

_LISTED = "see `mmmi-hf list`"


def list_configurations() -> list[str]:
    """Names of the released configurations, in the order in which they are documented."""
    return list(_releases())


def list_versions(name: str) -> list[str]:
    """Versions of a released configuration that can be made, today's first.

    Raises:
        ConfigurationError: no such name.
    """
    if name not in _releases():
        raise ConfigurationError(f"unknown configuration {name!r}: {did_you_mean(name, _releases(), _LISTED)}")
    images = _releases()[name].images
    return [images.version, *images.earlier]


def list_families() -> list[str]:
    """Names of the families of released configurations, in the order in which they are documented."""
    return list(_families())


def get_family(name: str) -> Family:
    """A family by name; its `configurations` are names for `get_configuration`.

    Raises:
        ConfigurationError: no such family (with the nearest ones).
    """
    if name not in _families():
        raise ConfigurationError(f"unknown family {name!r}: {did_you_mean(name, _families(), _LISTED)}")
    return _families()[name]


def family_of(name: str) -> str | None:
    """The family of a released configuration; None for a name that is not released."""
    return next((family.name for family in _families().values() if name in family.configurations), None)


def get_configuration(
    name: str,
    *,
    rows: int | None = None,
    seed: int | None = None,
    pipeline: str | None = None,
    store_latents: bool | None = None,
    store_posterior: bool | None = None,
    version: str | None = None,
) -> MMMIConfig:
    """A released configuration by name, or the configuration of a YAML file by path.

    Args:
        name: a name of `list_configurations()`, or a path ending in .yaml or .yml.
        rows, seed, store_latents, store_posterior: replace the configuration's own.
        pipeline: replaces the pipeline of every modality; a released configuration takes the shape of its images from
            it and keeps the bijections of modalities that are no images. With the pipeline of an earlier version this
            is that version.
        version: an earlier version of a released configuration; default: today's.

    Raises:
        ConfigurationError: no such name (with the nearest ones) or file, or a field that cannot be used.
    """
    if version is not None:
        pipeline = _pipeline_of(name, version, pipeline)
    if Path(name).suffix in (".yaml", ".yml"):
        config = MMMIConfig.from_yaml(name)
        _check_pipelines(config if pipeline is None else config.with_pipeline(pipeline))
        if config.name in _releases() and config.digest != get_configuration(config.name).digest:
            raise ConfigurationError(
                f"{name}: the name {config.name!r} belongs to a released configuration; take another"
            )
        config = config.with_pipeline(pipeline)
    elif name in _releases():
        config = _released(_releases()[name], pipeline)
    elif name in _families():
        members = list(_families()[name].configurations)
        raise ConfigurationError(
            f"{name!r} is a family of {len(members)} configurations: {', '.join(members)}; name one of them, or make "
            f"all of them with `mmmi-hf generate-family {name} --out DIR`"
        )
    else:
        near = did_you_mean(name, [*_families(), *_releases()], _LISTED)
        raise ConfigurationError(f"unknown configuration {name!r}: {near} (one's own configuration is a .yaml file)")
    return config.replace(rows=rows, seed=seed, store_latents=store_latents, store_posterior=store_posterior)


def pipeline_shape(pipeline: str) -> Shape | None:
    """The shape of the images that a pipeline makes; None for a bijection that takes any shape.

    Raises:
        ConfigurationError: no such pipeline.
    """
    if has_no_classes(pipeline):
        return None
    if pipeline in _shapes():
        return _shapes()[pipeline]
    from mmmi_hf.flow.description import described

    try:
        return described(pipeline).latent_shape
    except (ValueError, OSError) as error:
        raise FieldError(("modalities", 0, "pipeline"), in_one_line(error)) from error


def is_here(pipeline: str) -> bool:
    """Whether a pipeline comes with this package, weights included, or needs none."""
    from mmmi_hf.flow.bundled import bundled_pipelines

    return has_no_classes(pipeline) or pipeline in bundled_pipelines()


def class_name(pipeline: str, label: int | None) -> str:
    """What people call a class: its name where the pipeline is here and has one, "class 7" otherwise, nothing for None.

    Nothing is downloaded.
    """
    from mmmi_hf.flow.bundled import bundled_pipelines
    from mmmi_hf.flow.description import described

    if label is None:
        return ""
    try:
        here = pipeline in bundled_pipelines() or place(pipeline, "pipeline").is_dir()
        names = (described(pipeline).class_names if here else None) or ()
    except (ValueError, OSError):
        names = ()
    return names[label] if label < len(names) else f"class {label}"


def _check_pipelines(config: MMMIConfig) -> None:
    """Refuse a pipeline that is neither known nor a folder nor owner/name, and what the files of one contradict."""
    from mmmi_hf.flow.bundled import RELEASED, bundled_pipelines, unknown
    from mmmi_hf.flow.description import described

    for index, (shape, modality) in enumerate(zip(config.model.shapes.values(), config.modalities, strict=False)):
        name, label, here = modality.pipeline, modality.class_label, ("modalities", index)
        if has_no_classes(name):
            if label is not None:
                raise FieldError((*here, "class_label"), f"{name!r} has no classes; leave class_label out")
            continue
        if name in RELEASED and name not in bundled_pipelines():
            continue  # a package without its weights describes nothing
        try:
            local = name in bundled_pipelines() or place(name, "pipeline").is_dir()
            if not local and not is_repository(name):
                raise ValueError(unknown(name, ["identity", *bundled_pipelines()]))
            found = described(name) if local else None
        except (ValueError, OSError) as error:
            raise FieldError((*here, "pipeline"), in_one_line(error)) from error
        if found is None:
            continue  # on the Hub; it is looked at when it is loaded
        if found.latent_shape != shape:
            raise FieldError(
                here, f"pipeline {name!r} makes the shape {found.latent_shape}, the causal model has {shape}"
            )
        if label is not None and label >= (found.num_classes or 0):
            raise FieldError(
                (*here, "class_label"),
                f"got {label}, expected 0 … {found.num_classes - 1}"
                if found.num_classes
                else f"got {label}; {name!r} has no classes, leave class_label out",
            )


def _pipeline_of(name: str, version: str, pipeline: str | None) -> str | None:
    """What made this version of a released configuration; None for today's."""
    if name not in _releases():
        raise ConfigurationError(
            f"version is {version!r}, but only released configurations have several; {name!r} is none"
        )
    if pipeline is not None:
        raise ConfigurationError(
            f"a version has its own pipeline: leave out version ({version}) or pipeline ({pipeline})"
        )
    if version not in list_versions(name):
        raise ConfigurationError(f"{name!r} has no version {version!r}; it has {', '.join(list_versions(name))}")
    return _releases()[name].images.earlier.get(version)


def _released(release: Release, pipeline: str | None) -> MMMIConfig:
    """A release on its own pipeline, on another one, or on a bijection that takes any shape."""
    images = release.images
    shape = images.shape if pipeline is None else pipeline_shape(pipeline)
    if pipeline is None or shape is None:
        return release.configuration(images.pipeline, images.shape).with_pipeline(pipeline)
    earlier = next((version for version, made_by in images.earlier.items() if made_by == pipeline), None)
    return release.configuration(pipeline, shape, earlier)


@cache
def _families() -> dict[str, Family]:
    names = [each.name for each in pkgutil.iter_modules(families.__path__)]
    found: list[Family] = [importlib.import_module(f"{families.__name__}.{name}").family() for name in names]
    return {family.name: family for family in sorted(found, key=lambda family: family.order)}


@cache
def _shapes() -> dict[str, Shape]:
    """What the pipelines of the released configurations make, known without their files."""
    return {
        pipeline: release.images.shape
        for release in _releases().values()
        for pipeline in (release.images.pipeline, *release.images.earlier.values())
    }


@cache
def _releases() -> dict[str, Release]:
    return {release.name: release for family in _families().values() for release in family.releases}
