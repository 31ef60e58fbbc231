"""The Classify tab in a real browser, on a scripted model."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import expect, pick, playwright, serve, watched
from tests.ui.fake_classes import ClassifyingManager
from workbench.ui.classify.class_examples import EXAMPLES

HOSTILE = "<img src=x onerror=alert(1)>${alert(2)} great"


@pytest.fixture(scope="module")
def manager() -> ClassifyingManager:
    """The manager behind the page."""
    return ClassifyingManager(seconds=0.02)


@pytest.fixture(scope="module")
def url(manager: ClassifyingManager) -> Iterator[str]:
    """The address of the page on the scripted model."""
    page, address = serve(manager)
    yield address
    page.close()


@pytest.fixture
def tab(browser: Any, url: str) -> Iterator[Any]:
    """A fresh page with the Classify tab open."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for page in watched(context, url):
        opened(page)
        yield page
    context.close()


def opened(page: "playwright.Page") -> None:
    """Opens the tab."""
    expect(page.locator(".model-line.ready")).to_be_visible()
    page.get_by_role("tab", name="Classify").click()
    expect(page.locator("#class-run")).to_be_visible()


def uploaded(tab: "playwright.Page", folder: Path, rows: list[tuple[str, str]]) -> None:
    """Uploads a table with the columns label and text."""
    path = folder / "rows.csv"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("label", "text"), *rows])
    tab.get_by_role("tab", name="Many texts").click()
    tab.locator("#class-file input[type=file]").set_input_files(path)
    expect(tab.locator("#many-file-notice")).to_contain_text(f"{len(rows)} rows, 2 columns")


def test_one_text_gets_bars_and_reasons_by_the_keys(tab: "playwright.Page") -> None:
    tab.get_by_label("Text", exact=True).press("Control+Enter")
    expect(tab.locator(".verdict .found-verdict")).to_contain_text("positive")
    expect(tab.locator(".scores li")).to_have_count(2)
    expect(tab.locator(".scores .before")).to_have_count(2)
    tab.locator("#class-why").click()
    expect(tab.locator(".why-pieces .piece.for")).to_have_count(2)
    expect(tab.locator(".why .found-verdict")).to_have_text("“positive”: 12 of 12 pieces measured")
    tab.locator('.piece[tabindex="0"]').focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".why-look")).to_contain_text("“laughed,” +")
    expect(tab.locator(".piece.looked")).to_have_text("laughed,")


def test_an_example_fills_everything(tab: "playwright.Page") -> None:
    tab.get_by_role("button", name="Kind of question").click()
    expect(tab.get_by_label("Labels")).to_have_value(EXAMPLES[2].labels)
    expect(tab.get_by_label("Template")).to_have_value(EXAMPLES[2].template)
    expect(tab.get_by_label("Text", exact=True)).to_have_value(EXAMPLES[2].texts[0])
    expect(tab.locator("#class-shots")).to_contain_text("How many sisters did she have?")


def test_a_trained_head_can_be_picked_and_says_what_it_is(tab: "playwright.Page") -> None:
    tab.get_by_label("Method").click()
    tab.get_by_role("option", name="Trained head: sms-probe").click()
    expect(tab.locator("#class-facts")).to_contain_text("98.1 %")
    expect(tab.get_by_label("Labels")).to_be_hidden()
    tab.get_by_label("Text", exact=True).fill("Claim your free prize")
    tab.locator("#class-run").click()
    expect(tab.locator(".verdict .found-verdict")).to_contain_text("spam")


