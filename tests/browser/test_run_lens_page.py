"""Looking into a benchmark's example in a real browser: both runs' tokens, on a desk and on a phone."""

from collections.abc import Iterator

import pytest

from tests.browser.pages import expect, playwright, serve, watched
from tests.ui.fake_runs import BenchmarkManager, asked, finished
from workbench.settings import Settings


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page with two runs."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [finished(folder, asked("piqa", precision)) for precision in ("float32", "int8")]
    page, address = serve(BenchmarkManager(), Settings(runs_folder=folder))
    yield f"{address}?run={','.join(run.name for run in runs)}"
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_an_examples_tokens_are_shown_of_both_runs_until_they_are_closed(
    browser: "playwright.Browser", url: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    for page in watched(context, url):
        page.locator("[data-look]").nth(1).click()
        expect(page.locator("#run-lens-head")).to_contain_text("Tokens of example 1")
        for side in "ab":
            expect(page.locator(f"#run-lens-{side} .lens-pick")).to_have_count(2)
            expect(page.locator(f"#run-lens-{side} .tok[data-difference]").first).to_be_visible()
        expect(page.locator("#run-lens-b .lens-model")).to_contain_text("B · demo · int8")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#run-lens-close").click()
        expect(page.locator("#run-lens")).to_be_hidden()
    context.close()
