"""One card from two: what a repository's README.md says, and what a release says of its own configurations.

Owns the rule that nothing of others is dropped: configurations that are not being published keep their entries to the
letter, unknown fields and text outside the generated part stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from huggingface_hub.repocard import REGEX_YAML_BLOCK

from mmmi_hf.common.yaml_files import YamlError, front_matter, parse
from mmmi_hf.dataset.cards.dataset_card import BEGIN, END, size_category
from mmmi_hf.dataset.format.configurations import Pair
from mmmi_hf.dataset.format.folder import GROUND_TRUTH
from mmmi_hf.hub.client.errors import HubRequestError

Fields = dict[str, Any]


def merge_cards(existing: str, rendered: str, published: Collection[str]) -> str:
    """The repository's new card.

    Args:
        existing: README.md at the head; empty if there is none.
        rendered: the card of all configurations of ours in the repository after the release.
        published: the configurations of this release; their entries are those of `rendered`, except that `default`
            stays as the repository has it.

    Raises:
        HubRequestError: the existing card's YAML cannot be read.
    """
    theirs, their_text = split_card(existing)
    ours, our_text = split_card(rendered)
    if not theirs and not their_text.strip():
        return rendered
    merged = theirs | {field: value for field, value in ours.items() if field not in theirs}
    for field in {"tags", "task_categories"} & set(merged):
        merged[field] = _union(theirs.get(field), ours.get(field))
    entries, ours_by_name = _entries(theirs.get("configs")), _entries(ours.get("configs"))
    paired, stale = set(_pairs(ours_by_name)), _stale_pairs(entries, ours_by_name)
    replaced = {*published, GROUND_TRUTH, *paired}
    merged["configs"] = _configs(_without(entries, stale), ours_by_name, replaced)
    infos = _without(_entries(theirs.get("dataset_info")), stale)
    ours_by_name = _entries(ours.get("dataset_info"))
    merged["dataset_info"] = list(_merged(infos, ours_by_name, replaced).values())
    merged["size_categories"] = [size_category(_rows(merged["dataset_info"], {GROUND_TRUTH, *paired}))]
    return front_matter(merged) + _merged_text(their_text, our_text)


def with_section(card: str, name: str, text: str) -> str:
    """A card of `merge_cards` with a section of its own above the generated part, in the place of an earlier one."""
    begin = f"<!-- mmmi_hf: {name}; changes are lost when it is published again -->"
    end = f"<!-- mmmi_hf: end of {name} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    before, _, rest = card.partition(begin)
    if end in rest:
        return before + section + rest.partition(end)[2]
    before, _, generated = card.partition(BEGIN)
    return f"{before}{section}\n\n{BEGIN}{generated}"


def split_card(text: str) -> tuple[Fields, str]:
    """The YAML fields of a card, and the text below them."""
    match = REGEX_YAML_BLOCK.search(text)
    if match is None:
        return {}, text.lstrip("\n")
    try:
        fields = parse(match.group(2)).data
    except YamlError as error:
        raise HubRequestError(
            f"the repository's README.md has YAML that cannot be read ({' '.join(str(error).split())}); correct it"
        ) from error
    if not isinstance(fields, dict | type(None)):
        raise HubRequestError("the repository's README.md has YAML that is no mapping; correct it")
    return fields or {}, text[match.end() :].lstrip("\n")


def configurations_of(text: str) -> dict[str, Fields]:
    """The entries under `configs` of a card, by name."""
    return _entries(split_card(text)[0].get("configs"))


def _entries(listed: Any) -> dict[str, Fields]:
    """Entries by config_name; a single entry without a list is one of the configuration `default`."""
    if not listed:
        return {}
    entries = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise HubRequestError(
            f"the repository's README.md has `configs` or `dataset_info` that is no list of mappings: {listed!r:.60}; "
            "correct it"
        )
    return {str(entry.get("config_name", "default")): dict(entry) for entry in entries}


def _merged(theirs: dict[str, Fields], ours: dict[str, Fields], replaced: Collection[str]) -> dict[str, Fields]:
    """Their entries, with those replaced by ours that are being published; entries that only we have are added."""
    return {
        name: ours[name] if name in ours and (name in replaced or name not in theirs) else theirs[name]
        for name in {**theirs, **ours}
    }


def _configs(theirs: dict[str, Fields], ours: dict[str, Fields], replaced: Collection[str]) -> list[Fields]:
    merged = _merged(theirs, ours, replaced)
    if theirs:  # which configuration is loaded when none is named is the repository's to say
        chosen = [name for name, entry in theirs.items() if entry.get("default")]
        merged = {
            name: {key: value for key, value in entry.items() if key != "default"}
            | ({"default": True} if name in chosen else {})
            for name, entry in merged.items()
        }
    return list(merged.values())


def _union(*listed: Any) -> list[Any]:
    flat = [value for values in listed if values for value in ([values] if isinstance(values, str) else values)]
    return list(dict.fromkeys(flat))


def _pairs(entries: dict[str, Fields]) -> dict[str, Pair]:
    """The entries that have no rows of their own, by name."""
    found = {name: Pair.of_entry(name, entry.get("data_files")) for name, entry in entries.items()}
    return {name: pair for name, pair in found.items() if pair is not None}


def _stale_pairs(theirs: dict[str, Fields], ours: dict[str, Fields]) -> set[str]:
    """Pairs that no longer are any: one of the two is of ours, and was released anew with other maps or another law."""
    return {
        name
        for name, pair in _pairs(theirs).items()
        if name not in ours and (pair.observed in ours or pair.shifted in ours)
    }


def _without(entries: dict[str, Fields], names: Collection[str]) -> dict[str, Fields]:
    return {name: entry for name, entry in entries.items() if name not in names}


def _rows(infos: list[Fields], without: Collection[str]) -> int:
    return sum(
        int(split.get("num_examples") or 0)
        for info in infos
        if info.get("config_name") not in without
        for split in info.get("splits") or []
    )


def _merged_text(theirs: str, ours: str) -> str:
    """Our text between its markers, in the place of an earlier one, or below what else is there."""
    if not theirs.strip():
        return ours
    if BEGIN in theirs and END in theirs:
        before, _, rest = theirs.partition(BEGIN)
        after = rest.partition(END)[2]
        return before + ours.strip() + after
    return f"{theirs.rstrip()}\n\n{ours}"
