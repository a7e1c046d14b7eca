"""What a tier is published with: its description, its reference results, and how to load it.

Owns the section of the dataset card. The data are published as those of any dataset folder.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

from mmmi_hf.benchmark.protocol.data import Source
from mmmi_hf.benchmark.tiers.budget import cells_of
from mmmi_hf.benchmark.tiers.results import reference_results
from mmmi_hf.benchmark.tiers.tier import Tier, folder_of
from mmmi_hf.common.cards import environment
from mmmi_hf.common.places import is_address, place
from mmmi_hf.hub.publishing.supplement import Supplement

_FILES = ("tier.yaml", "reference.csv")


def supplement_of(tier: Tier, folder: str | os.PathLike[str]) -> Supplement:
    """What stands beside a tier's data.

    Args:
        folder: of the data, or its address.

    Raises:
        ValueError: no such folder, or data that are not those of the tier.
    """
    if not is_address(folder) and not place(folder, "folder").is_dir():
        raise ValueError(
            f"there is no folder {folder}; give DIR/data after `mmmi-hf benchmark --tier {tier.name} --out DIR`"
        )
    tier.check_data(Source.open(os.fspath(folder)))
    committed = {f"tiers/{tier.name}/{name}": folder_of(tier) / name for name in _FILES}
    files = {path: _without_place(source.read_bytes()) for path, source in committed.items() if source.is_file()}
    return Supplement(f"the tier {tier.name}", tier.version, files, lambda repo, tag: _section(tier, repo, tag))


def _without_place(text: bytes) -> bytes:
    """A file without the line that says where the tier is published: it is written when that is done."""
    return b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"repository:"))


def _section(tier: Tier, repo: str, tag: str) -> str:
    """The text of the card."""
    groups = [
        {
            "name": group.name,
            "title": group.title,
            "configs": [name for name in tier.configurations if any(fnmatchcase(name, each) for each in group.configs)],
            "pairs": group.pairs,
            "problems": cells_of(tier, group),
        }
        for group in tier.groups
    ]
    return (
        environment(__package__)
        .get_template("tier_section.md.j2")
        .render(
            tier=tier,
            repo=repo,
            tag=tag,
            groups=groups,
            problems=sum(cells_of(tier, group) for group in tier.groups),
            estimators=sorted({row["estimator"] for row in reference_results(tier)}),
        )
    )
