"""The certificate of a configuration, `certificates/CONFIG.json`: what was measured on the stored bytes.

Owns the type, its writer and its reader, which also takes the certificates beside manifests of format 1 (see
`format_1.py`), and the rule when one binds a manifest. How it is measured is certificate/'s.

A certificate is that of a valid measurement; a refusal leaves none. Everything outside `statements` is compared with
what a check gives: exactly where it follows from folder and rules, as far as other machines measure alike elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from mmmi_hf.causal.statistics.confidence import unseen_share
from mmmi_hf.common.files import sha256_of
from mmmi_hf.common.records import Amount, Count, Digest, Positive, Record, RecordError, Share
from mmmi_hf.dataset.format import format_1
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.format.manifest import format_of

CERTIFICATE_FORMAT: Final = 4
"""To be raised whenever what a certificate must say changes: its fields, tests, bounds or tolerances."""
_UNRELEASED = 3
"""The format of development versions, whose contents changed under it; not read."""

Kind = Literal["float32", "float64", "view"]
"""What was inverted: the float column in float32 or in float64, or the view."""


class Sample(Record):
    """The rows that were looked at.

    Attributes:
        rows: numbers of those that were inverted, ascending.
        rows_float64: of these, those that were inverted in float64 too.
        rows_replayed: how many rows were made again from (seed, row) and compared.
        seed: of the choice, from the digests of the data.
        chosen_seed: a reader's number that was mixed in; a certificate that is written has none.
        unseen_share: the share of bad rows that `rows` could have missed at the certificate's confidence; 0 where they
            are all rows.
    """

    rows: tuple[Count, ...]
    rows_float64: tuple[Count, ...]
    rows_replayed: Count = 0
    seed: str
    chosen_seed: int | None = None
    unseen_share: Share


class Replays(Record):
    """Rows that were made again from (seed, row) and compared with the stored ones, in all modalities.

    Attributes:
        equal: rows that are the same, bit for bit.
        largest: the largest error of the others, relative to the row.
    """

    equal: Count
    largest: Amount


class MapEvidence(Record):
    """How often the blind inverse of a map did not give a latent back; counted once and shipped with the package.

    Attributes:
        pipeline, label: the map: digest and class.
        seen: number of latents.
        bad: those that came back with a relative error above the tolerance of floats, or not at all.
        micro_batch, software: how their images were made.
    """

    pipeline: Digest
    label: Count | None = None
    seen: Count
    bad: Count
    micro_batch: Positive
    software: dict[str, str]


class LevelCounts(Record):
    """How many inverted rows lose more than each of the levels that the rules fix, in any target, and in any pair."""

    targets: tuple[Count, ...]
    pairs: tuple[Count, ...]


class FloorEvidence(Record):
    """What floors follow from; they are recomputed from it.

    Attributes:
        differing: of the replayed rows those that are not the same bit for bit. None where the floors of the floats
            rest on the folder's own inverses.
        maps: modality → what is known of its map, where they rest on replays.
        float32, view: the folder's own inverses, where floors rest on them.
    """

    differing: Count | None = None
    maps: dict[str, MapEvidence] = Field(default_factory=dict)
    float32: LevelCounts | None = None
    view: LevelCounts | None = None


class ColumnBound(Record):
    """Lower bounds of a quantity in one kind of column, nats.

    Attributes:
        floor: holds whatever the unseen rows are; None where there is none.
        measured: holds if the other rows err as the sampled ones do: the largest of `tried`, cut at 0 and at the
            analytic value.
        tried: name of a bound → its value.
    """

    floor: Amount | None = None
    measured: Amount
    tried: dict[str, float]


class QuantityBounds(Record):
    """A quantity: its analytic value, which what is stored cannot exceed, and lower bounds by kind of column."""

    analytic: Amount
    float32: ColumnBound | None = None
    view: ColumnBound | None = None

    @property
    def columns(self) -> dict[str, ColumnBound]:
        """Kind of column → its bound, where there is one."""
        return {kind: bound for kind, bound in (("float32", self.float32), ("view", self.view)) if bound is not None}


class RoundTrip(Record):
    """Errors of recovered latents: median and largest over the rows that could be inverted, and how many could not.

    Without the seed there is nothing to compare with, and the first two are None.

    Attributes:
        median, max: of ‖ẑ - z‖ / ‖z‖.
        failed: rows that could not be inverted.
        rows: how many were tried.
        clipped: of a view, the share of the values of these rows that lie beyond its range and are cut; format 2 did
            not say it.
    """

    median: Amount | None = None
    max: Amount | None = None
    failed: Count
    rows: Count
    clipped: Share | None = None


class StepCertificate(Record):
    """The extremes of what is evidence that a pipeline's steps are invertible."""

    samples: Count
    seed: Count
    iterations: Count
    contraction: Amount
    smallest_stretch: Amount
    monotonicity: Amount


