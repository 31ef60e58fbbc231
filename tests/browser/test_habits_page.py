"""What a browser keeps for its visitor: earlier runs, saved settings; and the code of what is on screen."""

import pytest

from tests.browser.pages import expect, generate, open_tab, playwright

HOSTILE = 'It\'s <b>a</b> $HOME `x` \\ "day"'


def written(tab: "playwright.Page", prompt: str) -> None:
    """Writes a short text to its end."""
    tab.get_by_label("number input for Length, at most").first.fill("5")
    generate(tab, prompt)
    expect(tab.locator("#run")).to_be_enabled()


def test_an_earlier_run_is_opened_again_from_the_history(tab: "playwright.Page") -> None:
    written(tab, HOSTILE)
    open_tab(tab, "Answer")
    tab.get_by_role("button", name="History").click()
    run = tab.locator(".page-history li button")
    expect(run.locator("b")).to_have_text(HOSTILE)
    expect(run.locator("span")).to_contain_text("Generate · demo · ")
    run.click()
    expect(tab.locator(".page-history")).to_be_hidden()
    expect(tab.get_by_role("tab", name="Generate", exact=True)).to_have_attribute("aria-selected", "true")
    expect(tab.get_by_label("Prompt")).to_have_value(HOSTILE)
    expect(tab.get_by_label("number input for Length, at most").first).to_have_value("5")


def test_many_texts_are_noted_and_open_their_own_part_again(tab: "playwright.Page") -> None:
    open_tab(tab, "Classify")
    tab.get_by_role("tab", name="Many texts").click()
    tab.get_by_label("Texts, one a line").fill("First text\nSecond text")
    tab.locator("#many-run").click()
    expect(tab.locator("#many-run")).to_be_enabled()
    tab.get_by_role("tab", name="One text").click()
    tab.get_by_role("button", name="History").click()
    run = tab.locator(".page-history li button")
    expect(run.locator("b")).to_have_text("First text Second text")
    run.click()
    expect(tab.get_by_label("Texts, one a line")).to_be_visible()
    expect(tab.get_by_label("Texts, one a line")).to_have_value("First text\nSecond text")


def test_the_history_keeps_the_newest_of_its_runs_and_forgets_them_all(tab: "playwright.Page") -> None:
    tab.evaluate("""localStorage.setItem("workbench-history", JSON.stringify(
        Array.from({length: 30}, (_, n) => ({at: n, tab: "Generate", about: "old " + n, sides: [], state: "n=" + n}))
    ))""")
    written(tab, "The newest")
    tab.get_by_role("button", name="History").click()
    expect(tab.locator(".page-history li")).to_have_count(30)
    expect(tab.locator(".page-history li b").first).to_have_text("The newest")
    tab.get_by_role("button", name="Forget all runs").click()
    expect(tab.locator(".page-history li")).to_have_count(0)
    expect(tab.locator(".page-history .none")).to_be_visible()


@pytest.mark.parametrize("broken", ["not json", "{}", "[null, 7, {}]"])
def test_a_broken_history_is_an_empty_one(tab: "playwright.Page", broken: str) -> None:
    tab.evaluate("(text) => localStorage.setItem('workbench-history', text)", broken)
    tab.get_by_role("button", name="History").click()
    expect(tab.locator(".page-history .none")).to_be_visible()


def test_settings_are_saved_loaded_and_deleted_by_a_name(tab: "playwright.Page") -> None:
    presets, temperature = tab.locator("#presets-a"), tab.get_by_label("number input for Temperature").first
    temperature.fill("0.3")
    temperature.blur()
    presets.get_by_label("Save these settings as").fill("<i>cold</i>")
    presets.get_by_role("button", name="Save", exact=True).click()
    expect(presets.locator(".preset-said")).to_have_text("Saved as <i>cold</i>.")
    tab.goto(tab.url.partition("#")[0])
    tab.locator("#run").wait_for()
    expect(presets.get_by_label("Saved settings")).to_have_value("<i>cold</i>")
    presets.get_by_role("button", name="Load").click()
    expect(temperature).to_have_value("0.3")
    presets.get_by_role("button", name="Delete").click()
    expect(presets.get_by_role("button", name="Load")).to_be_disabled()


def test_the_code_of_what_is_on_screen_is_shown_and_copied(tab: "playwright.Page") -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.get_by_label("Prompt").fill(HOSTILE)
    panel = tab.locator("#generate-code")
    panel.locator("summary").click()
    expect(panel.locator("pre")).to_contain_text(f"prompt={HOSTILE!r}")
    panel.get_by_role("button", name="curl").click()
    expect(panel.locator("pre")).to_contain_text(tab.url.partition("#")[0].rstrip("/"))
    panel.get_by_role("button", name="Copy").click()
    expect(panel.locator(".code-said")).to_have_text("Copied.")
    assert tab.evaluate("navigator.clipboard.readText()") == panel.locator("pre").inner_text()


def test_what_can_not_be_asked_has_words_in_place_of_code(tab: "playwright.Page") -> None:
    open_tab(tab, "Benchmark")
    panel = tab.locator("#bench-code")
    panel.locator("summary").click()
    expect(panel.locator("pre")).to_contain_text("No task is ticked")
