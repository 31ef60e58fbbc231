"""The page in a real browser, on a scripted model; a last test writes with the demo checkpoint itself."""

import re
import time
from pathlib import Path

import pytest

from tests.browser.pages import (
    SLOW_SECONDS,
    WAIT_MS,
    ask_for_a_long_text,
    expect,
    generate,
    open_tab,
    playwright,
    serve,
    tokens,
    watched,
)
from tests.ui.fake import FakeLanguageModel
from workbench.manager import DEMO_FOLDER, ModelManager
from workbench.speed import MEASURED


def test_the_page_is_there_before_the_model_and_says_how_it_loads(tab: "playwright.Page") -> None:
    expect(tab.get_by_label("Prompt")).to_be_visible()
    expect(tab.locator(".model-line.ready")).to_contain_text("7.2 M parameters")


def test_a_text_streams_token_by_token_in_colour(tab: "playwright.Page") -> None:
    generate(tab)
    early = len(tokens(tab))
    expect(tab.locator(".figures .end")).to_have_text("length reached")
    assert 3 < early < 120 == len(tokens(tab))
    assert tab.locator(".lens-tokens .tok.p0").count() > 0 and tab.locator(".lens-tokens .tok.p4").count() > 0
    expect(tab.locator(".figures")).to_contain_text("20.0 tokens/s")
    expect(tab.locator(".figures")).to_contain_text("of 512")
    expect(tab.locator(".lens-prompt")).to_have_text("Once upon a time")


def test_stop_stops_and_frees_the_model(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    closed = model.closed
    ask_for_a_long_text(tab)
    generate(tab)
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.locator("#run")).to_be_enabled()
    expect(tab.locator(".figures.running .end span")).to_be_hidden()  # the style sheet says "stopped" in its place
    for _ in range(100):  # the page does not wait until the server has heard of it
        if model.closed == closed + 1:
            break
        tab.wait_for_timeout(100)
    count, steps = len(tokens(tab)), model.steps
    tab.wait_for_timeout(int(10 * SLOW_SECONDS * 1000))
    assert model.closed == closed + 1 and model.steps == steps
    assert count <= len(tokens(tab)) < 1000


def test_the_keys_run_and_stop(tab: "playwright.Page") -> None:
    expect(tab.locator(".model-line.ready")).to_be_visible()
    ask_for_a_long_text(tab)
    tab.get_by_label("Prompt").press("Control+Enter")
    expect(tab.locator("#stop")).to_be_enabled()
    tab.keyboard.press("Escape")
    expect(tab.locator("#run")).to_be_enabled()
    assert len(tokens(tab)) < 1000


def test_a_closed_browser_frees_the_model(browser: "playwright.Browser", url: str, model: FakeLanguageModel) -> None:
    closed, steps = model.closed, model.steps
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(url)
    ask_for_a_long_text(page)
    generate(page)
    context.close()
    for _ in range(100):
        if model.closed > closed:
            break
        time.sleep(0.1)
    assert model.closed == closed + 1 and model.steps < steps + 1000


