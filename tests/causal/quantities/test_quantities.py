"""Quantities by name."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from mmmi_hf.causal import CausalModel, InfiniteInformationError, InvalidQueryError, common_cause
from mmmi_hf.causal.quantities import all_kinds, read, reported
from tests.causal.causal_oracles import dense_information


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("I(x1;y)", lambda m: m.mutual_information("x1", "y")),
        (" I( x1 , x2 ; y )", lambda m: m.mutual_information(["x1", "x2"], "y")),
        ("I(x1;x2|y)", lambda m: m.mutual_information("x1", "x2", given="y")),
        ("TC(x1,x2)", lambda m: m.total_correlation(["x1", "x2"])),
        ("DTC(x1,x2,y)", lambda m: m.dual_total_correlation(["x1", "x2", "y"])),
        ("II(x1;x2;y)", lambda m: m.interaction_information("x1", "x2", "y")),
        ("O(x1,x2,y)", lambda m: m.o_information(["x1", "x2", "y"])),
        ("redundant(x1, x2 ;y)", lambda m: m.partial_information_decomposition("x1", "x2").redundant),
        ("synergistic(x2,x1;y)", lambda m: m.partial_information_decomposition("x2", "x1").synergistic),
        ("unique(x1;y) without x2", lambda m: m.partial_information_decomposition("x1", "x2").unique_a),
    ],
)
def test_values_by_name(name, value):
    model = common_cause((2, 2), mi=1.0)
    quantity = read(name)
    assert quantity.of(model) == value(model)
    assert str(quantity).replace(" ", "") == name.replace(" ", "")
    assert read(str(quantity)) == quantity


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("H(x1)", "is not a quantity"),
        ("I(x1)", "I takes 2 argument"),
        ("TC(x1|y)", "only I takes a condition"),
        ("I(x1;x9)", "x9"),
        ("I(x1;x1)", "x1"),
        ("I(;y)", "block"),
        ("I(x1;y|)", "lacks a block"),
        ("I(x1,,x2;y)", "lacks a block"),
        ("TC(x1,x2|)", "only I takes a condition"),
        ("redundant(x1;y)", r"has 1 block\(s\) before ';', expected two"),
        ("redundant(x1,x2;x3)", "has x3 after ';', expected y"),
        ("unique(x1;x3) without x2", "has x3 after ';', expected y"),
        ("unique(x1;y)", "write e.g. unique"),
        ("unique(x1;y) without ", "lacks a block"),
        ("I(x1;y) without x2", "is not a quantity"),
        ("synergistic(x1,x2;y|x3)", "only I takes a condition"),
    ],
)
def test_names_that_are_wrong(name, says):
    with pytest.raises(InvalidQueryError, match=says):
        read(name).of(common_cause((2, 2), mi=1.0))


def test_an_infinite_quantity_is_an_error():
    model = CausalModel([1.0], [[1.0], [0.5]], np.ones((2, 1)), shape=(4,))
    with pytest.raises(InfiniteInformationError):
        read("I(x1;x2)").of(model)


def test_the_ground_truth_lists_every_kind_in_a_fixed_order():
    """The names and their order are part of published tables."""
    names = [str(quantity) for quantity in reported(common_cause((2, 2), modalities=3))]
    pairs = [("x1", "x2"), ("x1", "x3"), ("x2", "x3")]
    expected = [*(f"I(x{i};y)" for i in (1, 2, 3)), "I(x1,x2,x3;y)"]
    expected += [f"I({a};{b})" for a, b in pairs] + [f"I({a};{b}|y)" for a, b in pairs]
    expected += [f"{word}(x1,x2,x3,y)" for word in ("TC", "DTC", "O")] + [f"II({a};{b};y)" for a, b in pairs]
    for a, b in pairs:
        expected += [f"redundant({a},{b};y)", f"unique({a};y) without {b}", f"unique({b};y) without {a}"]
        expected.append(f"synergistic({a},{b};y)")
    assert names == expected
    plain = common_cause((2, 2))
    others = [plain.with_target({"classes": {"quantiles": 2}}), plain.with_target({"function": {"name": "square"}})]
    shifted = plain.with_shift(0, 2.0)
    divergences = ["KL(x1)", "KL(x2)", "KL(x1,x2)"]
    assert [str(quantity) for quantity in reported(shifted)] == [*map(str, reported(plain)), *divergences]
    others.append(shifted)
    assert {quantity.kind for model in (plain, *others) for quantity in reported(model)} == set(all_kinds())


@pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.example)
def test_every_kind_reads_its_example_and_what_it_reports(kind):
    plain = common_cause((2, 2), mi=1.0)
    classes = plain.with_target({"classes": {"quantiles": 2}})
    models = {"KL": plain.with_shift(0, 2.0), **dict.fromkeys(("bayes_accuracy", "bayes_log_loss"), classes)}
    model = models.get(kind.word, plain)
    assert read(kind.example).kind is kind
    assert np.isfinite(read(kind.example).of(model))
    for _, quantity in kind.reported(model):
        assert read(str(quantity)) == quantity
    assert kind.meaning
    assert "\n" not in kind.meaning


def test_parts_add_up_by_entropies_of_the_dense_covariance():
    model = CausalModel([1.0, 0.5], [[1.0, 0.2], [0.3, 1.0]], [[1.0, 0.4], [0.0, 1.0]], shape=(3,))
    both, one = dense_information(model, ["x1", "x2"], "y"), dense_information(model, "x1", "y")
    parts = [read(f"{word}(x1,x2;y)").of(model) for word in ("redundant", "synergistic")]
    alone = [read(f"unique({a};y) without {b}").of(model) for a, b in (("x1", "x2"), ("x2", "x1"))]
    assert sum(parts) + sum(alone) == pytest.approx(both, rel=1e-12)
    assert parts[0] + alone[0] == pytest.approx(one, rel=1e-12)
    assert min(alone) == 0.0


def test_a_new_kind_is_one_new_file(tmp_path, monkeypatch):
    (tmp_path / "entropy_power.py").write_text(
        "from mmmi_hf.causal.quantities.quantity import Kind\n"
        "class Twice(Kind):\n"
        "    word, arguments, example, meaning = 'Twice', 2, 'Twice(x1;y)', 'twice the information'\n"
        "    def value(self, model, quantity): return 2.0 * model.mutual_information(*quantity.blocks)\n"
        "    def reported(self, model): yield (99,), self.of(('x1',), ('y',))\n"
        "KIND = Twice()\n"
    )
    folder = import_module("mmmi_hf.causal.quantities.kinds")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    all_kinds.cache_clear()
    try:
        model = common_cause((2, 2), mi=1.0)
        assert read("Twice(x2;y)").of(model) == pytest.approx(2.0)
        assert str(reported(model)[-1]) == "Twice(x1;y)"
    finally:
        all_kinds.cache_clear()
