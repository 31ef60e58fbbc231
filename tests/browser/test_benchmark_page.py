"""The Benchmark and Runs tabs in a real browser: run, leave, come back, stop, compare, read examples, take home."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.pages import expect, open_tab, playwright, serve, watched
from tests.ui.fake_runs import BenchmarkManager, asked, finished
from workbench.settings import Settings

PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def manager() -> BenchmarkManager:
    """The models behind the page."""
    return BenchmarkManager()


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page keeps its runs; two are there."""
    folder = tmp_path_factory.mktemp("runs")
    for precision in ("float32", "nf4"):
        finished(folder, asked("hellaswag", precision, shots=1))
    return folder


@pytest.fixture(scope="module")
def url(manager: BenchmarkManager, runs_folder: Path) -> Iterator[str]:
    """The address of a page whose models answer by a hash."""
    page, address = serve(manager, Settings(runs_folder=runs_folder))
    yield address
    page.close()


@pytest.fixture
def form(tab: "playwright.Page") -> "playwright.Page":
    """The page on its Benchmark tab, with samples as its rows."""
    open_tab(tab, "Benchmark")
    tab.locator("#bench-data").get_by_label("Made-up samples").check()
    return tab


def tick(form: "playwright.Page", *tasks: str) -> None:
    """Ticks tasks by their names."""
    for task in tasks:
        form.locator("#bench-tasks").get_by_label(f"{task}:").check()


def two_sides(form: "playwright.Page", *precisions: str) -> None:
    """The demo beside itself in two precisions."""
    form.locator("#add-side").click()
    for letter, name in zip("ab", precisions, strict=True):
        form.locator(f"#side-{letter}-precision input").click()
        form.get_by_role("option", name=name, exact=True).click()
        expect(form.get_by_role("option")).to_have_count(
            0
        )  # the list closes slowly, and the next one has the same names


def test_tasks_are_found_shown_and_tried(form: "playwright.Page") -> None:
    form.get_by_label("Search the tasks").fill("EVERYDAY goal")
    expect(form.locator("#bench-tasks label:visible")).to_have_count(1)
    tick(form, "piqa")
    expect(form.locator("#bench-task")).to_contain_text("goal, sol1, sol2, label")
    form.locator("#bench-try").click()
    expect(form.locator("#bench-tried .prompt")).to_contain_text("Question:")
    expect(form.locator("#bench-tried .choices tbody tr")).to_have_count(2)
    form.locator("#bench-try").click()
    expect(form.locator("#bench-tried h4")).to_contain_text("sample 2 of")


def test_what_can_not_be_run_is_told_beside_the_key(form: "playwright.Page") -> None:
    form.locator("#bench-run").click()
    expect(form.locator("#bench-message .notice.error")).to_contain_text("No task is ticked")
    expect(form.locator("#bench-run")).to_be_enabled()


def test_runs_are_watched_left_found_again_and_compared(form: "playwright.Page", manager: BenchmarkManager) -> None:
    manager.seconds = 0.15
    two_sides(form, "int8", "float32")
    tick(form, "piqa", "copa")
    form.locator("#bench-run").click()
    expect(form.locator(".desk li.running")).to_contain_text(" of ")
    expect(form.locator(".desk li")).to_have_count(4)
    form.wait_for_url("**batch=*")
    address = form.url
    form.goto("about:blank")
    form.goto(address)
    expect(form.locator(".desk li.done")).to_have_count(4)
    expect(form.locator(".so-far")).to_contain_text("demo · int8")
    manager.seconds = 0.0

    form.get_by_role("button", name="Compare 2 runs of piqa").click()
    expect(form.locator("#runs-compared")).to_contain_text("exact McNemar, mid-p")
    expect(form.locator("#runs-compared .flip-bar")).to_have_count(1)
    form.locator("#example-kind").get_by_label("B right, A wrong").check()
    expect(form.locator(".example").first.locator("header")).to_contain_text("wrong")
    form.get_by_role("button", name="Downloads").click()
    form.locator("#runs-make-files").click()
    expect(form.locator("#runs-files")).to_contain_text(".parquet")
    with form.expect_download() as download:
        form.locator("#runs-files a").first.click()
    assert download.value.path().stat().st_size > 0