def test_a_table_with_labels_shows_its_metrics_and_a_threshold(tab: "playwright.Page", tmp_path: Path) -> None:
    rows = [("positive", f"a great film {i}") for i in range(8)] + [("negative", f"stale {i}") for i in range(5)]
    uploaded(tab, tmp_path, [*rows, ("negative", "a great one")])
    tab.locator("#many-run").click()
    expect(tab.locator(".metrics .figures")).to_contain_text("92.9 %")
    expect(tab.locator(".confusion td.hit")).to_have_count(2)
    expect(tab.locator(".mistakes li")).to_have_count(1)
    asked = tab.locator(".sweep").inner_text()
    slider = tab.get_by_label("number input for Threshold", exact=True)
    slider.fill("0.99")
    slider.press("Tab")
    expect(tab.locator(".sweep figcaption")).to_contain_text("from 0.99 on")
    assert tab.locator(".sweep").inner_text() != asked
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save CSV").click()
    assert len(Path(download.value.path()).read_text(encoding="utf-8").splitlines()) == 15


def test_stop_keeps_the_rows_that_are_done(
    tab: "playwright.Page", manager: ClassifyingManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager.model, "seconds", 0.2)
    tab.get_by_role("tab", name="Many texts").click()
    tab.get_by_label("Texts, one a line").fill("\n".join(f"a great film {i}" for i in range(1000)))
    tab.locator("#many-run").click()
    expect(tab.locator("#class-table")).to_contain_text("a great film 0")
    tab.locator("#many-stop").click()
    expect(tab.locator("#many-notice")).to_contain_text("texts are kept below")
    expect(tab.locator("#class-table")).to_contain_text("a great film 0")
    expect(tab.locator("#class-jsonl")).to_be_enabled()
    expect(tab.locator("#many-run")).to_be_enabled()


def test_hostile_texts_are_shown_and_never_run(tab: "playwright.Page", tmp_path: Path) -> None:
    tab.get_by_label("Labels").fill(f"positive\n{HOSTILE}")
    tab.locator("#class-shots").get_by_text("Dull, noisy").wait_for()
    tab.get_by_role("button", name="Happy or sad").click()
    expect(tab.get_by_label("Text", exact=True)).to_have_value(EXAMPLES[3].texts[0])
    tab.get_by_label("Labels").fill(f"positive\n{HOSTILE}")
    tab.get_by_label("Text", exact=True).fill(HOSTILE)
    tab.locator("#class-run").click()
    expect(tab.locator(".verdict-text")).to_have_text(HOSTILE)
    tab.locator("#class-why").click()
    expect(tab.locator(".why-pieces")).to_have_text(HOSTILE)
    uploaded(tab, tmp_path, [("positive", HOSTILE), (HOSTILE, HOSTILE + " stale"), ("x", "BOOM")])
    tab.locator("#many-run").click()
    expect(tab.locator(".mistakes")).to_contain_text(HOSTILE)
    expect(tab.locator("#class-table")).to_contain_text(HOSTILE)
    expect(tab.locator("#class-table")).to_contain_text("<b>BOOM</b>")
    tab.locator("#class-table").get_by_text("stale").last.click()
    expect(tab.locator(".verdict-text")).to_contain_text("stale")
    assert tab.locator("img[src=x]").count() == 0


def test_a_refused_file_and_a_refused_text_are_told_as_text(tab: "playwright.Page", tmp_path: Path) -> None:
    tab.get_by_label("Text", exact=True).fill("BOOM")
    tab.locator("#class-run").click()
    expect(tab.locator("#class-notice")).to_contain_text("The text holds <b>BOOM</b>. Take it out.")
    expect(tab.locator("#class-run")).to_be_enabled()
    path = tmp_path / "broken.csv"
    path.write_text('text\n"never closed', encoding="utf-8")
    tab.get_by_role("tab", name="Many texts").click()
    tab.locator("#class-file input[type=file]").set_input_files(path)
    expect(tab.locator("#many-file-notice .notice.error")).to_contain_text("never closed")
    expect(tab.get_by_label("Texts, one a line")).to_be_visible()


def with_own_settings(tab: "playwright.Page") -> None:
    """A second side that asks its own trained head."""
    tab.locator("#add-side").click()
    tab.locator(".side-settings:visible").get_by_role("tab", name="B", exact=True).click()
    tab.locator(".as-a-b:visible input").uncheck()
    tab.locator("#class-method-b").get_by_label("Method").click()
    tab.get_by_role("option", name="Trained head: sms-probe").click()
    expect(tab.locator("#class-facts-b")).to_contain_text("98.1 %")


