"""`certify`: which configurations of a folder are measured, how thoroughly, and what of it is put in place.

Owns the requests and the writing of `certificates/CONFIG.json`; the measurement is in `certificate/measurement.py`.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from mmmi_hf.common.numbers import is_finite, is_whole
from mmmi_hf.dataset.certificate.inversion import Transform
from mmmi_hf.dataset.certificate.measurement import CONFIDENCE, ROWS_FLOAT64, Measurement
from mmmi_hf.dataset.certificate.outcome import Certificate
from mmmi_hf.dataset.certificate.replays import REPLAYS, Replayer
from mmmi_hf.dataset.derived import is_stated, take_back_bounds, write_derived
from mmmi_hf.dataset.format.certificate_record import (
    CERTIFICATE_FORMAT,
    CertificateRecord,
    bound_certificate,
)
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError


class CertificateRefusedError(RuntimeError):
    """The stored data do not bear out the claim; the message gives the reasons."""


def certify(
    folder: str | os.PathLike[str] | DatasetFolder,
    configs: str | Sequence[str] | None = None,
    *,
    rows: int | None = None,
    rows_float64: int | None = None,
    replays: int | None = None,
    all_rows: bool = False,
    confidence: float | None = None,
    sample_seed: int | None = None,
    use_seed: bool = True,
    pipeline: str | None = None,
    device: str | None = None,
    write: bool | None = None,
    transform: Transform | Mapping[str, Transform] | None = None,
    replayer: Replayer | None = None,
    progress: bool = True,
) -> dict[str, Certificate]:
    """Measure on the stored bytes whether a dataset folder carries the information that it claims.

    Args:
        folder: a dataset folder of ours, which may be read-only, or the address of one. There, unless `all_rows` are
            asked for, only the row groups of sampled rows are read, and sizes stand for digests.
        configs: names of configurations; default: all of the folder.
        rows: rows to invert in float32 and, where there are views, from these; at most all. Default: as many as the
            certificate that is there, or 32 where floors of float columns rest on rows that are made again here and
            on counts of maps that come with the package, or 64. With fewer nothing is written.
        rows_float64: how many of these are inverted in float64 too; default likewise, or 2.
        replays: how many rows are made again from (seed, row) and compared; whole micro-batches, at most all. Default:
            as many as the certificate that is there, or 1,408. With fewer nothing is written.
        all_rows: make every row again, which costs what generating them did. A run that was killed goes on where it
            stopped. No row of the folder is unseen then.
        confidence: with which all floors of a configuration hold together, and all measured bounds; default likewise,
            or 0.99.
        sample_seed: a reader's number, mixed into the seed of the sample, which otherwise follows from the data's
            digests. Nothing is written then: a certificate's rows are not for its maker to pick.
        use_seed: False to test without replaying rows from the seed, as for a folder that does not tell it.
        pipeline: where the pipeline of every modality is found, if not where the manifest says (the digest must agree).
        device: torch device of the networks.
        write: put the certificate in place: None only in a folder where there is none, True always, False never.
        transform: a preprocessing, from the stored values of the sampled rows, float32 (n, *shape), to what becomes of
            them, each row by itself: of all images, or one for each modality that is named. `Certificate.transformed`
            says how much is left at least; see below. Nothing is written then.
        replayer: who makes rows again; None for this process. See `certify_by_engine`.
        progress: show progress bars.

    Returns:
        Configuration → Certificate. A certificate that is not valid is returned, not raised, and never written.

    Raises:
        ConfigurationError: no such folder, configuration or pipeline, or numbers that make no sense.

    What a transform gives is inverted and bounded as a view is: it must be images (n, channels, height, width), floats
    in the stored range or 8-bit pixels as the view has them, of any height and width. Smaller ones are stretched to the
    stored size, which suits a resize; a crop is to be put back to its place, as below. The inverse knows nothing of
    what was done, so that much more may be left than the bound says. An encoder ends with a decoder, made from other
    data: what holds for the images that it gives holds for the features.

    >>> import io
    >>> import mmmi_hf
    >>> import numpy as np
    >>> from PIL import Image
    >>> folder = "my-dataset"
    >>> view = mmmi_hf.load(folder, progress=False).manifest.views["x1"]
    >>> def resized(values):
    ...     n, channels, height, width = values.shape
    ...     return values.reshape(n, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
    >>> def cropped(values):
    ...     left = np.zeros_like(values)
    ...     left[:, :, 1:-1, 1:-1] = values[:, :, 1:-1, 1:-1]
    ...     return left
    >>> def jpeg(values):
    ...     pixels = view.stored.levels(values, view)  # uint8, as x1_image shows them
    ...     for image in pixels:
    ...         file = io.BytesIO()
    ...         Image.fromarray(image[0]).save(file, "JPEG", quality=95)
    ...         image[0] = np.asarray(Image.open(file))
    ...     return pixels
    >>> def encoded(values):
    ...     size = values[0].size
    ...     weights = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size // 2)))[0]
    ...     features = values.reshape(len(values), size) @ weights  # half as many: a frozen encoder
    ...     return (features @ weights.T).reshape(values.shape)  # and its decoder
    >>> for transform in (resized, cropped, jpeg, encoded):
    ...     (found,) = mmmi_hf.certify(folder, transform=transform, progress=False).values()
    ...     print(transform.__name__, {quantity: round(nats, 2) for quantity, nats in found.transformed.items()})
    """
    rows, rows_float64, replays, sample_seed = _checked(
        ("rows", rows, 1),
        ("rows_float64", rows_float64, 0),
        ("replays", replays, 0),
        ("sample_seed", sample_seed, 0),
    )
    if confidence is not None and not (is_finite(confidence) and 0.5 < confidence < 1.0):
        raise ConfigurationError(f"confidence is {confidence!r}, expected a number between 0.5 and 1, 0.99 for example")
    if all_rows and (replays is not None or not use_seed):
        raise ConfigurationError("all rows are made again from the seed: leave out replays and use_seed")
    with opened(folder, reading=True) as place:
        names = place.configurations() if configs is None else [configs] if isinstance(configs, str) else list(configs)
        for name in names:
            place.known_manifest(name)
        if write and place.keeps_data and not place.writable:
            raise ConfigurationError(f"{place.path} cannot be written to; leave out the request to write")
        if write and sample_seed is not None:
            raise ConfigurationError(
                "a certificate that is written has the sample of the data's digests; leave out one's own"
            )
        if write and transform is not None:
            raise ConfigurationError("a certificate that is written is of the stored values; leave out the transform")
        results = {}
        for name in names:
            standing = bound_certificate(place, name)
            run = Measurement(
                place,
                name,
                place.known_manifest(name),
                rows=rows,
                rows_float64=(
                    rows_float64
                    if rows_float64 is not None
                    else len(standing.sample.rows_float64)
                    if standing
                    else ROWS_FLOAT64
                ),
                replays=(sys.maxsize if all_rows else replays if replays is not None else _replays_of(standing)),
                confidence=confidence or (standing.confidence if standing else CONFIDENCE),
                chosen_seed=sample_seed,
                use_seed=use_seed,
                pipeline=pipeline,
                device=device,
                progress=progress,
                transforms=_transforms(transform, place.known_manifest(name)),
                writes=bool(write),
                replayer=replayer,
            )
            result = run.measure(standing)
            if transform is not None:
                results[name] = result
                continue
            record = result.record
            if result.valid and record is not None:
                if run.is_worthy(record) and (write or (write is None and standing is None and place.writable)):
                    _put(place, run.config, record)
                    result = dataclasses.replace(result, written=True)
                elif standing is not None and _is_same(record, standing):
                    result = dataclasses.replace(result, written=True)
                    today = standing.format == CERTIFICATE_FORMAT  # a folder of format 1 stays as it is
                    if today and write is None and place.writable and not is_stated(place, name, standing):
                        with place.locked():
                            write_derived(place)
            results[name] = result
        place.send()
    return results


def _transforms(transform: Transform | Mapping[str, Transform] | None, manifest: Manifest) -> Mapping[str, Transform]:
    """Modality → what is done to its values; one transform is for all images."""
    if transform is None:
        return {}
    names = [entry.name for entry in manifest.modalities]
    if not isinstance(transform, Mapping):
        images = [name for name, view in manifest.views.items() if view.kind == "image"]
        if not images:
            raise ConfigurationError(f"there are no images to transform; name modalities of {', '.join(names)}")
        transform = dict.fromkeys(images, transform)
    if not transform or not set(transform) <= set(names) or not all(callable(each) for each in transform.values()):
        raise ConfigurationError(f"transform must be a function, or one for some of {', '.join(names)}")
    return transform


def _replays_of(standing: CertificateRecord | None) -> int:
    return max(REPLAYS, standing.sample.rows_replayed if standing else 0)


def certify_new(place: DatasetFolder, name: str, *, device: str | None = None, progress: bool = True) -> Certificate:
    """`certify`, for rows that were just made: what is derived from them is not there yet, and not written here.

    Returns:
        The certificate; a valid one is in place.
    """
    run = Measurement(place, name, place.known_manifest(name), device=device, progress=progress, derived=False)
    result = run.measure(None)
    if not (result.valid and result.record is not None):
        return result
    with place.locked():
        result.record.write(place.certificate_path(name))
    return dataclasses.replace(result, written=True)


def _is_same(record: CertificateRecord, standing: CertificateRecord) -> bool:
    """Whether they differ in nothing but the form of the file and what nobody checks."""
    kept = {"format": standing.format, "statements": standing.statements}
    if standing.format != CERTIFICATE_FORMAT:
        record = record.without_floors()
    return record.model_copy(update=kept) == standing


def _put(place: DatasetFolder, config: MMMIConfig, record: CertificateRecord) -> None:
    """Put a certificate in place, of an older one too, and then what follows from it."""
    with place.locked():
        take_back_bounds(place, config)
        record.write(place.certificate_path(config.name))
        write_derived(place)


def _checked(*arguments: tuple[str, int | None, int]) -> Iterator[int | None]:
    """Plain whole numbers of arguments (name, value, least); None stays."""
    for name, value, least in arguments:
        if value is not None and not is_whole(value, least):
            raise ConfigurationError(f"{name} is {value!r}, expected a whole number of at least {least}")
        yield None if value is None else int(value)
