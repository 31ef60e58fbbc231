"""Every tab, light and dark, in the eyes of axe-core: nothing of serious or critical impact.

AXE_PATH names axe-core's axe.min.js: `npm pack axe-core` fetches it, `tar -xzf axe-core-*.tgz` unpacks it into
`package/`. Without it these tests are skipped.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import expect, open_tab, playwright, serve, watched
from workbench.manager import ModelManager
from workbench.ui.web import TABS

AXE = Path(os.environ.get("AXE_PATH", "axe.min.js"))
if not AXE.exists():
    pytest.skip(f"there is no axe-core at {AXE}; set AXE_PATH to its axe.min.js", allow_module_level=True)

GRAVE = ("serious", "critical")
GRADIOS_OWN = {
    # The button of an upload is named "Click to upload or drop files", and its text is "Drop File Here - or - ...".
    "label-content-name-mismatch": ("button[aria-label='Click to upload or drop files']",),
}
"""By rule: selectors of parts that Gradio draws and that nothing on our side can change; each with its reason."""
ASKING = ("Generate", "Classify", "Answer")
"""The tabs on which a press of the first button shows a result within a second or two."""
TOKENS = "8"

_RUN = """
async () => {
  const found = await axe.run(document, { resultTypes: ["violations"], preload: false });
  return found.violations.flatMap((rule) => rule.nodes.map((node) => ({
    rule: rule.id, impact: rule.impact, target: node.target.join(" "), html: node.html.slice(0, 300),
    why: node.failureSummary,
  })));
}
"""


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    """The address of the page on the demo checkpoint."""
    manager = ModelManager()
    page, address = serve(manager)
    yield address
    page.close()
    manager.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Any, demo_url: str) -> Iterator["playwright.Page"]:
    """One page for all tabs, with two sides."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for page in watched(context, f"{demo_url}?__theme={request.param}"):
        page.locator("#add-side").click()
        page.get_by_label("number input for Length, at most").first.fill(TOKENS)
        page.add_script_tag(path=AXE)
        yield page
    context.close()


def grave(page: "playwright.Page") -> list[str]:
    """What is wrong, a line each."""
    return [
        f"{one['rule']} ({one['impact']}): {one['target']}: {one['html']}\n{one['why']}"
        for one in page.evaluate(_RUN)
        if one["impact"] in GRAVE and not page.evaluate(_IS_GRADIOS, [one["target"], GRADIOS_OWN.get(one["rule"], ())])
    ]


_IS_GRADIOS = """
([target, selectors]) => selectors.some((selector) => document.querySelector(target)?.closest(selector))
"""


@pytest.mark.parametrize("name", [tab.name for tab in TABS])
def test_nothing_grave_is_found_on_a_tab(themed: "playwright.Page", name: str) -> None:
    open_tab(themed, name)
    if name in ASKING:
        themed.locator("button.key-run:visible").first.click()
        themed.wait_for_timeout(2_000)  # a short answer comes before its Stop could be seen
        expect(themed.locator("button.key-run:visible").first).to_be_enabled()
        themed.locator(".code-panel:visible summary").first.click()
    themed.wait_for_timeout(1_000)  # until what the tab asks for as it opens is there
    assert grave(themed) == []


def test_nothing_grave_is_found_in_the_history(themed: "playwright.Page") -> None:
    themed.get_by_role("button", name="History").click()
    found = grave(themed)
    themed.get_by_role("button", name="Close", exact=True).click()
    assert found == []
