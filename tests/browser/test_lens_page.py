"""The token lens in a real browser: keys, focus and the clipboard; and the list of models beside it."""

from collections.abc import Iterator

import pytest

from tests.browser.lens_pages import LONG, PAYLOAD, serve_lenses
from tests.browser.pages import ask_for_a_long_text, expect, generate, playwright, serve, watched
from tests.ui.fake import FakeManager
from workbench.manager import ModelSpec


def test_tokens_can_be_walked_with_the_keyboard(tab: "playwright.Page") -> None:
    generate(tab)
    expect(tab.locator("#run")).to_be_enabled()
    tab.locator('.tok[tabindex="0"]').first.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    expect(tab.locator(".tok.pinned")).to_have_attribute("data-i", "2")
    tab.keyboard.press("Escape")
    expect(tab.locator(".tok.pinned")).to_have_count(0)


def test_escape_lets_go_of_a_token_before_it_stops_the_text(tab: "playwright.Page") -> None:
    ask_for_a_long_text(tab)
    generate(tab)
    tab.locator(".lens-tokens .tok").nth(2).click()
    expect(tab.locator(".tok.pinned")).to_have_count(1)
    tab.keyboard.press("Escape")
    expect(tab.locator(".tok.pinned")).to_have_count(0)
    expect(tab.locator("#stop")).to_be_enabled()
    tab.keyboard.press("Escape")
    expect(tab.locator("#run")).to_be_enabled()


def test_the_tab_key_comes_to_the_token_that_was_clicked(tab: "playwright.Page") -> None:
    generate(tab)
    expect(tab.locator("#run")).to_be_enabled()
    tab.locator(".lens-tokens .tok").nth(4).click()
    expect(tab.locator('.tok[tabindex="0"]')).to_have_attribute("data-i", "4")
    expect(tab.locator('.lens-tokens .tok[tabindex="0"]')).to_have_count(1)


def test_copy_works_without_a_clipboard_object_and_tells_when_it_can_not(tab: "playwright.Page") -> None:
    generate(tab)
    expect(tab.locator("#run")).to_be_enabled()
    tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    tab.evaluate("document.execCommand = (what) => { window.copied = document.activeElement.value; return true; }")
    copy = tab.locator('[data-do="copy"]')
    copy.click()
    expect(copy).to_have_text("Copied")
    assert tab.evaluate("window.copied").startswith("Once upon a time the old fox")
    expect(copy).to_have_text("Copy")
    tab.evaluate("document.execCommand = () => false")
    copy.click()
    expect(copy).to_have_text("Copying is not allowed")


def test_the_list_of_models_is_as_it_is_now_when_the_page_opens(browser: "playwright.Browser") -> None:
    manager = FakeManager()
    page, address = serve(manager)
    manager.load(ModelSpec("demo", precision="nf4"))
    context = browser.new_context()
    for opened in watched(context, address):
        opened.get_by_label("Model", exact=True).click()
        expect(opened.get_by_role("option", name="demo · nf4")).to_be_visible()
    context.close()
    page.close()


@pytest.fixture(scope="module")
def lenses_url() -> Iterator[str]:
    """The address of a page of two lenses."""
    page, address = serve_lenses()
    yield address
    page.close()


@pytest.fixture(params=[1280, 390])
def lenses(
    request: pytest.FixtureRequest, browser: "playwright.Browser", lenses_url: str
) -> Iterator["playwright.Page"]:
    """The page of lenses on a desk and on a phone."""
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    yield from watched(context, lenses_url)
    context.close()


def press(page: "playwright.Page", name: str) -> None:
    """Fills both lenses."""
    page.get_by_role("button", name=name, exact=True).click()


