"""Cards of the released families: rendered from configurations, checked, and the paper's tables in them."""

import math
import re

import pytest
from huggingface_hub import DatasetCard

from mmmi_hf.cli.cards import main
from mmmi_hf.dataset.cards import family_card as family_cards
from mmmi_hf.dataset.cards.family_card import card_of, family_card
from mmmi_hf.dataset.releases.registry import get_configuration, get_family, list_families
from mmmi_hf.dataset.releases.yaml_source import ConfigurationError
from mmmi_hf.figures import decay_series
from tests.support import ROOT

CARDS = ROOT / "model_cards"

# Section "Reference values" of the project's notes: from dense float64 log-determinants at d = 3072.
TABLE_2 = {"I(x1;y)": 2.7716010614265, "I(x2;y)": 3.3260202488092, "I(x1;x2)": 2.6295191323451}
FIGURE_6 = {
    (1.2, 1.2): {("x1", "y"): 3.4359638596575, ("x10", "y"): 1.8081755769088}
    | {("x1", "x2"): 5731.3677716364, ("x1", "x10"): 710.69607838376},
    (1.6, 1.6): {("x1", "x2"): 2613.2984035249},
}


def cells(text, heading):
    """The rows of the first table below a heading, by their first cell."""
    lines = text[text.index(heading) :].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


@pytest.mark.parametrize("name", list_families())
def test_a_card_says_what_the_configurations_say(name):
    text = family_card(name)
    family = get_family(name)
    assert DatasetCard(text).data.license == "apache-2.0"
    table = cells(text, "## Information")
    for one in family.configurations:
        model = get_configuration(one).model
        assert table[f"`{one}`"]["I(x1;y)"] == f"{model.mutual_information('x1', 'y'):.4f}"
        assert f"- **`{one}`**: {get_configuration(one).description}" in text
        assert f"| {get_configuration(one).seed} |" in text
    assert "\n\n\n" not in text
    assert "latent" in text
    for one in re.findall(r"(?:^\|.*\|$\n)+", text, re.MULTILINE):
        assert len({line.count("|") for line in one.splitlines()}) == 1, one


@pytest.mark.parametrize("name", list_families())
def test_the_committed_cards_are_up_to_date(name):
    assert card_of(CARDS, name).stale_lines() == []
    assert all(path.stat().st_size < 300_000 for path in (CARDS / name).iterdir())


@pytest.mark.parametrize("images", ["", "-cifar10"])
def test_table_2_of_the_paper(images):
    table = cells(family_card(f"two-telescopes{images}"), "## The paper's Table 2")
    for place in ("concentrated", "diffuse"):
        mass = get_configuration(f"two-telescopes-mass-{place}{images}").model
        atmosphere = get_configuration(f"two-telescopes-atmosphere-{place}{images}").model
        for name, value in TABLE_2.items():
            pair = name[2:-1].split(";")
            assert mass.mutual_information(*pair) == pytest.approx(value, abs=1e-9)
            assert table[f"mass, {place} templates"][name] == f"{value:.4f}"
            other = 0.0 if name == "I(x2;y)" else value
            assert atmosphere.mutual_information(*pair) == pytest.approx(other, abs=1e-9)
    printed = table["mass, as printed in the paper"], table["atmosphere, as printed in the paper"]
    for name in ("I(x1;y)", "I(x1;x2)"):
        assert {row[name] for row in printed} == {f"{TABLE_2[name]:.2f}"}
    swapped = [float(row["I(x2;y)"]) for row in printed]
    assert swapped == [0.0, round(TABLE_2["I(x2;y)"] + 0.004, 2)], "the erratum: the rows of this column are swapped"


def test_series_of_figure_6():
    text = family_card("decaying-modalities")
    about, pairs = (
        cells(text, f"## {heading} against i, with the paper's images (3×32×32)") for heading in ("I(xi;y)", "I(x1;xi)")
    )
    for release in get_family("decaying-modalities").releases:
        spec = get_configuration(release.name).causal_model
        model = release.configuration("fashion-mnist", (3, 32, 32)).model
        for pair, value in FIGURE_6.get((spec["alpha"], spec["beta"]), {}).items():
            assert model.mutual_information(*pair) == pytest.approx(value, rel=1e-12)
        row = f"`{release.name.removeprefix('decaying-modalities-')}`"
        about_target, with_first = decay_series(model)
        assert list(about[row].values()) == [f"{value:.3f}" for value in about_target]
        assert [float(value.replace(",", "")) for value in pairs[row].values()] == pytest.approx(with_first, abs=0.051)
        assert about_target == sorted(about_target, reverse=True)
    colour = family_card("decaying-modalities-cifar10")
    assert cells(colour, "## I(xi;y) against i, as released, the paper's shape (3×32×32)") == {
        row.replace("`", "-cifar10`").replace("-cifar10`", "`", 1): values for row, values in about.items()
    }


@pytest.fixture
def without_networks(monkeypatch):
    """Rows of the tuples through the identity, which is quick."""
    real = family_cards.get_configuration
    monkeypatch.setattr(family_cards, "get_configuration", lambda name: real(name, pipeline="identity"))


def test_writing_and_checking(without_networks, tmp_path, capsys):
    root = tmp_path / "model_cards"
    folder = str(root / "independent")
    assert main([folder, "--check"]) == 1, "there is no card yet"
    assert main([folder, "--pictures"]) == 0
    there = sorted(path.name for path in (root / "independent").iterdir())
    assert there == ["README.md", "causal_graph.png", "information.png", "templates.png", "tuples.png"]
    assert main([folder, "--check"]) == 0
    card = root / "independent" / "README.md"
    card.write_text(card.read_text().replace("0.0000", "0.1000"))
    (root / "independent" / "tuples.png").unlink()
    capsys.readouterr()
    assert main([folder, "--check"]) == 1
    shown = capsys.readouterr().out
    assert "-| `independent` | 0.1000" in shown
    assert "tuples.png is missing" in shown
    assert "0.1000" in card.read_text(), "checking writes nothing"
    assert main([folder]) == 0
    assert capsys.readouterr().out == f"{card}\n", "no picture is drawn"
    assert "0.1000" not in card.read_text()
    assert "builder_scripts/independent.py --help" in card.read_text()


def test_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="unknown family 'common-caus'"):
        card_of(tmp_path, "common-caus")


@pytest.mark.parametrize("images", ["", "-cifar10"])
def test_the_card_of_shifts_says_how_large_they_are(images):
    """By a route of its own: with e^(-2 I(x_S;y)) unheard, the variance along the template is λ times the observed."""
    table = cells(family_card(f"shifted{images}"), "## Information")
    observed = get_configuration(f"shifted-observed{images}").model
    for scale in (0.5, 1.5, 2.0):
        for names in (["x1"], ["x1", "x2"]):
            unheard = math.exp(-2.0 * observed.mutual_information(names, "y"))
            ratio = unheard + scale**2 * (1.0 - unheard)
            said = table[f"`shifted-{scale}{images}`"][f"KL({','.join(names)})"]
            assert float(said) == pytest.approx(0.5 * (ratio - 1.0 - math.log(ratio)), abs=5.1e-5)
    assert table[f"`shifted-observed{images}`"]["KL(x1,x2)"] == "–"
