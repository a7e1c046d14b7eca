"""What follows when all files of a configuration are there: manifest, certificate, ground truth, card, in this order.

Owns the step from the records of shards to a complete configuration, and `merge`, which does it for shards that were
made anywhere. The manifest needs no pipeline: what it says of one was drafted when the work began.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.failures import Failure
from mmmi_hf.common.files import partial_files_in, write_text
from mmmi_hf.common.progress import progress_bar
from mmmi_hf.common.records import RecordError
from mmmi_hf.dataset.cards.pictures import draw_for_card
from mmmi_hf.dataset.certificate.outcome import Certificate
from mmmi_hf.dataset.certification import CertificateRefusedError, certify_new
from mmmi_hf.dataset.derived import write_derived
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.configurations import described_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder, file_entry
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.remote import opened
from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.generation.draft import completed
from mmmi_hf.dataset.generation.shards import MODEL, Shards
from mmmi_hf.dataset.releases.configuration import MMMIConfig
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError

TIMES = 3


@dataclass(frozen=True)
class Merged:
    """A configuration that `merge` found complete, or completed.

    Attributes:
        folder: where it is, a path or an address.
        config: the configuration, as its manifest describes it.
        files: how many hold its rows.
        certificate: measured by this call; None where it was not asked for or was there already.
        seconds: of this call.
    """

    folder: Path | str
    config: MMMIConfig
    files: int
    certificate: Certificate | None
    seconds: float


def merge(
    out: str | os.PathLike[str],
    configs: str | Sequence[str] | None = None,
    *,
    certify: bool = True,
    figures: bool = True,
    device: str | None = None,
    progress: bool = True,
) -> list[Merged]:
    """Complete what calls of `generate` with a `shard` have made, in any order and anywhere.

    Every file is read once and compared with the digest that its maker recorded. Calling it again changes nothing.

    Args:
        out: the folder or address that they were given.
        configs: which configurations; None for all that were begun there and, where none is, those that are complete.
        certify, figures, device, progress: as in `generate`.

    Raises:
        ConfigurationError: nothing was begun there.
        Failure: files are missing or damaged, with the list; the next `generate` makes them.
        CertificateRefusedError: the finished folder does not bear out its claim; it stays without a certificate.
    """
    with opened(out) as folder:
        begun = folder.begun()
        if configs is None:
            names = begun or folder.configurations()
        else:
            names = [configs] if isinstance(configs, str) else list(configs)
        unknown = [name for name in names if name not in begun and folder.manifest(name) is None]
        if unknown or not names:
            there = ", ".join(begun) or "nothing"
            raise ConfigurationError(
                f"there is nothing to merge{f' of {unknown[0]!r}' if unknown else ''} in {folder.where}, where {there} "
                "was begun; make its files first: mmmi-hf generate CONFIG --out … --shard 1/1"
            )
        # Linear algebra of several threads sums in another order.
        with threadpool_limits(limits=1, user_api="blas"):
            return [
                _merged(folder, name, certify=certify, figures=figures, device=device, progress=progress)
                for name in names
            ]


def _merged(
    folder: DatasetFolder, name: str, *, certify: bool, figures: bool, device: str | None, progress: bool
) -> Merged:
    started = time.monotonic()
    scratch = folder.work(name) / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    if (manifest := folder.manifest(name)) is None:
        try:
            with partial_files_in(scratch):
                manifest = _from_records(folder, name, progress=progress)
        except (ConfigurationError, Failure, FileNotFoundError):
            manifest = folder.refreshed().manifest(name)
            if manifest is None:  # else another call has just completed it, and what was begun is gone
                raise
    elif damaged := folder.damaged_files(manifest):
        raise Failure(_missing(len(manifest.data), damaged))
    try:
        if figures:
            with partial_files_in(scratch):
                draw_for_card(folder, name)
        certificate = certified(folder, name, device, progress=progress) if certify else None
    finally:
        derive(folder, name)
    config = described_configuration(manifest, folder.model(name))
    return Merged(folder.where, config, len(manifest.data), certificate, time.monotonic() - started)


def _from_records(folder: DatasetFolder, name: str, *, progress: bool) -> Manifest:
    """The manifest of what was begun, once all its files are there and sound."""
    draft, shards = _begun(folder, name)
    with progress_bar(f"comparing the files of {name}", shards.config.rows, shown=progress) as bar:
        missing = shards.missing(shards.all, reading=True, tick=bar.update)
    if missing:
        raise Failure(_missing(len(shards.all), [shard.name for shard in missing]))
    return put_together(folder, shards, draft)


def _missing(count: int, names: Sequence[str]) -> str:
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return (
        f"of {count} files {len(names)} are missing or damaged ({shown}): make them by the same generate again, with "
        "any --shard that has them, and merge then"
    )


def _begun(folder: DatasetFolder, name: str) -> tuple[Manifest, Shards]:
    """The draft of a manifest and the plan that were entered when a configuration was begun."""
    store, work = folder.store(name), folder.work(name).relative_to(folder.path).as_posix()
    try:
        request: dict[str, Any] = json.loads(store.read(f"{work}/plan.json") or b"{}")
        if not isinstance(request, dict) or not isinstance(request.get("key"), dict):
            raise ValueError("plan.json is missing or damaged")
        draft = Manifest.from_json(json.dumps(request.get("manifest")), f"{work}/plan.json")
        model = CausalModel.from_json((store.read(f"{work}/{MODEL}") or b"").decode())
        if model.digest != draft.causal_model:
            raise ValueError("the causal model is another than the plan's (digest)")
        config = described_configuration(draft, model)
    except (RecordError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{folder.where}: {work} does not say what was begun ({error})") from error
    return draft, Shards(store, config, features(model, draft.views, **draft.stored), request["key"])


def put_together(folder: DatasetFolder, shards: Shards, draft: Manifest, kept: Manifest | None = None) -> Manifest:
    """Write causal model and manifest, from the records of the shards.

    Args:
        folder: where.
        shards: all of them are finished.
        draft: of the manifest.
        kept: the manifest of which damaged files were made again; a certificate goes on binding it where they are what
            they were.
    """
    name, records = draft.config, shards.merged()
    for stale in shards.store.list(shards.data).keys() - {shard.name for shard in records}:
        shards.store.remove(stale)
    model = folder.causal_model(name)
    write_text(model, shards.config.model.to_json() + "\n")
    manifest = completed(draft, records, file_entry(folder.path, model.relative_to(folder.path).as_posix()))
    if kept is not None:
        manifest = manifest.model_copy(update={"splits": kept.splits})
    if kept is None or kept.files != manifest.files:
        folder.certificate_path(name).unlink(missing_ok=True)
        folder.write_manifest(name, manifest)
    folder.send()
    return manifest


def certified(folder: DatasetFolder, config: str, device: str | None, *, progress: bool) -> Certificate | None:
    """Measure on the stored bytes; None where a valid certificate binds them already."""
    if bound_certificate(folder, config) is not None:
        return None
    certificate = certify_new(folder, config, device=device, progress=progress)
    if not certificate.valid:
        raise CertificateRefusedError(f"{config} in {folder.where} is refused: {'; '.join(certificate.reasons)}")
    return certificate


def derive(folder: DatasetFolder, config: str) -> None:
    """Write ground truth and card, and drop what making the configuration left.

    They are written again where another run has completed another configuration meanwhile, or has removed the folder
    in which they were being written.
    """
    scratch = folder.work(config) / "scratch"
    for attempt in range(TIMES):
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            with partial_files_in(scratch):
                listed = None
                while listed != (now := folder.refreshed().configurations()):
                    listed = now
                    write_derived(folder)
                    folder.send()
            break
        except FileNotFoundError:
            if attempt == TIMES - 1:
                raise
    folder.remove_work(config)
