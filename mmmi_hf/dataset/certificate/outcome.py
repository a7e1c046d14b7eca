"""What a measurement came to: the verdict on one configuration, and what was measured.

Owns the object that callers get; measures and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mmmi_hf.dataset.format.certificate_record import CertificateRecord, QuantityBounds


@dataclass(frozen=True)
class Certificate:
    """The outcome for one configuration.

    Attributes:
        config: its name.
        valid: whether the stored data bear out the claim.
        reasons: why not; empty if valid.
        record: what was measured; None where the data were refused before. A valid one may be written.
        differs_from_release: in what a configuration of a released name differs from the release.
        written: whether `certificates/CONFIG.json` is there with this content.
        remarks: what this measurement could not compare.
        without_floor: quantity → why it has no floor, where others have one.
        transformed: quantity → what a transform of the float columns leaves of it, at least, with the confidence of the
            record for all of these together, if the other rows err as the sampled ones do; empty where none was asked.
        seconds: where the time went.
    """

    config: str
    valid: bool
    reasons: tuple[str, ...]
    record: CertificateRecord | None = None
    differs_from_release: tuple[str, ...] = ()
    written: bool = False
    remarks: tuple[str, ...] = ()
    without_floor: dict[str, str] = field(default_factory=dict)
    transformed: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict, compare=False)

    @property
    def bounds(self) -> dict[str, QuantityBounds]:
        """Quantity → its analytic value and lower bounds; empty where the data were refused."""
        return self.record.bounds if self.valid and self.record is not None else {}

    def to_dict(self) -> dict[str, Any]:
        """Verdict and record in plain values."""
        record = {} if self.record is None else self.record.model_dump(mode="json", exclude_none=True)
        return record | {
            "config": self.config,
            "valid": self.valid,
            "reasons": list(self.reasons),
            "differs_from_release": list(self.differs_from_release),
            "written": self.written,
            "remarks": list(self.remarks),
            "without_floor": self.without_floor,
            "transformed": self.transformed,
            "seconds": self.seconds,
        }
