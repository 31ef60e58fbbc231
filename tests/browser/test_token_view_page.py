"""The token view in a real browser: keys, focus and the clipboard; and the list of models beside it."""

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