def test_the_token_where_two_texts_part_is_marked_in_both_with_words(lenses: "playwright.Page") -> None:
    press(lenses, "Part")
    for side, other, index in (("a", "B", "1"), ("b", "A", "1")):
        marked = lenses.locator(f"#lens-{side} .tok[data-parts]")
        expect(marked).to_have_count(1)
        expect(marked).to_have_attribute("data-i", index)
        expect(marked).to_have_attribute("data-from", f"≠ {other}")
    expect(lenses.locator("#lens-b .lens-parts")).to_contain_text("Token 2 parts from A, which has “·fox”")
    expect(lenses.locator("#lens-b .lens-parts")).to_contain_text("which had 25 % here")
    lenses.locator("#lens-a .tok[data-parts]").hover()
    expect(lenses.locator("#lens-a .lens-side")).to_contain_text("parts from B, which has “·wolf”")


def test_the_same_texts_are_told_to_be_the_same(lenses: "playwright.Page") -> None:
    press(lenses, "Same")
    expect(lenses.locator("#lens-a .lens-parts")).to_have_text("The same text as B.")
    expect(lenses.locator(".tok[data-parts]")).to_have_count(0)


def test_a_text_that_ends_where_the_other_goes_on_parts_there(lenses: "playwright.Page") -> None:
    press(lenses, "End")
    expect(lenses.locator("#lens-a .lens-parts")).to_have_text("Token 2: B goes on where this text ends.")
    expect(lenses.locator("#lens-b .lens-parts")).to_have_text("Token 2 parts from A, which ends here.")


def test_without_the_other_column_nothing_parts(lenses: "playwright.Page") -> None:
    press(lenses, "Part")
    expect(lenses.locator("#lens-a .tok[data-parts]")).to_have_count(1)
    press(lenses, "Remove")
    expect(lenses.locator("#lens-a .tok[data-parts]")).to_have_count(0)
    expect(lenses.locator("#lens-a .lens-parts")).to_be_hidden()


def test_each_scored_token_shows_its_difference_as_a_number(lenses: "playwright.Page") -> None:
    press(lenses, "Differ")
    first = lenses.locator("#lens-a .lens-tokens .tok")
    expect(first).to_have_text([" go", "od"])
    expect(first.first).to_have_attribute("data-difference", "+0.80")
    expect(lenses.locator("#lens-b .lens-tokens .tok").first).to_have_attribute("data-difference", "−0.80")
    assert first.first.evaluate("node => getComputedStyle(node, '::after').content") == '"+0.80"'
    expect(lenses.locator("#lens-a .by-difference")).to_contain_text("likelier here than under B")
    first.first.hover()
    expect(lenses.locator("#lens-a .lens-side")).to_contain_text("2.2 times likelier than under B")
    lenses.locator('#lens-a [data-do="difference"]').click()
    assert first.first.evaluate("node => getComputedStyle(node, '::after').content") == "none"


def test_a_scored_text_is_picked_and_stays_picked(lenses: "playwright.Page") -> None:
    press(lenses, "Differ")
    labels = lenses.locator("#lens-a .lens-pick")
    expect(labels).to_have_count(2)
    expect(labels.nth(1)).to_contain_text("right answer")
    labels.nth(0).click()
    expect(lenses.locator("#lens-a .lens-tokens .tok")).to_have_text([" ba", "d"])
    press(lenses, "Part")
    press(lenses, "Differ")
    expect(lenses.locator("#lens-a .lens-tokens .tok")).to_have_text([" ba", "d"])


def test_hostile_texts_stay_texts_and_fit_the_page(lenses: "playwright.Page") -> None:
    press(lenses, "Hostile")
    expect(lenses.locator("#lens-a .lens-tokens .tok").first).to_have_text(PAYLOAD)
    lenses.locator("#lens-a .lens-tokens .tok").first.hover()
    expect(lenses.locator("#lens-a .lens-side")).to_contain_text(PAYLOAD)
    expect(lenses.locator("#lens-b .lens-tokens .tok").nth(1)).to_have_text(LONG)
    assert lenses.locator(".lens img, .lens script").count() == 0
    assert lenses.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_branches_a_rival_is_no_button(lenses: "playwright.Page") -> None:
    press(lenses, "Part")
    lenses.locator("#lens-a .lens-tokens .tok").first.hover()
    expect(lenses.locator("#lens-a .other")).to_have_count(2)
    expect(lenses.locator("#lens-a button.other")).to_have_count(0)
