"""Datasets: configuration, generation, builder, card. The only room that joins causal models and bijections.

# What is refused without the seed

`certify(use_seed=False)`, and folders that do not tell their seed, leave the statistical tests alone: exact ones of the
declared law, and of dependence that the model does not declare, in pixels, cosine coefficients, rows, and the geometry
of rows. For latents of 16 × 16, all of 100 forgeries were refused with so many rows:

- 16: re-normalised, clipped at 2, a quarter of x2 copied from x1, half of the rows repeated;
- 32: clipped at 3;
- 64: 1 nat claimed to be 1.5; a tenth shuffled, 2.5 nats;
- 128: all shuffled, 0.25 nats;
- 256: y along a direction that only the forger knows;
- 512: a tenth shuffled, 1 nat.

For latents of 32 × 32, all of 100 with 16 rows where y, or a pixel of x1, was in another pixel, and 98 of 100 with 512
rows for 1 % of y in every pixel of a null.

The tests cannot see images that were shuffled among themselves in a null, rows of another seed, rounding and noise far
below the declared spread, or y along a secret direction of many more pixels than rows: the analytic upper bounds need
the seed.

Where rows lack modalities, which rows lack what is tested, and all that is there: the sampled rows of each pattern
together, and every modality on all rows that have it. Not tested is a y that is neither Gaussian nor a class in rows
that lack everything; and of modalities that only one sampled row has together, just that they are not less likely
together than apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmmi_hf.common.lazy import lazy_names

if TYPE_CHECKING:
    from mmmi_hf.dataset.assembly import generate
    from mmmi_hf.dataset.certificate.folder_checks import check_folder
    from mmmi_hf.dataset.certificate.outcome import Certificate
    from mmmi_hf.dataset.certification import CertificateRefusedError, certify
    from mmmi_hf.dataset.completion import merge
    from mmmi_hf.dataset.generation.mmmi import MMMIBuilder
    from mmmi_hf.dataset.generation.rows import make_rows
    from mmmi_hf.dataset.releases.configuration import MMMIConfig, Modality
    from mmmi_hf.dataset.releases.family import Family
    from mmmi_hf.dataset.releases.registry import get_configuration, get_family, list_configurations, list_families

__all__ = [
    "Certificate",
    "CertificateRefusedError",
    "Family",
    "MMMIBuilder",
    "MMMIConfig",
    "Modality",
    "certify",
    "check_folder",
    "generate",
    "get_configuration",
    "get_family",
    "list_configurations",
    "list_families",
    "make_rows",
    "merge",
]

__getattr__, __dir__ = lazy_names(__name__, __file__)
