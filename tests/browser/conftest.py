"""One browser and one scripted page for the tests of a file.

The shared steps are imported where they are used: `pages` skips whoever imports it where there is no browser.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ui.fake import FakeLanguageModel, FakeManager


@pytest.fixture(scope="module")
def model() -> FakeLanguageModel:
    """The scripted model behind the page."""
    from tests.browser.pages import SLOW_SECONDS

    return FakeLanguageModel(SLOW_SECONDS)


@pytest.fixture(scope="module")
def url(model: FakeLanguageModel) -> Iterator[str]:
    """The address of the page on the scripted model."""
    from tests.browser.pages import serve

    page, address = serve(FakeManager(model, load_seconds=0.5))
    yield address
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests."""
    from tests.browser.pages import CHROMIUM, playwright

    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Any, url: str) -> Iterator[Any]:
    """A fresh page, which must end without a script error and without a request to anywhere else."""
    from tests.browser.pages import watched

    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield from watched(context, url)
    context.close()
