"""The state of the page in its address: a link opens the same tab, sides, settings and texts again."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.browser.pages import expect, generate, open_tab, playwright, watched
from workbench.ui.web import TABS

HOSTILE = 'It\'s a "day" & <img src=x onerror=alert(1)>\n100 % of $HOME \\ é +'


@pytest.fixture
def open_link(browser: "playwright.Browser", url: str) -> Iterator[object]:
    """Opens addresses of the page, each as another visitor would, and watches them."""
    visits = []

    def opened(address: str) -> "playwright.Page":
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        visit = watched(context, url + address.removeprefix(url))
        visits.append((context, visit))
        return next(visit)

    yield opened
    for context, visit in visits:
        with pytest.raises(StopIteration):
            next(visit)
        context.close()


def test_the_address_of_a_text_opens_it_again_with_its_sides_and_settings(tab: "playwright.Page", open_link) -> None:
    tab.locator("#add-side").click()
    tab.get_by_label("number input for Temperature").first.fill("0.4")
    generate(tab, HOSTILE)
    again = open_link(tab.url)
    expect(again.get_by_label("Prompt")).to_have_value(HOSTILE)
    expect(again.get_by_label("number input for Temperature").first).to_have_value("0.4")
    expect(again.locator("#side-b-model")).to_be_visible()
    expect(again.locator("#link-notice")).to_be_hidden()


def test_the_link_of_a_text_draws_by_its_seed_again(tab: "playwright.Page", open_link) -> None:
    generate(tab, "Once upon a time")
    seed = tab.get_by_label("Seed", exact=True).input_value()
    again = open_link(tab.url)
    expect(again.get_by_label("Seed", exact=True)).to_have_value(seed)
    expect(again.get_by_label("New seed each time")).not_to_be_checked()


def test_a_run_in_the_history_has_the_seed_that_wrote_its_text(tab: "playwright.Page") -> None:
    generate(tab, "Once upon a time")
    seed = tab.get_by_label("Seed", exact=True).input_value()
    generate(tab, "Once upon a time")
    expect(tab.get_by_label("Seed", exact=True)).not_to_have_value(seed)
    tab.get_by_role("button", name="History").click()
    tab.locator(".page-history li button").nth(1).click()
    expect(tab.get_by_label("Seed", exact=True)).to_have_value(seed)


@pytest.mark.parametrize("name", [entry.name for entry in TABS])
def test_a_link_opens_its_tab(open_link, name: str) -> None:
    page = open_link(f"#tab={quote(name)}")
    expect(page.get_by_role("tab", name=name, exact=True).first).to_have_attribute("aria-selected", "true")


def test_the_address_names_the_tab_that_is_open(tab: "playwright.Page") -> None:
    expect(tab.locator(".model-line.ready")).to_be_visible()
    open_tab(tab, "Answer")
    tab.wait_for_url("**#tab=Answer&a=demo*")


def test_a_copied_link_opens_what_was_written_on_another_tab(tab: "playwright.Page", open_link) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_tab(tab, "Classify")
    tab.locator("#class-labels textarea").fill("yes, no")
    tab.get_by_role("button", name="Copy link").click()
    expect(tab.locator(".page-said")).to_have_text("The link is copied.")
    again = open_link(tab.evaluate("navigator.clipboard.readText()"))
    expect(again.locator("#class-labels textarea")).to_have_value("yes, no")


def test_what_a_link_can_not_say_is_told_as_text(open_link) -> None:
    page = open_link("#tab=Generate&a=%3Cb%3Enowhere&temperature=hot&top_p=0.5&%3Cscript%3E=1&prompt=Hello")
    notice = page.locator("#link-notice")
    expect(notice).to_contain_text("a = <b>nowhere is not on the list")
    expect(notice).to_contain_text("temperature = hot can't be read")
    expect(notice).to_contain_text("<script> is no setting of this page")
    expect(page.get_by_label("Prompt")).to_have_value("Hello")
    expect(page.get_by_label("number input for Top-p").first).to_have_value("0.5")


def test_a_text_that_is_too_long_for_a_link_is_left_out_and_told(tab: "playwright.Page", open_link) -> None:
    tab.get_by_label("Prompt").fill("long " * 20_000)
    tab.get_by_role("button", name="Copy link").click()
    expect(tab.locator(".page-said")).to_contain_text("It leaves out prompt, too long for a link.")
    assert len(tab.url) < 500
    page = open_link(tab.url)
    expect(page.locator("#link-notice")).to_contain_text("prompt was too long")
    expect(page.get_by_label("Prompt")).to_have_value("")


def test_a_link_pasted_into_an_open_page_is_opened_there(tab: "playwright.Page") -> None:
    expect(tab.locator(".model-line.ready")).to_be_visible()
    tab.evaluate("location.hash = 'tab=Generate&prompt=Pasted'")
    expect(tab.get_by_label("Prompt")).to_have_value("Pasted")
