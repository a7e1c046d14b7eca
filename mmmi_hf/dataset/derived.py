"""What follows from the records of a dataset folder: ground truth and card.

Owns their writing, which comes last: after data, causal model, manifest and certificate. Both can be written again at
any time from what lies there; nothing vouches for them but that.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from mmmi_hf.common.files import read_regular, write_text
from mmmi_hf.dataset.cards.dataset_card import dataset_card
from mmmi_hf.dataset.cards.text import certificate_line
from mmmi_hf.dataset.certificate.bounds import without_floor
from mmmi_hf.dataset.format.certificate_record import CertificateRecord, bound_certificate
from mmmi_hf.dataset.format.configurations import rebuilt_configuration
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.format_1 import COLUMNS
from mmmi_hf.dataset.format.ground_truth import (
    BOUNDS,
    SCHEMA,
    ground_truth_problems,
    stored_ground_truth,
    write_ground_truth,
)
from mmmi_hf.dataset.releases.configuration import MMMIConfig


def write_derived(folder: DatasetFolder) -> None:
    """Write the ground truth of every configuration, and the card, where they are not what follows from the records.

    Tables of format 1 become those of today, so that `load_dataset` reads all of them together. Whoever writes beside
    others holds the folder (`DatasetFolder.locked`).
    """
    write_ground_truths(folder)
    text = dataset_card(folder)
    if _text(folder.card) != text:
        write_text(folder.card, text)


def write_ground_truths(folder: DatasetFolder) -> None:
    """The tables alone."""
    for name in folder.configurations():
        config = rebuilt_configuration(folder, name, folder.known_manifest(name))
        certificate = bound_certificate(folder, name)
        if not _is_right(folder.ground_truth(name), config, certificate):
            write_ground_truth(config, folder.ground_truth(name), certificate)


def _is_right(path: Path, config: MMMIConfig, certificate: CertificateRecord | None) -> bool:
    """Whether a stored table is the one of today, its bounds included."""
    try:
        stored = stored_ground_truth(path)
    except (OSError, ValueError, pa.ArrowException):
        return False
    if not stored.schema.equals(SCHEMA) or ground_truth_problems(stored, config, certificate):
        return False
    return certificate is None or _has_bounds(stored) or not any(each.columns for each in certificate.bounds.values())


def is_stated(folder: DatasetFolder, name: str, certificate: CertificateRecord) -> bool:
    """Whether ground truth and card of a folder, which agree with its records, state a certificate already.

    They do not where a call was killed after it had put the certificate in place; the next one then writes them. Where
    they do, they are left alone: a card may have become the text of people, which `write_derived` would replace.
    """
    bounds = any(each.columns for each in certificate.bounds.values())
    model = rebuilt_configuration(folder, name, folder.known_manifest(name)).model
    return (_has_bounds(stored_ground_truth(folder.ground_truth(name))) or not bounds) and (
        certificate_line(certificate, without_floor(model, certificate)) in (_text(folder.card) or "")
    )


def take_back_bounds(folder: DatasetFolder, config: MMMIConfig) -> None:
    """A ground truth without bounds in place of one that has some: it holds beside any certificate.

    To be called before a certificate gives way to another one. Two files cannot be replaced at once: a call that is
    killed between them would leave the old bounds beside the new certificate, and every check would refuse the folder.
    """
    path = folder.ground_truth(config.name)
    if path.is_file() and _has_bounds(stored_ground_truth(path)):
        write_ground_truth(config, path, None)


def _has_bounds(table: pa.Table) -> bool:
    bounds = (*BOUNDS, *COLUMNS)
    return any(name in bounds and table[name].null_count < len(table) for name in table.schema.names)


def _text(path: Path) -> str | None:
    try:
        return read_regular(path).decode()
    except (OSError, ValueError):
        return None
