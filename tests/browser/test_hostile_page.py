"""What a visitor may paste into any text box of any tab: it stays text, nothing of it runs, and the page goes on."""

from collections.abc import Iterator

import pytest

from tests.browser.pages import expect, open_tab, playwright, serve, watched
from workbench.manager import ModelManager
from workbench.ui.web import TABS

MARKUP = (
    '"><img src=x onerror="window.ran=1"><svg onload="window.ran=2"></svg><script>window.ran=3</script></textarea>'
    "# Head **bold** [a link](javascript:window.ran=4) ![](x) `code` | a | b | ${window.ran=5} {{window.ran=6}} %s \\"
)
LONG = ("<b>**x**" + "x" * 992) * 100
"""100,000 characters in one word."""
NOT_RUN = ("Train",)
"""Tabs whose first button is left alone: it would begin to train."""
_BOXES = (
    "textarea:visible:not([readonly]), input[type=text]:visible, input[type=search]:visible, input:not([type]):visible"
)
_FOUND = """
() => [window.ran, document.querySelectorAll('img[src="x"], svg[onload], a[href^="javascript:"]').length,
       document.documentElement.scrollWidth > innerWidth]
"""


@pytest.fixture(scope="module")
def page(browser: "playwright.Browser") -> Iterator["playwright.Page"]:
    """One page for all tabs, with two sides, on the demo checkpoint."""
    manager = ModelManager()
    served, address = serve(manager)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for opened in watched(context, address):
        opened.locator("#add-side").click()
        opened.locator("#side-b-model").wait_for()
        yield opened
    context.close()
    served.close()
    manager.close()


def unfold(page: "playwright.Page") -> None:
    """Opens whatever hides text boxes: folded parts, and the code panel."""
    folded = page.locator("[role=tabpanel] button.label-wrap:visible:not(.open)")
    for _ in range(folded.count()):
        folded.first.click()
    for summary in page.locator(".code-panel:visible:not([open]) summary").all():
        summary.click()


def fill(page: "playwright.Page", text: str) -> int:
    """Fills every text box of the open tab; gives how many there are."""
    boxes = page.locator(".tabs").first.locator(_BOXES)
    count = boxes.count()
    for place in range(count):
        boxes.nth(place).fill(text)
        boxes.nth(place).press("Escape")  # a list that opened below it
        boxes.nth(place).blur()
    return count


def run(page: "playwright.Page") -> None:
    """Presses the tab's first button and, where that takes long, Stop by its key."""
    button = page.locator("button.key-run:visible").first
    button.click()
    page.wait_for_timeout(1_500)
    page.keyboard.press("Escape")  # a click would wait for a button that is off again by then
    expect(button).to_be_enabled()


@pytest.mark.parametrize("text", [MARKUP, LONG], ids=["markup", "long"])
@pytest.mark.parametrize("name", [tab.name for tab in TABS])
def test_nothing_that_is_pasted_runs(page: "playwright.Page", name: str, text: str) -> None:
    open_tab(page, name)
    unfold(page)
    assert fill(page, text) > 0
    if name not in NOT_RUN and page.locator("button.key-run:visible").count():
        run(page)
    assert page.evaluate(_FOUND) == [None, 0, False]


def test_the_page_works_as_before(page: "playwright.Page") -> None:
    open_tab(page, "Generate")
    page.locator("#prompt textarea").fill("Once upon a time")
    page.get_by_label("Stop texts").first.fill("")
    page.get_by_label("Banned texts").first.fill("")
    page.get_by_label("number input for Length, at most").first.fill("6")
    page.locator("#run").click()
    expect(page.locator("#lens-a .lens-tokens .tok")).to_have_count(6)
