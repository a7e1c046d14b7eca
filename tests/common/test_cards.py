"""Generated files: written, checked, and what cannot be said."""

import jinja2
import pytest

from mmmi_hf.common.cards import Card, environment, write_or_check


def test_a_card_is_written_drawn_and_checked(tmp_path, capsys):
    picture = tmp_path / "below/picture.png"

    def draw():
        picture.parent.mkdir(exist_ok=True)
        picture.write_bytes(b"")
        return [picture]

    card = Card(tmp_path / "below/README.md", lambda: "one\ntwo\n", (picture,), draw)
    assert write_or_check([card], check=True) == 1
    assert not card.path.exists()
    assert write_or_check([card], check=False, draw=True) == 0
    assert capsys.readouterr().out.endswith(f"{card.path}\n{picture}\n")
    assert write_or_check([card], check=True) == 0
    assert capsys.readouterr().out == ""
    card.path.write_text("one\ntwo")
    assert card.stale_lines() == [f"{card.path} differs in its ends of lines"]
    picture.unlink()
    card.path.write_text("two\n")
    assert card.stale_lines()[-3:] == ["+one", " two", f"{picture} is missing"]


def test_what_cannot_be_said_does_not_stop_the_others(tmp_path, capsys):
    def impossible():
        raise ValueError("no numbers")

    cards = [Card(tmp_path / "a", impossible), Card(tmp_path / "b", lambda: "b\n")]
    assert write_or_check(cards, check=False) == 2
    assert capsys.readouterr() == (f"{tmp_path / 'b'}\n", "no numbers\n")
    assert not (tmp_path / "a").exists()


def test_a_name_that_is_not_given_is_an_error():
    made = environment("mmmi_hf.cli", {"loud": str.upper})
    assert made.from_string("{{ word | loud }}").render(word="a") == "A"
    with pytest.raises(jinja2.UndefinedError):
        made.get_template("builder_script.py.j2").render()
