"""Takes the README's picture of the real page on the demo model: `python -m tests.browser.screenshots`."""

from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import app
from workbench.ui.web import launch_options

PICTURE = Path(__file__).parents[2] / "workbench" / "ui" / "screenshot.png"
SEED = 7


def take(page: Page, url: str) -> None:
    """Writes a story with a fixed seed, opens one token's rivals, and saves the picture."""
    page.goto(url)
    page.get_by_label("New seed each time").uncheck()
    page.get_by_label("Seed", exact=True).fill(str(SEED))
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_text("length reached").wait_for(timeout=120_000)
    page.locator(".lens-tokens > span").nth(4).click()
    page.screenshot(path=PICTURE, full_page=True)


def main() -> None:
    """Serves the page and takes the picture."""
    _, url, _ = app.demo.launch(prevent_thread_lock=True, **launch_options())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        take(browser.new_page(viewport={"width": 1280, "height": 900}), url)
        browser.close()
    app.demo.close()
    app.bench.manager.close()


if __name__ == "__main__":
    main()
