"""The panel Tuples in a browser: rows, other information, a cause drawn anew, a round trip, and wrong input."""

import pytest

pytestmark = pytest.mark.browser
SLOW = 120_000


def test_rows_of_the_design_and_what_can_be_done_with_them(visit):
    visitor = visit()
    visitor.slide("design-wanted-I-x1-y", 0.75)
    visitor.wait_for_value("design-yaml", "I(x1;y) = 0.75")
    visitor.page.get_by_role("tab", name="Tuples").click()
    visitor.pick("tuples-rows", "2")
    visitor.press("tuples-make")
    visitor.wait_for("tuples-shown", "pointwise information i", SLOW)
    first = visitor.picture("tuples-shown")
    assert visitor.at("tuples-shown").locator("tbody tr").count() == 2
    visitor.press("tuples-compare")
    visitor.wait_for("tuples-shown", "the design became common-cause-2.5", SLOW)
    assert visitor.at("tuples-shown").locator("img").count() == 3
    assert visitor.picture("tuples-shown") == first  # the same rows as before, from memory
    visitor.choose("tuples-cause", "ũ2")
    visitor.press("tuples-resample")
    visitor.wait_for("tuples-shown", "ũ2 is that of seed 1", SLOW)
    assert "y: " in visitor.text("tuples-shown")
    visitor.choose("tuples-modality", "x2")
    visitor.press("tuples-invert")
    visitor.wait_for("tuples-shown", "x2 of row 0 inverted", SLOW)
    said = visitor.text("tuples-shown")
    error = float(said.partition("relative error of ")[2].partition(".x2")[0])
    print(f"round trip: relative error {error:.1e}")
    assert error < 1e-4
    assert visitor.problem("tuples-problem") == ""


def test_classes_a_series_and_other_rows(visit):
    visitor = visit("Tuples")
    visitor.pick("tuples-rows", "1")
    visitor.write("tuples-first", "31")
    visitor.choose("tuples-data", "image-and-time-series")
    visitor.press("tuples-make")
    visitor.wait_for("tuples-shown", "image-and-time-series", SLOW)
    assert visitor.at("tuples-shown").locator("tbody td:first-child").all_text_contents() == ["31"]
    visitor.choose("tuples-data", "parity-2-1.0")
    visitor.write("tuples-seed", "12")
    visitor.at("tuples-seed").locator("input, textarea").press("Enter")
    visitor.wait_for("tuples-shown", "parity-2-1.0", SLOW)
    assert "0: " in visitor.text("tuples-shown")  # probabilities of the classes


@pytest.mark.parametrize(
    ("place", "given", "button", "said"),
    [
        ("tuples-seed", "-1", "tuples-make", "seed is '-1'; give a whole number"),
        ("tuples-seed", "", "tuples-make", "seed is empty; give"),
        ("tuples-seed", "9" * 400, "tuples-make", "give a whole number"),
        ("tuples-first", "1.5", "tuples-compare", "first row is '1.5'"),
        ("tuples-cause-seed", "<img src=x onerror=alert(1)>", "tuples-resample", "seed of that cause is '<img"),
    ],
)
def test_a_wrong_field_is_said(visit, place, given, button, said):
    visitor = visit("Tuples")
    visitor.write(place, given)
    visitor.press(button)
    visitor.wait_for("tuples-problem", said)
    assert "Traceback" not in visitor.page.content()
    assert not visitor.page.locator(".toast-body").is_visible()


def test_what_does_not_fit_together_is_said(visit):
    visitor = visit("Tuples")
    visitor.pick("tuples-rows", "1")
    visitor.choose("tuples-other", "missing-modality")
    visitor.press("tuples-compare")
    visitor.wait_for("tuples-problem", "has other modalities than the design", SLOW)


def test_what_can_be_chosen_follows_the_data(visit):
    visitor = visit("Tuples")
    assert (visitor.offered("tuples-cause"), visitor.offered("tuples-modality")) == (["ũ1", "ũ2"], ["x1", "x2"])
    visitor.choose("tuples-modality", "x2")
    visitor.choose("tuples-data", "missing-modality")
    visitor.settled()
    assert (visitor.offered("tuples-cause"), visitor.offered("tuples-modality")) == (["ũ1"], ["x1", "x2", "x3"])
    assert visitor.value("tuples-modality") == "x2"
    visitor.page.get_by_role("tab", name="Design").click()
    visitor.pick("design-kind", "One common cause")
    visitor.slide("design-common_cause-modalities", 5)
    visitor.wait_for_value("design-yaml", "modalities = 5")
    visitor.page.get_by_role("tab", name="Tuples").click()
    visitor.choose("tuples-data", "the design")
    visitor.settled()
    assert visitor.offered("tuples-modality") == ["x1", "x2", "x3", "x4", "x5"]


def test_on_a_phone_what_was_made_is_brought_into_view(visit):
    visitor = visit("Tuples", viewport={"width": 390, "height": 844})
    visitor.pick("tuples-rows", "1")
    visitor.press("tuples-make")
    visitor.wait_for("tuples-shown", "pointwise information i", SLOW)
    visitor.settled()
    assert 0 <= visitor.at("tuples-shown").locator("img").bounding_box()["y"] < 600
    visitor.write("tuples-seed", "-1")
    visitor.press("tuples-make")
    visitor.wait_for("tuples-problem", "seed is '-1'")
    visitor.settled()
    assert 0 <= visitor.at("tuples-problem").bounding_box()["y"] < 844


def test_a_reload_while_rows_are_made_and_another_visitor(visit):
    one, other = visit("Tuples"), visit("Tuples")
    one.write("tuples-seed", "77")
    one.press("tuples-make")
    one.page.wait_for_timeout(200)
    one.reload()
    other.write("tuples-seed", "78")
    other.press("tuples-make")
    other.wait_for("tuples-shown", "pointwise information i", SLOW)
    one.page.get_by_role("tab", name="Tuples").click()
    one.press("tuples-make")
    one.wait_for("tuples-shown", "pointwise information i", SLOW)
    assert one.picture("tuples-shown") != other.picture("tuples-shown")
