"""Every tab, light and dark, with results and lenses open, in the eyes of axe-core: nothing serious or critical.

AXE_PATH names axe-core's axe.min.js: `npm pack axe-core` fetches it, `tar -xzf axe-core-*.tgz` unpacks it into
`package/`. Without it these tests are skipped.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import add_side, expect, open_tab, playwright, serve, watched
from tests.ui.fake_runs import asked, finished
from workbench.manager import ModelManager
from workbench.settings import Settings
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


def ran(page: "playwright.Page") -> None:
    """Presses the tab's first button and waits for the end."""
    run = page.locator("button.key-run:visible").first
    run.click()
    page.wait_for_timeout(2_000)  # a short answer comes before its Stop could be seen
    expect(run).to_be_enabled()
    page.locator(".code-panel:visible summary").first.click()


def written(page: "playwright.Page") -> None:
    """Two texts, and a token of one with its rivals."""
    ran(page)
    page.locator("#lens-a .lens-tokens .tok").nth(2).click()


def classified(page: "playwright.Page") -> None:
    """Two predictions, their tokens and their reasons."""
    ran(page)
    looked_at(page, "class")
    page.locator("#class-why").click()
    page.locator("#why-view-b .why-pieces .piece").first.wait_for()
    expect(page.locator("#class-why")).to_be_enabled()


def answered(page: "playwright.Page") -> None:
    """Two answers by likelihood, and their tokens."""
    page.locator("#answer-method input").click()
    page.get_by_role("option", name="Language model, no training").click()
    ran(page)
    looked_at(page, "answer")


def looked_at(page: "playwright.Page", name: str) -> None:
    """The tokens of both sides, and one of them in full."""
    page.locator(f"#{name}-look").click()
    page.locator(f"#{name}-lens-b .lens-tokens .tok").first.click()
    expect(page.locator(f"#{name}-look")).to_be_enabled()


def on_the_desk(page: "playwright.Page") -> None:
    """A task done by both sides."""
    page.locator("#bench-data").get_by_label("Made-up samples").check()
    page.locator("#bench-tasks").get_by_label("piqa:").check()
    page.locator("#bench-run").click()
    page.locator(".desk li.done").nth(1).wait_for()


def looked_into(page: "playwright.Page") -> None:
    """An example of two runs, token by token."""
    page.locator("[data-look]").first.click()
    page.locator("#run-lens-b .lens-tokens .tok").first.wait_for()


def measured(page: "playwright.Page") -> None:
    """A report on three precisions."""
    page.locator("#precision-prompt textarea").fill("Once upon a time there was a fox.")
    page.get_by_label("number input for New tokens").fill(TOKENS)
    ran(page)
    page.locator(".precision-report .intervals").first.wait_for()
    for summary in page.locator(".precision-report summary:visible").all():
        summary.click()


def planned(page: "playwright.Page") -> None:
    """A plan beside the loaded models."""
    page.locator("#plan-button").click()
    page.locator(".plan").wait_for()


RESULTS: dict[str, Callable[["playwright.Page"], None]] = {
    "Generate": written, "Classify": classified, "Answer": answered, "Benchmark": on_the_desk, "Runs": looked_into,
    "Precision": measured, "Models": planned,
}  # fmt: skip
"""By tab: what is done there before it is looked at. A training has results after minutes only."""


@pytest.fixture(scope="module")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page on the demo checkpoint, with two runs side by side."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [finished(folder, asked("piqa", precision)) for precision in ("float32", "int8")]
    manager = ModelManager()
    page, address = serve(manager, Settings(runs_folder=folder))
    yield f"{address}?run={','.join(run.name for run in runs)}"
    page.close()
    manager.close()


@pytest.fixture(scope="module", params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Any, demo_url: str) -> Iterator["playwright.Page"]:
    """One page for all tabs, with two sides."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for page in watched(context, f"{demo_url}&__theme={request.param}"):
        opened = page.get_by_role("tab", name="Runs", exact=True).first
        expect(opened).to_have_attribute("aria-selected", "true")  # by the runs of the address
        open_tab(page, "Generate")
        add_side(page, "int8")
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
    if name in RESULTS:
        RESULTS[name](themed)
    themed.wait_for_timeout(1_000)  # until what the tab asks for as it opens is there
    assert grave(themed) == []


def test_nothing_grave_is_found_in_the_history(themed: "playwright.Page") -> None:
    themed.get_by_role("button", name="History").click()
    found = grave(themed)
    themed.get_by_role("button", name="Close", exact=True).click()
    assert found == []
