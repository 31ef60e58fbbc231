"""A first visit, timed in a real browser: `python -m tests.performance.first_visit`, by hand.

Starts `app.py` in a process of its own, opens the page in headless Chromium, presses Generate and waits for the first
token to be seen. Prints one JSON document.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
PORT = 7931
LONGEST_START_SECONDS = 120


def wait_for(url: str) -> None:
    """Returns when the page answers."""
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer within {LONGEST_START_SECONDS} s")


def visit(url: str) -> dict[str, float]:
    """Seconds until the page is painted, and from the click to the first token seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        opened = time.monotonic()
        page.goto(url)
        page.locator("#run").wait_for()
        painted = time.monotonic()
        page.locator("#run").click()
        page.locator(".lens-tokens > span").first.wait_for()
        seen = time.monotonic()
        browser.close()
    return {"page_painted_seconds": painted - opened, "click_to_first_token_seconds": seen - painted}


def main() -> None:
    """Prints the figures."""
    url = f"http://127.0.0.1:{PORT}/"
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(PORT), "HF_HUB_OFFLINE": "1"}
    began = time.monotonic()
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(url)
        figures = {"command_to_page_seconds": time.monotonic() - began} | visit(url)
    finally:
        app.terminate()
        app.wait()
    print(json.dumps({name: round(seconds, 2) for name, seconds in figures.items()}))


if __name__ == "__main__":
    main()
