"""Takes a picture of every tab of the real page on the demo model, light and dark, for the README.

`python -m tests.browser.screenshots` makes them all in workbench/ui/shots/; names after it, such as `generate runs`,
make these alone.
"""

import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.pages import CHROMIUM, serve
from workbench.evals.runs.runner import Options
from workbench.evaluating import SAMPLES, Evaluation, all_tasks, run_evaluation
from workbench.manager import ModelManager, ModelSpec
from workbench.settings import Settings

FOLDER = Path(__file__).parents[2] / "workbench" / "ui" / "shots"
THEMES = ("light", "dark")
WIDTH, HEIGHT = 1280, 1080
COLOURS = 96
WAIT_MS = 240_000
STORY = {"prompt": "Once upon a time, in a little house at the edge of the wood, there lived a girl who", "seed": "7",
         "new_seed": "false", "max_new_tokens": "60"}  # fmt: skip
TWO_SIDES = {"a": "demo", "b": "demo", "b.precision": "int8"}
TASK, EXAMPLE = "our_stories", "Where is Sandra?"


def ran(page: Page) -> None:
    """Presses the tab's first button and waits until it can be pressed again."""
    run = page.locator("button.key-run:visible").first
    run.click()
    page.wait_for_timeout(3_000)  # a short answer comes before its Stop could be seen
    expect(run).to_be_enabled()


def written(page: Page) -> None:
    """A story, with one token's rivals beside it."""
    ran(page)
    page.locator(".lens-tokens:visible .tok").nth(4).click()


def example(page: Page) -> None:
    """An example of the kind that the trained part knows."""
    page.get_by_role("button", name=EXAMPLE, exact=True).click()
    page.wait_for_timeout(1_000)
    ran(page)


def on_the_desk(page: Page) -> None:
    """A benchmark that is done."""
    page.locator("#bench-run").click()
    page.locator(".desk li.done").first.wait_for()


def compared(page: Page) -> None:
    """Two runs side by side."""
    page.locator("#runs-compared .tests").wait_for()
    page.locator("#runs-compared").scroll_into_view_if_needed()


def as_it_opens(page: Page) -> None:
    """Nothing is pressed."""
    page.wait_for_timeout(2_000)


SHOTS: dict[str, tuple[dict[str, str], Callable[[Page], None]]] = {
    "generate": ({"tab": "Generate", **STORY}, written),
    "generate-two-sides": ({"tab": "Generate", **STORY, **TWO_SIDES}, written),
    "classify": ({"tab": "Classify", "a": "demo"}, ran),
    "classify-two-sides": ({"tab": "Classify", **TWO_SIDES}, ran),
    "answer": ({"tab": "Answer", "a": "demo", "method": "toy-stories"}, example),
    "benchmark": ({"tab": "Benchmark", "a": "demo", "multiple_choice": f'["{TASK}"]', "most": "20"}, on_the_desk),
    "runs": ({"tab": "Runs"}, as_it_opens),
    "runs-compared": ({"tab": "Runs"}, compared),
    "precision": ({"tab": "Precision"}, ran),
    "train": ({"tab": "Train"}, as_it_opens),
    "models": ({"tab": "Models"}, as_it_opens),
}
"""By name: the link that opens the tab, and what is done there before its picture is taken."""


def take(page: Page, url: str, name: str, theme: str, runs: Sequence[str]) -> None:
    """Saves one picture, with few colours so that it stays small.

    Args:
        runs: the names of those that stand side by side.
    """
    link, done = SHOTS[name]
    query = {"__theme": theme} | ({"run": ",".join(runs)} if done is compared else {})
    page.goto("about:blank")  # a link of the same page would only be opened in it
    page.goto(f"{url}?{urlencode(query)}#{urlencode(link)}")
    page.get_by_role("tab", name=link["tab"], exact=True).and_(page.locator("[aria-selected=true]")).wait_for()
    expect(page.locator(".model-line.ready")).to_be_visible()
    page.wait_for_timeout(1_000)
    done(page)
    if done is not compared:
        page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)  # until what moves has its place
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(FOLDER / f"{name}-{theme}.png", optimize=True)


def runs_for_pictures(manager: ModelManager, folder: Path) -> list[str]:
    """Two runs of one task, for the leaderboard: their names."""
    for precision in (None, "int8"):
        evaluation = Evaluation(all_tasks()[TASK], ModelSpec("demo", precision=precision), Options(limit=40), SAMPLES)
        for _ in run_evaluation(manager, evaluation, folder):
            pass
    return sorted(path.parent.name for path in folder.glob("*/run.json"))


def main(names: Sequence[str]) -> None:
    """Serves the page and takes the pictures that are asked for."""
    FOLDER.mkdir(exist_ok=True)
    expect.set_options(timeout=WAIT_MS)
    with tempfile.TemporaryDirectory() as kept, sync_playwright() as playwright:
        manager = ModelManager()
        runs = runs_for_pictures(manager, Path(kept))
        served, url = serve(manager, Settings(runs_folder=Path(kept)))
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(WAIT_MS)
        for name in names or SHOTS:
            for theme in THEMES:
                take(page, url, name, theme, runs)
        browser.close()
        served.close()
        manager.close()


if __name__ == "__main__":
    main(sys.argv[1:])