def test_runs_that_are_ticked_on_the_runs_tab_are_compared(tab: "playwright.Page") -> None:
    open_tab(tab, "Runs")
    board = tab.locator(".board[aria-label='Runs of hellaswag']")
    for row in range(2):
        board.locator("input").nth(row).check()
    tab.get_by_role("button", name="Compare 2 runs").click()
    expect(tab.locator("#runs-compared")).to_contain_text("exact McNemar, mid-p")


def test_a_run_that_is_ticked_while_another_is_still_being_ticked_counts(tab: "playwright.Page") -> None:
    open_tab(tab, "Runs")
    board = tab.locator(".board[aria-label='Runs of hellaswag']")
    # The first tick's answer takes longer than the pause, so that the second comes before it.
    tab.route("**/queue/data*", lambda route: (time.sleep(1), route.continue_()))
    pause = "await new Promise((done) => setTimeout(done, 200));"
    board.evaluate(
        f"async (board) => {{ for (const row of [0, 1]) {{ board.querySelectorAll('input')[row].click(); {pause} }} }}"
    )
    expect(tab.locator("#runs-show")).to_have_text("Compare 2 runs")


def test_a_side_is_asked_in_further_precisions_too(form: "playwright.Page") -> None:
    tick(form, "wsc273")
    form.locator("#bench-precisions").get_by_label("nf4", exact=True).check()
    form.locator("#bench-run").click()
    expect(form.locator(".desk li.done", has_text="wsc273")).to_have_count(2)
    expect(form.locator(".desk li", has_text="wsc273").filter(has_text="demo · nf4")).to_have_count(1)


def test_each_side_in_use_has_its_own_head_and_tries_the_sample(form: "playwright.Page") -> None:
    expect(form.locator("#bench-head-a")).to_be_visible()
    expect(form.locator("#bench-head-b")).to_be_hidden()
    two_sides(form, "int8", "float32")
    expect(form.locator("#bench-head-b")).to_be_visible()
    tick(form, "piqa")
    form.locator("#bench-try").click()
    expect(form.locator("#bench-tried .side-name")).to_have_count(2)
    expect(form.locator("#bench-tried .choices")).to_have_count(2)


def test_a_run_stops_at_once_and_goes_on(form: "playwright.Page", manager: BenchmarkManager) -> None:
    manager.seconds = 0.4
    tick(form, "sciq")
    form.locator("#bench-run").click()
    line = form.locator(".desk li", has_text="sciq")
    expect(line.locator(".desk-figures")).to_be_visible()
    line.get_by_role("button", name="Stop").click()
    manager.seconds = 0.0
    expect(line).to_contain_text("done and kept")
    line.get_by_role("button", name="Resume").click()
    line.get_by_role("button", name="Open").click()
    expect(form.locator("#runs-compared h3")).to_contain_text("sciq")
    form.wait_for_url("**run=sciq-*")


def test_a_runs_address_opens_it_and_examples_can_be_searched(
    browser: "playwright.Browser", url: str, runs_folder: Path
) -> None:
    name = next(path.name for path in runs_folder.iterdir() if path.name.startswith("hellaswag"))
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{url}?run={name}")
    expect(page.locator("#runs-compared h3")).to_contain_text("hellaswag")
    expect(page.locator(".example").first.locator("summary")).to_contain_text("Worked examples")
    page.get_by_label("Search").fill("violin")
    page.get_by_label("Search").press("Enter")
    expect(page.locator(".example")).to_have_count(1)
    page.goto(f"{url}?run={PAYLOAD}")
    expect(page.locator("#runs-message .notice.error")).to_contain_text(f"no run '{PAYLOAD}'")
    context.close()


def test_the_same_runs_on_another_precision_with_one_click(tab: "playwright.Page") -> None:
    open_tab(tab, "Runs")
    tab.locator(".board[aria-label='Runs of hellaswag'] button", has_text="Open").first.click()
    tab.get_by_label("In the precision").click()
    tab.get_by_role("option", name="bfloat16").click()
    tab.get_by_role("button", name="Run the same").click()
    expect(tab.locator("#runs-message")).to_contain_text("is on the desk again")
    open_tab(tab, "Benchmark")
    expect(tab.locator(".desk li.done", has_text="bfloat16")).to_contain_text("1 shot")


