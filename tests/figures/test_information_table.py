"""The table of information as a heat map: values, zero and infinite cells, scales."""

import numpy as np

from mmmi_hf.causal import CausalModel, common_cause, decaying_modalities, independent
from mmmi_hf.figures import information_table, style


def cells(figure):
    return {
        one.get_gid().removeprefix("cell:"): one
        for one in figure.findobj(lambda one: (one.get_gid() or "").startswith("cell:"))
    }


def numbers(figure):
    table = figure.axes[0]
    return {text.get_position(): text.get_text() for text in table.texts}


def test_every_pair_has_two_cells_with_its_value():
    model = common_cause((1, 4, 4), modalities=3, mi=1.0)
    figure = information_table(model, title="a title")
    names = model.names
    assert len(cells(figure)) == len(names) * (len(names) - 1)
    for (x, y), text in numbers(figure).items():
        assert text == style.nats(model.mutual_information(names[x], names[y]))
    assert [text.get_text() for text in figure.texts] == ["a title"]
    assert "nats" in figure.axes[1].get_ylabel()


def test_colours_are_logarithmic_where_values_differ_much():
    wide = information_table(decaying_modalities((1, 16, 16), modalities=4, alpha=1.2, beta=1.2))
    assert "log" in wide.axes[1].get_ylabel()
    narrow = information_table(common_cause((1, 4, 4), mi=1.0))
    assert "log" not in narrow.axes[1].get_ylabel()


def test_zero_cells_are_white():
    figure = information_table(independent((1, 4, 4)))
    assert set(numbers(figure).values()) == {"0"}
    assert {one.get_facecolor() for one in cells(figure).values()} == {(1.0, 1.0, 1.0, 1.0)}


def test_infinite_cells_are_hatched():
    model = CausalModel([1.0], [[1.0], [1.0], [0.1]], [[1, 0], [1, 0], [0, 1.0]], shape=(1, 4, 4))
    figure = information_table(model)
    hatched = {place for place, one in cells(figure).items() if one.get_hatch()}
    assert hatched == {"0,1", "1,0"}
    assert numbers(figure)[0, 1] == "∞"


def test_a_large_table_has_colours_but_no_numbers():
    model = common_cause((2,), modalities=17, rho_tilde=np.linspace(0.5, 1.0, 17))
    figure = information_table(model)
    assert len(cells(figure)) == 18 * 17
    assert numbers(figure) == {}
