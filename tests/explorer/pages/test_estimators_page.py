"""The panel Estimators in a browser: every control, and a visitor's own results."""

import json

import pytest

from mmmi_hf.explorer.estimators.answers import SORTS, groups
from mmmi_hf.explorer.estimators.committed import COLUMNS, committed

pytestmark = pytest.mark.browser
SLOW = 120_000


def first_column(visitor):
    return visitor.at("estimators-table").locator("tbody tr td:first-child").all_text_contents()


def test_every_control(visit):
    visitor = visit("Estimators")
    visitor.at("estimators-pictures").locator("img").first.wait_for(timeout=SLOW)
    for sort in SORTS:
        visitor.choose("estimators-sort", sort)
        visitor.wait_for("estimators-table", f"Estimators, by {sort}, smallest first")
    visitor.choose("estimators-sort", "estimator")
    visitor.wait_for("estimators-table", "by estimator")
    names = first_column(visitor)
    assert names == sorted(names)
    visitor.pick("estimators-direction", "largest first")
    visitor.wait_for("estimators-table", "largest first")
    assert first_column(visitor) == names[::-1]
    for name in list(committed())[1:]:
        before = visitor.picture("estimators-pictures")
        visitor.pick("estimators-benchmark", name)
        visitor.page.wait_for_function(
            "before => document.querySelector('#estimators-pictures img').src !== before", arg=before, timeout=SLOW
        )
    several = next(name for name, each in committed().items() if len(groups(each.rows)) > 1)
    visitor.pick("estimators-benchmark", several)
    visitor.settled()
    kind = list(groups(committed()[several].rows))[1]
    before = visitor.picture("estimators-pictures")
    visitor.choose("estimators-data", kind)
    visitor.page.wait_for_function(
        "before => document.querySelector('#estimators-pictures img').src !== before", arg=before, timeout=SLOW
    )
    assert visitor.problem("estimators-problem") == ""


def test_results_of_ones_own_stand_beside_them_and_leave_no_file(visit, tmp_path):
    rows = [row for row in next(iter(committed().values())).rows if row["estimator"] == "dv"]
    mine = [dict(row, estimator="mine") for row in rows]
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{name: row[name] for name in COLUMNS} for row in mine]))
    visitor = visit("Estimators")
    visitor.at("estimators-pictures").locator("img").first.wait_for(timeout=SLOW)
    visitor.page.set_input_files("#estimators-upload, input[type=file]", str(path))
    visitor.wait_for("estimators-table", "mine (yours)", SLOW)
    assert visitor.served.temporary_files() == []
    visitor.press("estimators-forget")
    visitor.page.wait_for_function(
        "() => !document.querySelector('#estimators-table').textContent.includes('yours')", timeout=SLOW
    )


def test_a_wrong_file_is_said_and_removed(visit, tmp_path):
    visitor = visit("Estimators")
    for name, content, said in [
        ("empty.json", b"[]", "the file has no cells"),
        ("broken.json", b"{]", "the file is no JSON"),
        ("broken.parquet", b"PAR1", "the file is no Parquet"),
        ("other.json", b'[{"config": "a"}]', "cell 0 lacks series"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        visitor.page.set_input_files("#estimators-upload, input[type=file]", str(path))
        visitor.wait_for("estimators-problem", said, SLOW)
        assert visitor.served.temporary_files() == []
