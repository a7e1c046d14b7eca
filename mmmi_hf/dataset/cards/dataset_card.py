"""The dataset card: README.md of a dataset folder, rendered from what the folder holds.

Owns the YAML front matter (which makes plain `load_dataset` find the configurations) and the text below it. Every
number comes from the folder's own manifests, causal models and certificates; data files are not read, so
that a card can be rendered from the small files of a repository. May import `datasets`; never torch.
"""

from __future__ import annotations

from collections.abc import Iterable

import datasets
import pyarrow as pa
from datasets.info import DatasetInfosDict
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from mmmi_hf.causal import CausalModel
from mmmi_hf.common.cards import environment
from mmmi_hf.common.yaml_files import front_matter
from mmmi_hf.dataset.cards.pictures import shown_in_card
from mmmi_hf.dataset.cards.text import FILTERS, columns_of, corrections_of, models_of, pair_in_words, summary
from mmmi_hf.dataset.format.configurations import Pair, pairs
from mmmi_hf.dataset.format.folder import GROUND_TRUTH, GROUND_TRUTH_FILES, DatasetFolder, data_files
from mmmi_hf.dataset.format.ground_truth import SCHEMA
from mmmi_hf.dataset.format.manifest import Manifest
from mmmi_hf.dataset.format.schema import features
from mmmi_hf.dataset.format.views import undecoded
from mmmi_hf.dataset.releases.credits import CITATION, HOMEPAGE, LICENSE, TAGS

TITLE = "Multimodal data with known mutual information"
ANYWHERE = "PATH_OR_ID"
BEGIN = "<!-- mmmi_hf: generated from here on; changes are lost when the next release is published -->"
END = "<!-- mmmi_hf: end of the generated part -->"
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def dataset_card(folder: DatasetFolder, *, location: str = ANYWHERE, revision: str | None = None) -> str:
    """The text of the card.

    Args:
        folder: its manifests, causal models and certificates; the data files need not be there. Of the tables of
            ground truth, which follow from these, only the sizes of the files are taken.
        location, revision: what the card tells people to load.
    """
    manifests = {name: folder.known_manifest(name) for name in folder.configurations()}
    models = {name: folder.model(name) for name in manifests}
    summaries = [summary(folder, name, manifest) for name, manifest in manifests.items()]
    first = next(iter(manifests.values()))
    return (
        environment(__package__, FILTERS)
        .get_template("dataset_card.md.j2")
        .render(
            begin=BEGIN,
            end=END,
            title=TITLE,
            front_matter=_front_matter(folder, manifests, models, {one["config"]: one["truth"] for one in summaries}),
            configurations=summaries,
            measured=[entry for entry in summaries if entry["certificate"]],
            bounded=[entry for entry in summaries if entry["bounds"]],
            unbounded=", ".join(f"`{entry['config']}`" for entry in summaries if not entry["bounds"]),
            models=models_of(models),
            pairs=[(one.name, pair_in_words(one, models[one.shifted])) for one in pairs(manifests, models)],
            columns=columns_of(manifests.values(), models.values()),
            undecoded={column: what for one in manifests.values() for column, what in undecoded(one.views).items()},
            location=location,
            pinned=f', revision="{revision}"' if revision else "",
            example={"config": first.config, "split": next(iter(first.splits))},
            corrections=corrections_of(manifests),
            citation=CITATION,
            figures={name: shown_in_card(folder, name) for name in manifests},
        )
    )


