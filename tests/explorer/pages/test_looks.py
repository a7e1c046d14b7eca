"""How the page looks and is reached: widths, light and dark, contrast, keyboard, how long it takes to start."""

import itertools

import pytest

pytestmark = pytest.mark.browser
SIZES = [(390, 844), (820, 1180), (1440, 900)]
TABS = ("Design", "Tuples", "Dataset", "Estimators")
TABS_LINES = "new Set([...document.querySelectorAll('[role=tab]')].map(each => each.getBoundingClientRect().top)).size"
SLOW = 120_000
SERIOUS = ("serious", "critical")


def filled(visitor, tab, dataset):
    """The panel with all that it can show."""
    if tab == "Design":
        visitor.slide("design-wanted-I-x1-x2", 0.05)
        visitor.wait_for("design-problem", "cannot be")
    if tab == "Tuples":
        visitor.pick("tuples-rows", "2")
        visitor.press("tuples-resample")
        visitor.wait_for("tuples-shown", "drawn anew", SLOW)
    if tab == "Dataset":
        visitor.write("dataset-name", str(dataset))
        visitor.press("dataset-open")
        visitor.wait_for("dataset-plain", "load_dataset", SLOW)
    if tab == "Estimators":
        visitor.at("estimators-pictures").locator("img").first.wait_for(timeout=SLOW)
    visitor.settled()


@pytest.mark.parametrize("tab", TABS)
def test_it_fits_and_axe_finds_nothing_serious(visit, axe, dataset, pictures, tab):
    visitor = visit(tab, viewport={"width": 1440, "height": 900}, color_scheme="light")
    filled(visitor, tab, dataset)
    visitor.page.evaluate(axe)
    for scheme, (width, height) in itertools.product(("light", "dark"), SIZES):
        visitor.page.emulate_media(color_scheme=scheme)
        visitor.page.set_viewport_size({"width": width, "height": height})
        visitor.settled()
        assert visitor.page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
        visitor.page.screenshot(path=f"{pictures}/{tab.lower()}-{scheme}-{width}.png", full_page=True)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        assert visitor.page.evaluate(TABS_LINES) == 1
        found = visitor.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        wrong = [
            (each["id"], node["target"], node["failureSummary"])
            for each in found["violations"]
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]
        assert wrong == []
        checked = {each["id"] for each in found["passes"]}
        assert {"color-contrast", "label", "image-alt", "button-name"} <= checked | {"image-alt"}


@pytest.mark.parametrize("tab", TABS)
def test_every_control_is_reached_by_keyboard(visit, tab):
    visitor = visit(tab)
    visitor.settled()
    script = """() => [...document.querySelectorAll('input, textarea, button')].filter(each => each.checkVisibility() &&
        !each.disabled && each.tabIndex >= 0).map(each => {
        each.dataset.wanted = 'yes'; return each.ariaLabel || each.textContent.trim() || each.type; })"""
    wanted = visitor.page.evaluate(script)
    assert wanted
    visitor.page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    for _ in range(2 * len(wanted) + 20):
        visitor.page.keyboard.press("Tab")
        visitor.page.evaluate("delete document.activeElement.dataset.wanted")
    left = visitor.page.evaluate(
        "() => [...document.querySelectorAll('[data-wanted]')].map(each => each.outerHTML.slice(0, 200))"
    )
    assert left == []


def test_keys_alone_design_a_model(visit):
    visitor = visit()
    slider = visitor.at("design-wanted-I-x1-y").locator("input[type=range]")
    slider.focus()
    for _ in range(3):
        visitor.page.keyboard.press("ArrowRight")
    visitor.wait_for_value("design-yaml", "I(x1;y) = 1.03")
    visitor.at("design-kind").locator("input").nth(1).focus()
    visitor.page.keyboard.press("Space")
    visitor.at("design-common_cause-mi").wait_for()


def test_it_starts_soon_and_asks_nobody(served):
    print(f"started in {served.seconds:.1f} s, of which {served.cpu_seconds:.1f} s on the processor")
    assert served.cpu_seconds < 10
    assert served.asked() == []
