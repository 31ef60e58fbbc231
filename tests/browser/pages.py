"""What the tests in a browser share: serving the page, watching it, and the steps of a visitor."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.serving import behind_the_guard
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.web import build

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
if not CHROMIUM.exists():
    pytest.skip(f"there is no browser at {CHROMIUM}; set CHROMIUM to one", allow_module_level=True)

SETTINGS = Settings()
SLOW_SECONDS = 0.02
WAIT_MS = 30_000
"""Far more than any step takes, save on a machine that is busy with other things."""
expect.set_options(timeout=WAIT_MS)


def serve(manager: object, settings: Settings = SETTINGS) -> tuple[Any, str]:
    """Starts the page; gives it and its address."""
    page = build(Bench(settings, manager))  # type: ignore[arg-type]
    return page, behind_the_guard(page, settings)


def watched(context: "playwright.BrowserContext", url: str) -> Iterator["playwright.Page"]:
    """Opens the page and, at the end, asserts that nothing failed and nothing outside was asked for."""
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: wrong.append(request.url) if not _own(request.url, url) else None)
    page.goto(url)
    page.locator("#run").wait_for()
    yield page
    assert wrong == []


def _own(asked: str, url: str) -> bool:
    return asked.startswith((url.partition("#")[0].partition("?")[0], "data:", "blob:"))


def open_tab(page: "playwright.Page", name: str) -> None:
    """Opens a tab, which stands behind the menu of tabs where the page is narrow."""
    if not page.get_by_role("tab", name=name, exact=True).first.is_visible():
        page.locator("button[aria-label='More tabs']:visible").first.click()
        page.locator(".overflow-dropdown:visible button", has_text=name).click()
    else:
        page.get_by_role("tab", name=name, exact=True).first.click()


def generate(tab: "playwright.Page", prompt: str = "Once upon a time") -> None:
    """Asks for a text and waits for its first tokens."""
    expect(tab.locator(".model-line.ready")).to_be_visible()
    tab.get_by_label("Prompt").fill(prompt)
    tab.get_by_role("button", name="Generate", exact=True).click()
    tab.locator(".lens-tokens .tok").nth(3).wait_for()


def ask_for_a_long_text(tab: "playwright.Page") -> None:
    """1000 tokens."""
    tab.get_by_label("number input for Length, at most").fill("1000")
    tab.get_by_label("number input for Length, at most").press("Tab")


def tokens(tab: "playwright.Page") -> list[str]:
    """The texts of the token view."""
    return tab.locator(".lens-tokens .tok").all_inner_texts()


def pick(tab: "playwright.Page", label: str, choice: str) -> None:
    """Picks from a list; the list that was open before may still be on its way out."""
    control = tab.get_by_label(label, exact=True)
    control.click()
    options = tab.locator(f"#{control.get_attribute('aria-controls')}")
    options.get_by_role("option", name=choice, exact=True).click()


def add_side(tab: "playwright.Page", precision: str = "") -> None:
    """One side more, in a precision."""
    letter = "ABC"[tab.locator("#sides .side-pick").count()]
    tab.locator("#add-side").click()
    tab.locator(f"#side-{letter.lower()}-model").wait_for()
    if precision:
        pick(tab, f"Precision {letter}", precision)