def test_two_sides_answer_beside_each_other_and_what_differs_is_said(tab: "playwright.Page") -> None:
    with_own_settings(tab)
    tab.get_by_label("Text", exact=True).fill("Claim your free prize")
    tab.locator("#class-run").click()
    expect(tab.locator("#class-compared")).to_contain_text("The answers differ")
    expect(tab.locator("#class-result-b .found-verdict")).to_contain_text("spam")
    expect(tab.locator(".side-mark:visible")).to_have_text("≠ other answer than A")
    tab.locator("#class-why").click()
    expect(tab.locator("#why-view-b .found-verdict")).to_have_text("“spam”: 4 of 4 pieces measured")
    tab.locator("#remove-b").click()
    expect(tab.locator("#class-result-b")).to_be_hidden()
    expect(tab.locator("#class-compared")).to_be_hidden()


def test_the_tokens_of_each_label_are_shown_and_a_head_says_that_it_has_none(tab: "playwright.Page") -> None:
    expect(tab.locator("#class-look")).to_be_disabled()
    with_own_settings(tab)
    tab.locator("#class-run").click()
    tab.locator("#class-look").click()
    expect(tab.locator("#class-lens-a .lens-pick")).to_have_count(2)
    expect(tab.locator("#class-look-notice-b")).to_contain_text("no token has a probability")
    expect(tab.locator("#class-lens-b .token-lens")).to_be_hidden()
    tab.locator("#class-lens-a .lens-pick", has_text="negative").click()
    expect(tab.locator("#class-lens-a .lens-tokens .tok")).to_have_text("negative")
    expect(tab.locator("#class-run")).to_be_enabled()
    tab.locator("#class-run").click()
    expect(tab.locator("#class-lens-a .token-lens")).to_be_hidden()


def test_a_swap_takes_each_sides_own_method_along(tab: "playwright.Page") -> None:
    with_own_settings(tab)
    pick(tab, "Precision B", "bfloat16")
    tab.locator("#swap-sides").click()
    expect(tab.get_by_label("Precision A", exact=True)).to_have_value("bfloat16")
    expect(tab.locator("#class-facts-b")).to_contain_text("The language model itself")
    tab.locator(".side-settings:visible").get_by_role("tab", name="A", exact=True).click()
    expect(tab.locator("#class-facts")).to_contain_text("98.1 %")


def test_many_texts_get_a_column_a_side(tab: "playwright.Page", tmp_path: Path) -> None:
    with_own_settings(tab)
    uploaded(tab, tmp_path, [("positive", "a great film"), ("spam", "win a free prize")])
    tab.locator("#many-run").click()
    expect(tab.locator("#many-compared")).to_contain_text("A and B")
    expect(tab.locator("#class-table")).to_contain_text("differ")
    expect(tab.locator("#class-csv-b")).to_be_enabled()
    expect(tab.locator("#class-metrics-b .figures")).to_contain_text("50.0 %")


def test_a_phone_needs_no_sideways_scrolling(browser: "playwright.Browser", url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in watched(context, url):
        opened(page)
        page.locator("#add-side").click()
        page.locator("#class-run").click()
        page.locator("#class-result-b .scores li").first.wait_for()
        page.get_by_role("tab", name="Many texts").click()
        page.locator("#many-run").click()
        expect(page.locator("#many-notice")).to_contain_text("Done")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_a_closed_browser_stops_the_work(browser: "playwright.Browser", url: str, manager: ClassifyingManager) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    opened(page)
    page.get_by_role("tab", name="Many texts").click()
    page.get_by_label("Texts, one a line").fill("\n".join(f"a great film {i}" for i in range(1000)))
    page.locator("#many-run").click()
    expect(page.locator("#many-notice")).to_contain_text("left")
    context.close()
    for _ in range(100):
        if not manager.leases.total():
            break
        time.sleep(0.1)
    assert not manager.leases.total()
