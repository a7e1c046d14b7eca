"""The draft of a manifest: all that it says of a configuration before any file is there.

Owns the two steps from a configuration to its manifest: drafted when the work begins, where pipelines are at hand, and
completed from the records of the finished shards, where they need not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmmi_hf.dataset.format.manifest import Computing, FileEntry, Manifest, Split, Statements
from mmmi_hf.dataset.format.target_columns import target_entries
from mmmi_hf.dataset.generation.rows import modality_entries
from mmmi_hf.dataset.releases.configuration import MMMIConfig

if TYPE_CHECKING:
    from mmmi_hf.dataset.generation.shards import Shard
    from mmmi_hf.flow.bijection import Bijection

_COMPUTED = ("dtype", "micro_batch", "channels_last", "compiled", "machine", "versions")


def drafted(
    config: MMMIConfig, bijections: Mapping[str, Bijection], key: Mapping[str, Any], world_size: int = 1
) -> Manifest:
    """The manifest of a configuration without its files.

    Args:
        config, bijections: what the rows are.
        key: everything that determines their bytes, see `row_key`.
        world_size: of the processes that a launcher started together.
    """
    computing = Computing(
        device=tuple(key["device"]), hardware=tuple(key["hardware"]), **{name: key[name] for name in _COMPUTED}
    )
    return Manifest(
        config=config.name,
        version=str(config.version),
        rows=config.rows,
        splits={split: Split(rows=len(rows), bytes=0, files=()) for split, rows in config.split_rows.items()},
        seed=config.seed,
        standardize=config.standardize,
        store_latents=config.store_latents,
        causal_model=config.model.digest,
        configuration=key["configuration"],
        modalities=modality_entries(config, bijections),
        targets=target_entries(config.model, store_posterior=config.store_posterior),
        files=(),
        statements=Statements(description=config.description or None, world_size=world_size, computing=(computing,)),
    )


def completed(draft: Manifest, records: Mapping[Shard, Mapping[str, Any]], causal_model: FileEntry) -> Manifest:
    """The manifest of a configuration whose files are there.

    Args:
        draft: of the configuration.
        records: shard → what is recorded of it, in the order of rows.
        causal_model: its entry.
    """
    splits = {
        split: entry.model_copy(
            update={
                "bytes": sum(record["bytes_in_memory"] for shard, record in records.items() if shard.split == split),
                "files": tuple(shard.name for shard in records if shard.split == split),
            }
        )
        for split, entry in draft.splits.items()
    }
    files = [
        FileEntry(
            path=shard.name, bytes=record["bytes"], sha256=record["sha256"], rows=(shard.rows.start, shard.rows.stop)
        )
        for shard, record in records.items()
    ]
    listed = sorted([*files, causal_model], key=lambda entry: entry.path)
    return draft.model_copy(update={"splits": splits, "files": tuple(listed)})
