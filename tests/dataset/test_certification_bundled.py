"""The certificate of real images: the common-cause family and forgeries of it, with the bundled pipeline (slow)."""

import os
from pathlib import Path

import pytest

from mmmi_hf.dataset.certification import certify
from mmmi_hf.dataset.format.certificate_record import bound_certificate
from mmmi_hf.dataset.format.folder import DatasetFolder
from mmmi_hf.dataset.releases.families.common_cause import COMMON_CAUSE_LEVELS
from tests.dataset.certificate import forgeries
from tests.support import generate

pytestmark = pytest.mark.slow
ROWS = 64


def folder_of(name, tmp_path_factory):
    """One folder for all levels; MMMI_HF_LEVELS keeps it between runs, which then go on where they stopped."""
    kept = os.environ.get("MMMI_HF_LEVELS")
    folder = Path(kept) if kept else tmp_path_factory.getbasetemp() / "levels"
    generate(name, folder, rows=ROWS)
    return folder


@pytest.mark.parametrize("level", COMMON_CAUSE_LEVELS)
def test_the_common_cause_family(level, tmp_path_factory):
    """Float columns keep at least 99.9 % of I(x1;y) and 99 % of I(x1;x2), certified; latent errors at most 2e-5."""
    name = f"common-cause-{level}"
    record = bound_certificate(DatasetFolder(folder_of(name, tmp_path_factory)), name)
    for quantity, least in (("I(x1;y)", 0.999), ("I(x1;x2)", 0.99)):
        found = record.bounds[quantity]
        shares = {kind: bound.measured / found.analytic for kind, bound in found.columns.items()}
        print(f"{name} {quantity} = {found.analytic:.6f}:", {kind: f"{share:.5%}" for kind, share in shares.items()})
        assert shares["float32"] >= least
    for modality, kinds in record.round_trip.items():
        print(modality, {kind: (entry.median, entry.max, entry.failed) for kind, entry in kinds.items()})
        assert kinds["float32"].failed == 0
        assert kinds["float32"].max <= 2e-5


def test_the_null(tmp_path_factory):
    record = bound_certificate(DatasetFolder(folder_of("independent", tmp_path_factory)), "independent")
    print(record.tests)
    assert min(record.tests.values()) > record.tests_level


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("common-cause-1.0", forgeries.shuffled(0.1)),
        ("common-cause-1.0", forgeries.clipped(1.0)),
        ("common-cause-1.0", forgeries.renormalised()),
        ("independent", forgeries.injected()),
    ],
    ids=["tenth shuffled", "clipped", "re-normalised", "y injected into the null"],
)
def test_forged_images_are_refused(name, change, tmp_path, tmp_path_factory):
    source = folder_of(name, tmp_path_factory)
    folder = forgeries.forge(source, tmp_path / "forged", name, change)
    (result,) = certify(folder, name, rows_float64=0, write=False, progress=False).values()
    print(result.reasons)
    assert not result.valid
