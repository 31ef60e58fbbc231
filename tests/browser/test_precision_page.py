"""The Precision tab in a real browser: run, read, save, stop, refuse; on a phone and in the dark too."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.pages import expect, open_tab, playwright, serve
from tests.ui.fake_precision import DistributionModel, PrecisionManager
from workbench.settings import Settings

PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def manager() -> PrecisionManager:
    """The models behind the page."""
    return PrecisionManager()


@pytest.fixture(scope="module")
def url(manager: PrecisionManager, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page whose models differ a little in each precision."""
    page, address = serve(manager, Settings(runs_folder=tmp_path_factory.mktemp("runs")))
    yield address
    page.close()


@pytest.fixture
def form(tab: "playwright.Page") -> "playwright.Page":
    """The page on its Precision tab."""
    open_tab(tab, "Precision")
    tab.locator("#precision-run").wait_for()
    return tab


def run(form: "playwright.Page") -> None:
    """Presses Run and waits for the end."""
    form.locator("#precision-run").click()
    expect(form.locator("#precision-message")).to_contain_text("Done")


def test_the_empty_tab_says_what_to_do(form: "playwright.Page") -> None:
    expect(form.locator("#precision-report .empty")).to_contain_text("press Run")


def test_a_prompt_is_measured_in_each_precision_and_saved(form: "playwright.Page") -> None:
    form.locator("#precision-prompt textarea").fill("Once upon a time there was " + "a little fox " * 9 + PAYLOAD)
    run(form)
    report = form.locator(".precision-report")
    expect(report.locator("thead th")).to_have_count(3)
    expect(report.locator("tbody tr", has_text="KL a token")).to_contain_text("…")
    expect(report.locator(".intervals")).to_have_count(2)
    expect(report.locator(".kl-along polyline")).to_have_count(2)
    expect(report.locator("summary")).to_contain_text(PAYLOAD)
    with form.expect_download() as download:
        form.locator("#precision-json").click()
    assert download.value.suggested_filename == "precisions-demo.json"
    content = json.loads(Path(download.value.path()).read_text())
    assert [one["name"] for one in content["precisions"]] == ["float32", "bfloat16", "int8"]


def test_a_tasks_rows_show_which_answers_flip(form: "playwright.Page") -> None:
    form.locator("#precision-kind").get_by_label("A task's rows").check()
    expect(form.locator("#precision-prompt")).to_be_hidden()
    form.locator("#precision-task input").fill("piqa")
    form.get_by_role("option", name="piqa:").click()
    form.locator("#precision-data").get_by_label("Made-up samples").check()
    run(form)
    form.locator(".precision-flips summary").first.click()
    expect(form.locator(".flip-table tbody tr").first).to_contain_text("choice")


def test_a_precision_that_does_not_fit_leaves_the_others(form: "playwright.Page") -> None:
    form.locator("#precision-names").get_by_label("float16", exact=True).check()
    run(form)
    expect(form.locator(".precision-report .notice.error")).to_contain_text("<b>It</b> does not fit")
    expect(form.locator(".precision-report .intervals").first).to_contain_text("int8")


def test_stop_keeps_what_was_measured(form: "playwright.Page", manager: PrecisionManager) -> None:
    slow = manager.models.setdefault("int8", DistributionModel("int8"))
    slow.seconds_per_token = 1.0
    form.locator("#precision-run").click()
    expect(form.locator(".precision-report")).to_be_visible()
    form.locator("#precision-stop").click()
    expect(form.locator("#precision-message")).to_contain_text("What was measured until then")
    expect(form.locator("#precision-run")).to_be_enabled()
    slow.seconds_per_token = 0.0


def test_what_can_not_be_compared_is_told(form: "playwright.Page") -> None:
    for name in ("bfloat16", "int8"):
        form.locator("#precision-names").get_by_label(name, exact=True).uncheck()
    form.locator("#precision-run").click()
    expect(form.locator("#precision-message .notice.error")).to_contain_text("from 2 to 6 precisions")
    expect(form.locator("#precision-run")).to_be_enabled()


def test_a_link_opens_the_same_report_again(form: "playwright.Page") -> None:
    form.locator("#precision-kind").get_by_label("A text", exact=True).check()
    form.locator("#precision-text textarea").fill(f"A fox {PAYLOAD} ran.")
    form.locator("#precision-names").get_by_label("bfloat16", exact=True).uncheck()
    run(form)
    address = form.url
    assert "tab=Precision" in address and "on=text" in address
    form.goto("about:blank")
    form.goto(address)
    expect(form.get_by_role("tab", name="Precision", exact=True)).to_have_attribute("aria-selected", "true")
    expect(form.locator("#precision-text textarea")).to_have_value(f"A fox {PAYLOAD} ran.")
    expect(form.locator("#precision-prompt")).to_be_hidden()
    expect(form.locator("#precision-names").get_by_label("bfloat16", exact=True)).not_to_be_checked()
    form.get_by_role("button", name="History").click()
    expect(form.locator(".page-history li b").first).to_have_text(f"A fox {PAYLOAD} ran.")
    form.get_by_role("button", name="Close", exact=True).click()
    run(form)


def test_it_fits_a_phone(form: "playwright.Page") -> None:
    form.set_viewport_size({"width": 390, "height": 800})
    run(form)
    assert form.evaluate("document.documentElement.scrollWidth") <= 390
