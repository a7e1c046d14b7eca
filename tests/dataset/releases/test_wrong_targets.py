"""Wrong targets in YAML: one line that names file, line and field, exit code 2, and nothing written."""

from __future__ import annotations

import pytest

from mmmi_hf.cli import app, run

CAUSES = """\
causal_model:
  eta: [1.0, 1.0]
  weights: [[0.5, 0.0], [0.0, 0.5]]
  mixing: [[1.0, 0.0], [0.0, 1.0]]
  shape: [1, 4, 4]
  target:
    {}
modalities: [{{pipeline: identity}}, {{pipeline: identity}}]
rows: 40
"""
CATEGORIES = """\
causal_model:
  story: categorical_cause
  shape: [1, 4, 4]
  means: [[0, 1], [1, 0]]
  probabilities: [0.5, {}]
  target: {{category: {{categories: {}}}}}
modalities: [{{pipeline: identity}}, {{pipeline: identity}}]
"""
WRONG = {
    "clases: {quantiles: 3}": (7, "causal_model.target.clases: target is {'clases'"),
    "{classes: {quantiles: 3}, parity: {causes: [0]}}": (6, "expected one kind with its arguments, one of {boolean"),
    "classes": (6, "causal_model.target: target is 'classes'"),
    "": (6, "causal_model.target: is empty"),
    "classes:": (6, "target is {'classes': None}"),
    "classes: {quantiles: 1}": (7, "causal_model.target.classes.quantiles: quantiles is 1"),
    "classes: {quantiles: '10'}": (7, "expected a number of classes, or ascending probabilities"),
    "classes: {quantiles: 1000000000000}": (7, "at most 1000"),
    "classes: {edges: [.nan, 1.0]}": (7, "classes.edges: edges is [nan, 1.0], expected ascending numbers"),
    "classes: {edges: [1.0, 0.0]}": (7, "classes.edges: edges is [1.0, 0.0]"),
    "classes: {edges: [0.0, 60.0]}": (7, "class 2 has probability 0.0e+00"),
    "classes:\n      quantiles: 2\n      noise: [[0.9, 0.2], [0.1, 0.9]]": (
        9,
        "causal_model.target.classes.noise[0]: noise[0] is [0.9, 0.2] with the sum 1.1",
    ),
    "classes: {quantiles: 2, noise: [[.nan, 1], [0, 1]]}": (7, "noise[0] is [nan, 1.0]"),
    "classes: {quantiles: 2, noise: much}": (7, "expected rows of probabilities, one for each class"),
    "classes:\n      quantiles: 2\n      flip: .nan": (9, "causal_model.target.classes.flip: flip is nan"),
    "classes: {quantiles: 2, names: [a, a]}": (7, "classes.names: names is ['a', 'a']"),
    "classes: {quantile: 3}": (7, "unknown fields quantile; known are quantiles, edges, flip, noise, names, such as"),
    "parity: {causes: [0, 7]}": (7, "parity.causes: causes names 7, expected 0 … 1"),
    "parity: {causes: 2}": (7, "parity.causes: causes is 2"),
    "boolean: {causes: [0, 1], table: xor}": (7, "boolean.table: table is 'xor', expected 4 labels"),
    "boolean: {causes: [0, 1], table: [0, 5, 5, 0]}": (7, "boolean.table[1]: table[1] is 5"),
    "several: {coefficients: [1.0, 2.0]}": (7, "a row for each number of y, a column for each cause, such as [[1, 0]"),
    "several: {}": (7, "lacks coefficients, such as several: {coefficients: [[1, 0], [1, 1]]}"),
    "several: {coefficients: [[1.0, 0.0], [0.0, 0.0]]}": (7, "coefficients[1] is all zero"),
    "several: {coefficients: [[.nan, 0.0]]}": (7, "several.coefficients[0][0]: coefficients[0, 0] is nan"),
    "several: {coefficients: [[1.0e+300, 0.0]]}": (7, "entries above 1e+150"),
    "function: {name: cube}": (7, "function.name: name is 'cube', expected a function: uniform"),
    "function: {name: student, dof: 1}": (7, "function.dof: dof is 1.0, expected 2.1 … 1000"),
    "function: {name: sine, frequency: .inf}": (7, "function.frequency: frequency is inf"),
    "category: {categories: 3}": (7, "no categorical cause that y could be made of"),
}


def refused(tmp_path, capsys, text: str) -> str:
    path, out = tmp_path / "mine.yaml", tmp_path / "out"
    path.write_text(text)
    with pytest.raises(SystemExit) as end:
        run(app, ["generate", str(path), "--out", str(out), "--quiet"], "mmmi-hf")
    shown = capsys.readouterr()
    assert (end.value.code, shown.out, len(shown.err.splitlines())) == (2, "", 1), shown.err
    assert not out.exists()
    return shown.err


@pytest.mark.parametrize("target", WRONG)
def test_wrong_targets(tmp_path, capsys, target):
    line, says = WRONG[target]
    found = refused(tmp_path, capsys, CAUSES.format(target))
    assert says in found
    assert f"mine.yaml, line {line}: " in found


@pytest.mark.parametrize(
    ("probability", "categories", "line", "says"),
    [
        ("0.6", 2, 5, "causal_model.probabilities: probabilities must be at least 1e-06 and sum to 1"),
        (".nan", 2, 5, "causal_model.probabilities[1]: probabilities[1] is nan"),
        ("0.5", 5, 6, "causal_model.target.category.categories: categories is 5, but the cause has 2; give 2"),
    ],
)
def test_wrong_categories(tmp_path, capsys, probability, categories, line, says):
    found = refused(tmp_path, capsys, CATEGORIES.format(probability, categories))
    assert f"mine.yaml, line {line}: {says}" in found


def test_what_has_no_exact_information_is_refused_before_anything_is_made(tmp_path, capsys):
    text = CAUSES.format("function: {name: sine}").replace("0.5", "1.0e+5")
    assert "I(x1,x2;y) has no exact value: quadrature over" in refused(tmp_path, capsys, text)


def test_causes_that_nobody_hears_make_a_null(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    path.write_text(CAUSES.format("classes: {quantiles: 3}").replace("0.5", "0.0"))
    with pytest.raises(SystemExit) as end:
        run(app, ["generate", str(path), "--out", str(tmp_path / "out"), "--no-figures", "--quiet"], "mmmi-hf")
    assert end.value.code in (0, None), capsys.readouterr().err
