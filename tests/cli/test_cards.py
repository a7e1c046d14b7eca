"""The command that writes or checks everything that is generated."""

import re
import shutil

import pytest
import yaml

from mmmi_hf.cli.cards import BEGIN, all_cards, builder_script, card_of, main, readme, recipes
from mmmi_hf.common.cards import write_or_check
from mmmi_hf.common.places import is_repository
from mmmi_hf.dataset.releases.registry import get_family, list_families
from mmmi_hf.flow.bundled import RELEASED
from tests.support import ROOT


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """What the program reads besides the package, and no cards but the families'."""
    for name in ("README.md", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "model_cards").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_generated_file_of_the_repository_is_known():
    there = set((ROOT / "builder_scripts").glob("*.py")) | set((ROOT / "model_cards").glob("*/README.md"))
    there |= set((ROOT / "mmmi_hf" / "flow" / "recipes").rglob("*.yaml"))
    there |= {ROOT / "README.md", ROOT / "mmmi_hf" / "explorer" / "estimators" / "committed.json"}
    assert {card.path for card in all_cards(ROOT)} == there


def test_the_packaged_recipes_are_those_of_the_pipelines():
    packaged = list(recipes(ROOT))
    assert [card.stale_lines() for card in packaged] == [[]] * len(packaged)
    names = {f"{card.path.parent.name}/{card.path.stem}" for card in packaged}
    assert {"training/cifar10", "training/fashion-mnist", "distillation/fashion-mnist-2"} <= names
    assert {"classifier/cifar10", "classifier/cifar10-cas"} <= names
    assert not any(name.endswith("-1") for name in names)


def test_the_packaged_recipes_need_nothing_of_the_makers_machine():
    for card in recipes(ROOT):
        fields = yaml.safe_load(card.path.read_text())
        for name in ("teacher", "guide", "initial_pipeline"):
            given = fields.get(name)
            assert given is None or given in RELEASED or (is_repository(given) and given[:5] != "runs/"), card.path


def test_a_recipe_that_goes_on_from_a_folder_is_not_packaged(tmp_path):
    legs = {
        "two/distillation-1": "teacher: cifar10",
        "two/distillation-2": "initial_pipeline: runs/1/pipeline",
        "two/distillation": "initial_pipeline: runs/2/pipeline",
        "none/distillation": "initial_pipeline: runs/1/pipeline",
        "whole/distillation-1": "teacher: cifar10",
        "whole/distillation": "initial_pipeline: fashion-mnist",
        "hub/recipe": "initial_pipeline: owner/name",
        "led/distillation": "{teacher: cifar10, guide: runs/guide/pipeline}",
        "led/teacher/recipe-1": "seed: 1",
        "led/teacher/recipe": "initial_pipeline: runs/1/pipeline",
    }
    for name, text in legs.items():
        path = tmp_path / "model_cards" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    packaged = {f"{card.path.parent.name}/{card.path.stem}": card.render() for card in recipes(tmp_path)}
    assert packaged == {
        "distillation/two": "teacher: cifar10",
        "distillation/whole": "initial_pipeline: fashion-mnist",
        "training/hub": "initial_pipeline: owner/name",
        "training/led": "seed: 1",
    }


@pytest.mark.parametrize("name", list_families())
def test_the_committed_builder_scripts_are_up_to_date(name):
    assert builder_script(ROOT, name).stale_lines() == []


def test_the_readme_has_a_row_for_every_family(repository, capsys):
    text = (repository / "README.md").read_text()
    assert readme(repository) == text
    for name in list_families():
        family = get_family(name)
        row = rf"\n\| `{name}` \| {len(family.configurations)} \| (yes)? \| {re.escape(family.summary)} \|\n"
        assert bool(re.search(row, text)) is not (name.endswith("-cifar10") and name[:-8] in list_families())
    *_, card = all_cards(repository)
    (repository / "README.md").write_text(text.replace("the null: every", "the null: not every"))
    assert write_or_check([card], check=True) == 1
    assert "+| `independent` | 1 | yes | the null: every information is zero |" in capsys.readouterr().out
    (repository / "README.md").write_text(text.replace(BEGIN, ""))
    assert write_or_check([card], check=True) == 2
    assert "must have the lines" in capsys.readouterr().err


def test_a_new_repository_gets_everything(repository):
    assert main([]) == 0
    *_, card = all_cards(repository)
    assert card.stale_lines() == []
    written = {path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()}
    for name in list_families():
        assert {f"model_cards/{name}/README.md", f"builder_scripts/{name.replace('-', '_')}.py"} <= written


def test_folders_without_a_card_are_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(ValueError, match="is the folder of no card"):
        card_of(tmp_path)
    assert main([str(tmp_path)]) == 2
    monkeypatch.chdir(tmp_path)
    assert main([]) == 2
    assert "model_cards" in capsys.readouterr().err