class CertificateStatements(Record):
    """What the maker says and nobody checks: the method in words, machine and software of the measurement.

    A measurement on what is stated here must find the same again to the last digits; one elsewhere, nearly.

    Attributes:
        method: in words.
        machine: the processor's architecture.
        device, hardware: kinds of device that inverted, and what their bits depend on; format 2 did not say it.
        versions: of the software; that of the linear algebra, `blas`, with the kind of processor it takes this one for.
    """

    method: str
    machine: str
    device: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    versions: dict[str, str]


class CertificateRecord(Record):
    """What was measured on the files that one manifest names.

    Attributes:
        format: of the file that it was read from; what is written has CERTIFICATE_FORMAT.
        config, version: the configuration.
        manifest_sha256: of `manifests/CONFIG.json`; a certificate holds for no other.
        sample: the rows that were looked at.
        replayed: whether recovered latents were compared with those of (seed, row).
        confidence: with which all lower bounds hold together.
        looks, single_error: the number of single bounds, and the error probability of each.
        bounds: quantity → its values.
        replays: rows that were made again; None where there were none.
        evidence: what the floors follow from; None where there are none.
        round_trip: modality → kind → errors.
        tolerance: kind → the largest error of an honest row.
        tests: test of the declared law → its p-value, corrected for its own looks, and for the groups of rows that lack
            the same modalities; what is left untested then is said in `help(mmmi_hf.dataset)`.
        tests_level: family-wise level below which they refuse.
        step_certificates: digest of a pipeline → the evidence that is known of it.
        statements: what nobody checks.
    """

    format: Literal[2, 4] = CERTIFICATE_FORMAT
    config: str
    version: str
    manifest_sha256: Digest
    sample: Sample
    replayed: bool
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)]
    looks: Count
    single_error: Share
    bounds: dict[str, QuantityBounds]
    replays: Replays | None = None
    evidence: FloorEvidence | None = None
    round_trip: dict[str, dict[Kind, RoundTrip]]
    tolerance: dict[Kind, float]
    tests: dict[str, Share]
    tests_level: Share
    step_certificates: dict[str, StepCertificate | None]
    statements: CertificateStatements

    @model_validator(mode="after")
    def _states_what_its_format_knew(self) -> Self:
        if self.format == 2 and (self.evidence or self.replays or self.sample.rows_replayed):
            raise ValueError("format 2 knew no rows that were made again and no evidence of floors; measure again")
        return self

    def without_floors(self) -> CertificateRecord:
        """What format 2 says of it, which knew neither floors nor rows that were made again, nor that nothing is unseen
        where all rows were inverted."""
        bounds = {
            quantity: each.model_copy(
                update={kind: bound.model_copy(update={"floor": None}) for kind, bound in each.columns.items()}
            )
            for quantity, each in self.bounds.items()
        }
        share = unseen_share(len(self.sample.rows), 1.0 - self.confidence)
        sample = self.sample.model_copy(update={"rows_replayed": 0, "unseen_share": share})
        return self.model_copy(update={"bounds": bounds, "sample": sample, "replays": None, "evidence": None})

    def write(self, path: Path) -> None:
        """Put it in place."""
        if self.format != CERTIFICATE_FORMAT:
            raise ValueError(f"a certificate of format {self.format} is read, and never written")
        super().write(path)

    @classmethod
    def parse(cls, text: bytes, where: str) -> CertificateRecord:
        found = format_of(text)
        if found == _UNRELEASED:
            raise RecordError(f"{where}: format {found} is that of a version that was never released; measure again")
        older = found == format_1.CERTIFICATE
        return cls.from_json(text, where, translated=format_1.certificate_fields if older else None)


def bound_certificate(folder: DatasetFolder, config: str) -> CertificateRecord | None:
    """The certificate of a configuration if it is whole and binds the manifest that is there, else None."""
    try:
        return binding_certificate(folder, config)
    except (RecordError, OSError):
        return None


def binding_certificate(folder: DatasetFolder, config: str) -> CertificateRecord:
    """`bound_certificate`, or why there is none.

    Raises:
        FileNotFoundError: there is no certificate.
        RecordError: what is there is none, or that of something else.
    """
    record = CertificateRecord.read(folder.certificate_path(config))
    if record.config != config:
        raise RecordError(f"it is that of {record.config!r}")
    if record.manifest_sha256 != sha256_of(folder.manifest_path(config)):
        raise RecordError("it names the SHA-256 of another manifest")
    return record
