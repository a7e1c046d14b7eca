"""One visitor: what they do on the page, and everything that goes wrong in their browser meanwhile."""

import re

PATIENCE = 30_000
STREAMS = re.compile(r"/gradio_api/(heartbeat/|queue/(data|join)\b)")
"""What the client of Gradio keeps open, and breaks off once the answer is there or the page is left."""
LEFT = ("error: AbortError: signal is aborted without reason", "error: Unexpected error Connection errored out.")
"""What that client then says, once each, of a stream whose answer was still to come: it closes the stream while the
page is unloaded, and takes the end for a fault. Nobody sees it, and no setting of Gradio prevents it."""
CHANGE = """([place, kind, value]) => new Promise(done => {
    const picture = () => document.querySelector('#design-pictures img').src;
    const before = picture(), began = performance.now();
    const input = document.querySelector(`#${place} input[type=${kind}]`);
    input.value = value;
    input.dispatchEvent(new Event('input', {bubbles: true}));
    const look = () => {
        if (picture() !== before) requestAnimationFrame(() => done(performance.now() - began));
        else if (performance.now() - began > 20000) done(-1);
        else setTimeout(look, 2);
    };
    look();
})"""

SETTLED = """([quiet, patience]) => new Promise((done, fail) => {
    const root = document.querySelector('.gradio-container');
    setTimeout(() => fail(new Error(`the page was never still for ${quiet} ms`)), patience);
    let timer = setTimeout(done, quiet);
    new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, quiet); }).observe(
        root, {subtree: true, childList: true, attributes: true, characterData: true});
})"""


class Visit:
    """A page in a context of its own."""

    def __init__(self, context, served):
        self.context, self.served, self.wrong = context, served, []
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.url)
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(f"page: {error}"))
        self.page.on("request", self._asked)
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def _said(self, message):
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text.splitlines()[0].strip() if message.text else ''}")

    def _asked(self, request):
        if not request.url.startswith((self.served.url, "data:", "blob:")):
            self.wrong.append(f"asked for {request.url}")

    def _failed(self, request):
        if not (STREAMS.search(request.url) and "ERR_ABORTED" in request.failure):
            self.wrong.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response):
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")

    def reload(self):
        """Load the page anew, whatever is on its way."""
        before = len(self.wrong)
        self.page.reload()
        self.page.wait_for_selector("#design-pictures img")
        self.settled(300)
        for said in LEFT:
            if said in self.wrong[before:]:
                self.wrong.remove(said)

    def opened(self, tab="Design"):
        self.page.goto(self.served.url)
        self.page.wait_for_selector("#design-pictures img")
        self.page.get_by_role("tab", name=tab).click()
        self.settled(300)  # Gradio empties a field again that is filled within 10 ms of its appearing
        return self

    def at(self, place):
        return self.page.locator(f"#{place}")

    def slide(self, place, value):
        """Write a slider's number, as a visitor does in its field."""
        field = self.at(place).locator("input[type=number]")
        field.fill(str(value))
        field.press("Enter")

    def pick(self, place, label):
        """Choose one of some radio buttons."""
        self.at(place).get_by_label(label, exact=True).check()

    def choose(self, place, label):
        """Choose from a drop-down list."""
        self.at(place).locator("input").click()
        self.page.get_by_role("option", name=label, exact=True).click()

    def offered(self, place):
        """The options of a drop-down list, which is closed again."""
        field = self.at(place).locator("input")
        field.click()
        options = self.page.locator(f"#{field.get_attribute('aria-controls')} [role=option]")
        options.first.wait_for()
        found = options.all_text_contents()
        self.page.keyboard.press("Escape")
        field.blur()
        return [text.replace("✓", "").strip() for text in found]

    def write(self, place, text):
        self.at(place).locator("input, textarea").first.fill(text)

    def press(self, place):
        self.page.locator(f"button#{place}, #{place} button").first.click()

    def wait_for(self, place, text, timeout=PATIENCE):
        """Until a place of the page says something, a text or a pattern."""
        from playwright.sync_api import TimeoutError

        pattern = text if isinstance(text, re.Pattern) else re.compile(re.escape(text))
        try:
            self.at(place).filter(has_text=pattern).first.wait_for(timeout=timeout)
        except TimeoutError as error:
            raise AssertionError(f"{place} says {self.text(place)!r}, not {text!r}") from error

    def wait_gone(self, place):
        """Until a place says nothing."""
        self.page.wait_for_function("place => !document.querySelector(`#${place} p`)", arg=place)

    def text(self, place):
        return self.at(place).text_content().strip()

    def problem(self, place):
        """What is said to be wrong there; empty if nothing is."""
        return " ".join(self.at(place).locator(".mmmi-wrong").all_text_contents())

    def value(self, place):
        return self.at(place).locator("textarea, input").first.input_value()

    def picture(self, place):
        return self.at(place).locator("img").first.get_attribute("src")

    def wait_for_value(self, place, text):
        """Until a text field holds something."""
        script = "([place, text]) => document.querySelector(`#${place} textarea`).value.includes(text)"
        self.page.wait_for_function(script, arg=[place, text])

    def change(self, place, value):
        """Milliseconds from a change of a slider to another picture."""
        return self.page.evaluate(CHANGE, [place, "range", value])

    def settled(self, quiet=600):
        """Wait until the page has stayed the same for some milliseconds; it always has a connection open."""
        self.page.evaluate(SETTLED, [quiet, PATIENCE])
