"""The public page in a browser: what would be refused is not offered, and what is offered works."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.pages import add_side, expect, generate, open_tab, playwright, serve, tokens, watched
from tests.ui.fake_runs import asked, finished
from workbench.manager import ModelManager
from workbench.settings import Settings
from workbench.ui.web import TABS


@pytest.fixture(scope="module")
def public_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page in the public profile, on the demo, with a run of somebody's."""
    settings = Settings(runs_folder=tmp_path_factory.mktemp("runs"), profile_name="public")
    finished(settings.runs_folder, asked("piqa"))
    manager = ModelManager()
    page, address = serve(manager, settings)
    yield address
    page.close()
    manager.close()


@pytest.fixture(params=[1280, 390])
def visitor(request: pytest.FixtureRequest, browser: Any, public_url: str) -> Iterator["playwright.Page"]:
    """Somebody who has just come, on a screen and on a phone."""
    context = browser.new_context(viewport={"width": request.param, "height": 850})
    yield from watched(context, public_url)
    context.close()


def test_a_visitor_is_told_the_limits_and_writes_with_two_models(visitor: "playwright.Page") -> None:
    limits = visitor.locator("details.shared-page")
    limits.locator("summary").click()
    expect(limits).to_contain_text("512 new tokens")
    add_side(visitor, "int8")
    generate(visitor)
    visitor.locator("#lens-b .lens-tokens .tok").nth(3).wait_for()
    assert len(tokens(visitor)) > 3


@pytest.mark.parametrize("name", [tab.name for tab in TABS])
def test_no_tab_meets_a_visitor_with_an_error(visitor: "playwright.Page", name: str) -> None:
    open_tab(visitor, name)
    visitor.wait_for_timeout(1_000)  # until what the tab asks for as it opens is there
    assert visitor.locator(".notice.error:visible").count() == 0


def test_what_would_be_refused_is_not_offered(visitor: "playwright.Page") -> None:
    generate(visitor)  # so that a model is loaded
    for tab, hidden in {
        "Train": "#train-run", "Runs": "#runs-delete", "Models": ".card .unload, .card .measure",
        "Benchmark": "#bench-data :text('My own file')",
    }.items():  # fmt: skip
        open_tab(visitor, tab)
        visitor.wait_for_timeout(500)
        assert visitor.locator(hidden).filter(visible=True).count() == 0, tab
    open_tab(visitor, "Models")
    expect(visitor.locator(".card h3").first).to_have_text("demo")