def test_a_run_is_deleted_only_when_that_is_confirmed(tab: "playwright.Page", runs_folder: Path) -> None:
    finished(runs_folder, asked("boolq"))
    open_tab(tab, "Runs")
    tab.locator(".board[aria-label='Runs of boolq'] input").check()
    tab.get_by_role("button", name="Delete 1").click()
    tab.get_by_role("button", name="Keep").click()
    tab.get_by_role("button", name="Delete 1").click()
    tab.get_by_role("button", name="Yes, delete for good").click()
    expect(tab.locator("#runs-message")).to_contain_text("1 run deleted")
    expect(tab.locator(".board[aria-label='Runs of boolq']")).to_have_count(0)
    assert not list(runs_folder.glob("boolq-*"))


def test_a_run_that_is_gone_from_the_disk_is_ticked_no_more(tab: "playwright.Page", runs_folder: Path) -> None:
    run = finished(runs_folder, asked("cb"))
    open_tab(tab, "Runs")
    tab.locator(".board[aria-label='Runs of cb'] input").check()
    expect(tab.locator("#runs-show")).to_be_enabled()
    shutil.rmtree(run.folder)
    tab.locator("#runs-show").click()
    expect(tab.locator("#runs-message")).to_contain_text("no run")
    open_tab(tab, "Benchmark")
    open_tab(tab, "Runs")
    expect(tab.locator("#runs-show")).to_be_disabled()


def test_numbers_that_can_not_be_are_told_in_words(form: "playwright.Page") -> None:
    tick(form, "copa")
    form.locator("#bench-shots input").fill("-1")
    form.locator("#bench-run").click()
    expect(form.locator("#bench-message")).to_contain_text("Worked examples must be a whole number from 0 to 100")
    expect(form.locator(".toast-body")).to_have_count(0)


def test_a_page_of_examples_that_is_not_there_becomes_the_last(tab: "playwright.Page") -> None:
    open_tab(tab, "Runs")
    tab.locator(".board[aria-label='Runs of hellaswag'] button", has_text="Open").first.click()
    tab.locator("#example-page input").fill("999")
    tab.locator("#example-page input").press("Enter")
    expect(tab.locator("#example-page input")).to_have_value("1")
    expect(tab.locator(".toast-body")).to_have_count(0)


def test_the_board_is_ordered_and_plotted_by_the_figure_that_is_picked(tab: "playwright.Page") -> None:
    open_tab(tab, "Runs")
    tab.locator(".board[aria-label='Runs of hellaswag'] button", has_text="Open").first.click()
    tab.get_by_label("Ordered and plotted by").click()
    tab.get_by_role("option", name="brier_score").click()
    expect(tab.locator(".board .intervals figcaption")).to_contain_text("brier_score")
    tab.locator(".board button", has_text="Open").last.click()
    expect(tab.locator(".board .intervals figcaption")).to_contain_text("brier_score")


def test_an_address_whose_runs_are_gone_says_where_they_are(tab: "playwright.Page", url: str) -> None:
    tab.goto(f"{url}?batch=0123abcd")
    expect(tab.locator("#bench-message")).to_contain_text("Resume goes on with those that had not ended")


def test_an_own_file_with_another_shape_is_told(form: "playwright.Page", tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"goal,sol1\n{PAYLOAD},b\n", encoding="utf-8")
    tick(form, "piqa")
    form.locator("#bench-data").get_by_label("My own file").check()
    form.locator("#bench-file input[type=file]").set_input_files(path)
    form.locator("#bench-file").get_by_text("mine").wait_for()
    form.locator("#bench-run").click()
    failed = form.locator(".desk li.failed").first
    expect(failed).to_contain_text("needs the columns goal, sol1, sol2, label")
    assert form.locator(".desk img").count() == 0


def test_a_phone_needs_no_sideways_scrolling(browser: "playwright.Browser", url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in watched(context, url):
        open_tab(page, "Benchmark")
        page.locator("#bench-run").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        open_tab(page, "Runs")
        board = page.locator(".board[aria-label='Runs of hellaswag'] input")
        board.nth(0).check()
        board.nth(1).check()
        page.get_by_role("button", name="Compare 2 runs").click()
        page.locator(".example").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