def _front_matter(
    folder: DatasetFolder,
    manifests: dict[str, Manifest],
    models: dict[str, CausalModel],
    truths: dict[str, pa.Table],
) -> str:
    configs = MetadataConfigs()
    infos: dict[str, datasets.DatasetInfo] = {}
    for index, (name, manifest) in enumerate(manifests.items()):
        configs[name] = {
            "version": manifest.version,
            "description": manifest.description,
            "data_files": data_files(name, manifest.splits),
            **({"default": True} if index == 0 else {}),
        }
        infos[name] = _info(name, manifest, models[name])
    for pair in pairs(manifests, models):
        shifted = manifests[pair.shifted]
        configs[pair.name] = {
            "version": shifted.version,
            "description": pair_in_words(pair, models[pair.shifted]),
            "data_files": pair.data_files,
        }
        infos[pair.name] = _info_of_pair(pair, manifests, models)
    configs[GROUND_TRUTH] = {"data_files": GROUND_TRUTH_FILES}
    infos[GROUND_TRUTH] = _ground_truth_info(folder, truths)
    data = DatasetCardData(
        license=LICENSE,
        pretty_name=TITLE,
        size_categories=[size_category(sum(manifest.rows for manifest in manifests.values()))],
        task_categories=["feature-extraction", *_tasks(manifests.values())],
        tags=[*TAGS],
    )
    configs.to_dataset_card_data(data)
    DatasetInfosDict(infos).to_dataset_card_data(data)
    for entry in data["dataset_info"]:
        # `datasets` reads these back into `info`, but does not write them.
        info = infos[entry["config_name"]]
        entry |= {"description": info.description, "homepage": HOMEPAGE}
    return front_matter(data.to_dict())


def _tasks(manifests: Iterable[Manifest]) -> list[str]:
    """What the Hub calls work on the views that there are."""
    return sorted({view.stored.task for manifest in manifests for view in manifest.views.values()})


def _info(name: str, manifest: Manifest, model: CausalModel) -> datasets.DatasetInfo:
    return datasets.DatasetInfo(
        config_name=name,
        description=manifest.description,
        version=manifest.version,
        features=features(model, manifest.views, **manifest.stored),
        splits=_splits({split: (entry.rows, entry.bytes) for split, entry in manifest.splits.items()}),
        download_size=sum(entry.bytes for entry in manifest.data),
        dataset_size=sum(entry.bytes for entry in manifest.splits.values()),
    )


def _info_of_pair(pair: Pair, manifests: dict[str, Manifest], models: dict[str, CausalModel]) -> datasets.DatasetInfo:
    shifted, entries = (
        manifests[pair.shifted],
        {split: manifests[config].splits[split] for split, config in pair.splits.items()},
    )
    files = {file for entry in entries.values() for file in entry.files}
    data = [entry for config in {*pair.splits.values()} for entry in manifests[config].data if entry.path in files]
    return datasets.DatasetInfo(
        config_name=pair.name,
        description=pair_in_words(pair, models[pair.shifted]),
        version=shifted.version,
        features=features(models[pair.shifted], shifted.views, **shifted.stored),
        splits=_splits({split: (entry.rows, entry.bytes) for split, entry in entries.items()}),
        download_size=sum(entry.bytes for entry in data),
        dataset_size=sum(entry.bytes for entry in entries.values()),
    )


def _ground_truth_info(folder: DatasetFolder, truths: dict[str, pa.Table]) -> datasets.DatasetInfo:
    rows, size = (sum(sizes) for sizes in zip(*((len(one), one.nbytes) for one in truths.values()), strict=True))
    return datasets.DatasetInfo(
        config_name=GROUND_TRUTH,
        description="Ground truth in nats: one row per configuration and quantity.",
        features=datasets.Features.from_arrow_schema(SCHEMA),
        splits=_splits({"train": (rows, size)}),
        download_size=sum(folder.ground_truth(name).stat().st_size for name in truths),
        dataset_size=size,
    )


def _splits(sizes: dict[str, tuple[int, int]]) -> datasets.SplitDict:
    splits = datasets.SplitDict()
    for name, (rows, size) in sizes.items():
        splits.add(datasets.SplitInfo(name=name, num_bytes=size, num_examples=rows))
    return splits


def size_category(rows: int) -> str:
    """The Hub's label for a number of rows."""
    return next((label for limit, label in _SIZES if rows < limit), "n>10M")