def test_an_alternative_branches_from_its_place(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    generate(tab)
    expect(tab.locator("#run")).to_be_enabled()
    before = tokens(tab)
    tab.locator(".lens-tokens .tok").nth(5).click()
    expect(tab.locator(".lens-side")).to_contain_text("rank")
    choice = tab.locator(".other:not(:disabled)").first
    expect(choice).to_have_accessible_name("·and 4.0 %")
    expect(choice).to_have_accessible_description("Branch with this token")
    choice.click()
    expect(tab.locator(".lens-tokens .tok.branch")).to_have_text(" and")
    assert model.requests[-1].forced == (0, 1, 2, 3, 4, 6)
    assert model.requests[-1].seed == model.requests[-2].seed and model.requests[-1].prompt == "Once upon a time"
    assert tokens(tab)[:5] == before[:5]


def test_a_branch_stops_what_is_being_written(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    closed = model.closed
    ask_for_a_long_text(tab)
    generate(tab)
    tab.locator(".lens-tokens .tok").nth(1).click()
    tab.locator(".other:not(:disabled)").first.click()
    expect(tab.locator(".lens-tokens .tok.branch")).to_have_count(1)
    expect(tab.locator("#stop")).to_be_enabled()
    tab.locator(".lens-tokens .tok").nth(3).click()
    tab.locator(".other:not(:disabled)").first.click()
    expect(tab.locator('.lens-tokens .tok.branch[data-i="3"]')).to_have_count(1)
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.locator("#run")).to_be_enabled()
    tab.wait_for_timeout(int(10 * SLOW_SECONDS * 1000))
    assert len(model.requests[-1].forced) == 4 and model.closed == closed + 3


def test_hostile_texts_are_shown_and_never_run(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    payload = "<img src=x onerror=alert(1)><script>alert(2)</script>${alert(3)}{{4}}"
    model.words = lambda step: payload if step == 2 else f" w{step}"
    try:
        generate(tab, payload)
    finally:
        model.words = None
    expect(tab.locator(".lens-tokens .tok").nth(2)).to_have_text(payload)
    tab.locator(".lens-tokens .tok").nth(2).hover()
    expect(tab.locator(".token-name")).to_have_text(payload.replace(" ", "·"))
    expect(tab.locator(".lens-prompt")).to_have_text(payload)
    assert tab.locator(".lens img, .lens script").count() == 0


def test_an_error_is_shown_as_text_and_the_page_goes_on(tab: "playwright.Page") -> None:
    expect(tab.locator(".model-line.ready")).to_be_visible()
    tab.get_by_label("Prompt").fill("BOOM")
    tab.locator("#run").click()
    expect(tab.locator("#notice-a")).to_contain_text("The prompt holds <b>BOOM</b>. Take it out.")
    expect(tab.locator("#run")).to_be_enabled()
    generate(tab)
    expect(tab.locator("#notice-a")).to_be_hidden()


def test_an_example_fills_the_prompt(tab: "playwright.Page") -> None:
    tab.get_by_role("button", name="Unicorns").click()
    expect(tab.get_by_label("Prompt")).to_have_value(re.compile("^In a shocking finding"))


def test_a_preset_moves_the_sliders_and_a_slider_leaves_the_preset(tab: "playwright.Page") -> None:
    tab.get_by_label("Creative").check()
    temperature = tab.get_by_label("number input for Temperature")
    expect(temperature).to_have_value("1.1")
    temperature.fill("0.3")
    temperature.blur()
    expect(tab.get_by_label("Creative")).not_to_be_checked()


def test_a_result_can_be_saved(tab: "playwright.Page") -> None:
    generate(tab)
    expect(tab.locator("#run")).to_be_enabled()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save JSON").click()
    assert '"alternatives"' in Path(download.value.path()).read_text(encoding="utf-8")


def test_a_plan_is_drawn_and_a_model_loaded_and_unloaded(tab: "playwright.Page") -> None:
    tab.get_by_role("tab", name="Models").click()
    tab.get_by_label("Checkpoint").fill("EleutherAI/gpt-j-6b")
    tab.get_by_label("Checkpoint").press("Enter")
    tab.get_by_role("button", name="Plan", exact=True).click()
    expect(tab.locator(".plan .verdict")).to_contain_text("It does not fit")
    expect(tab.locator(".precisions li")).to_have_count(5)
    tab.get_by_role("button", name="Load", exact=True).click()
    expect(tab.locator("#plan")).to_contain_text("EleutherAI/gpt-j-6b is loaded")
    expect(tab.locator(".card")).to_have_count(2)
    tab.get_by_role("button", name="Unload EleutherAI/gpt-j-6b").click()
    expect(tab.locator(".card")).to_have_count(1)


def test_a_failed_load_is_told_and_the_old_model_stays(tab: "playwright.Page") -> None:
    tab.get_by_role("tab", name="Models").click()
    tab.get_by_label("Checkpoint").fill("<b>nowhere</b>")
    tab.get_by_label("Checkpoint").press("Enter")
    tab.get_by_role("button", name="Load", exact=True).click()
    expect(tab.locator("#plan .notice.error")).to_contain_text("<b>nowhere</b>")
    expect(tab.locator(".card")).to_have_count(1)
    expect(tab.locator("#load-button")).to_be_enabled()


def test_a_measurement_is_shown_and_stopped(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    closed, model.seconds_per_token = model.closed, 0.2
    tab.get_by_role("tab", name="Models").click()
    expect(tab.locator(".machine b")).to_contain_text("GB/s")
    tab.locator(".measure").first.click()
    expect(tab.locator(".speed .progress")).to_contain_text("Measuring")
    tab.locator(".halt").click()
    expect(tab.locator(".measure").first).to_be_visible()
    model.seconds_per_token = SLOW_SECONDS
    for _ in range(100):
        if model.closed > closed:
            break
        tab.wait_for_timeout(100)
    assert model.requests[-1] == MEASURED and model.closed == closed + 1


@pytest.mark.parametrize("name", ["Generate", "Models"])
def test_a_phone_needs_no_sideways_scrolling(browser: "playwright.Browser", url: str, name: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in watched(context, url):
        generate(page)
        open_tab(page, name)
        if name == "Models":
            page.locator("#plan-button").click()
            page.locator(".plan").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_dark_and_light_can_be_switched(browser: "playwright.Browser", url: str) -> None:
    context = browser.new_context()
    for page in watched(context, f"{url}?__theme=dark"):
        paper = "getComputedStyle(document.querySelector('.lens')).backgroundColor"
        dark = page.evaluate(paper)
        page.get_by_role("button", name="Switch between light and dark").click()
        assert page.evaluate(paper) != dark
    context.close()


@pytest.mark.skipif(not (DEMO_FOLDER / "config.json").exists(), reason="the demo checkpoint is not here")
def test_the_demo_model_writes(browser: "playwright.Browser") -> None:
    manager = ModelManager()
    served, address = serve(manager)
    context = browser.new_context()
    for page in watched(context, address):
        generate(page)
        expect(page.locator("#run")).to_be_enabled()
        page.locator(".lens-tokens .tok").nth(2).click()
        page.locator(".other:not(:disabled)").first.click()
        expect(page.locator(".lens-tokens .tok.branch")).to_have_attribute("data-i", "2")
    context.close()
    served.close()
    manager.close()
