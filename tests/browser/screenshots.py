"""Takes the README's pictures of the real page on the demo model.

`python -m tests.browser.screenshots` takes that of the Generate tab; with two runs' names after it, which stand in
WORKBENCH_RUNS, that of the Runs tab with these two side by side.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

import app
from workbench.ui.web import launch_options

FOLDER = Path(__file__).parents[2] / "workbench" / "ui"
SEED = 7


def take_text(page: Page, url: str) -> None:
    """Writes a story with a fixed seed, opens one token's rivals, and saves the picture."""
    page.goto(url)
    page.get_by_label("New seed each time").uncheck()
    page.get_by_label("Seed", exact=True).fill(str(SEED))
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_text("length reached").wait_for(timeout=120_000)
    page.locator(".lens-tokens > span").nth(4).click()
    page.screenshot(path=FOLDER / "screenshot.png", full_page=True)


def take_runs(page: Page, url: str, names: Sequence[str]) -> None:
    """Opens runs side by side and saves the picture of their comparison."""
    page.goto(f"{url}?run={','.join(names)}")
    page.locator("#runs-compared .tests").wait_for()
    page.wait_for_timeout(2_000)  # until the page below has its place
    page.locator("#runs-compared").screenshot(path=FOLDER / "screenshot-runs.png")


def main(names: Sequence[str]) -> None:
    """Serves the page and takes the picture that is asked for."""
    _, url, _ = app.demo.launch(prevent_thread_lock=True, **launch_options())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        take_runs(page, url, names) if names else take_text(page, url)
        browser.close()
    app.demo.close()
    app.bench.manager.close()


if __name__ == "__main__":
    main(sys.argv[1:])
