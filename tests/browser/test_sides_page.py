"""Sides in a real browser: models beside each other on the Generate tab, and blind comparisons of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import (
    SLOW_SECONDS,
    add_side,
    ask_for_a_long_text,
    expect,
    generate,
    open_tab,
    pick,
    playwright,
    serve,
    watched,
)
from tests.ui.fake import FakeLanguageModel, FakeManager
from workbench.engine.jobs import Sampling
from workbench.manager import DEMO_FOLDER, ModelManager, ModelSpec
from workbench.settings import Settings
from workbench.text.requests import Generate

ENDED = "length reached"
UNHURRIED_SECONDS = 0.2
"""A token: 1000 of them take minutes."""


@pytest.fixture(scope="module")
def url(model: FakeLanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a page that keeps its votes in a temporary folder."""
    page, address = serve(FakeManager(model), Settings(runs_folder=tmp_path_factory.mktemp("runs")))
    yield address
    page.close()


def texts(tab: "playwright.Page", letter: str) -> list[str]:
    """The tokens of a column."""
    return tab.locator(f"#lens-{letter} .lens-tokens .tok").all_inner_texts()


def ended(tab: "playwright.Page", *letters: str) -> None:
    """Waits until these columns' texts have ended."""
    for letter in letters:
        expect(tab.locator(f"#figures-{letter} .end")).to_have_text(ENDED)
    expect(tab.locator("#run")).to_be_enabled()


def length(tab: "playwright.Page", tokens: int) -> None:
    """Asks for texts of so many tokens."""
    tab.get_by_label("number input for Length, at most").first.fill(str(tokens))
    tab.get_by_label("number input for Length, at most").first.press("Tab")


def saved_text(tab: "playwright.Page", letter: str) -> dict[str, Any]:
    """What Save JSON of a column hands out."""
    with tab.expect_download() as download:
        tab.locator(f"#lens-{letter} [data-do=json]").click()
    found: dict[str, Any] = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    return found


def blind(tab: "playwright.Page") -> None:
    """Two blind texts, written to their ends."""
    length(tab, 12)
    tab.locator("#blind input").check()
    tab.locator("#run").click()
    tab.locator("#vote").wait_for()


def test_one_side_stands_without_letters(tab: "playwright.Page") -> None:
    generate(tab)
    expect(tab.get_by_label("Model", exact=True)).to_be_visible()
    expect(tab.locator(".side-name")).to_be_hidden()
    expect(tab.get_by_role("tab", name="A", exact=True)).to_be_hidden()


@pytest.fixture
def slow(model: FakeLanguageModel) -> Iterator[FakeLanguageModel]:
    """The model, so slow that its text has not ended however busy the machine is."""
    model.seconds_per_token = UNHURRIED_SECONDS
    yield model
    model.seconds_per_token = SLOW_SECONDS


def test_two_sides_stream_at_once(tab: "playwright.Page", slow: FakeLanguageModel) -> None:
    add_side(tab)
    ask_for_a_long_text(tab)
    generate(tab)
    tab.locator("#lens-b .lens-tokens .tok").nth(3).wait_for()
    expect(tab.locator("#stop")).to_be_enabled()
    assert 3 < len(texts(tab, "a")) < 1000 and 3 < len(texts(tab, "b")) < 1000
    tab.locator("#stop").click()
    expect(tab.locator("#run")).to_be_enabled()


def test_two_sides_write_with_the_same_seed_and_tell_their_own_figures(
    tab: "playwright.Page", model: FakeLanguageModel
) -> None:
    add_side(tab, "int8")
    length(tab, 12)
    generate(tab)
    ended(tab, "a", "b")
    assert texts(tab, "a") == texts(tab, "b") and len(texts(tab, "a")) == 12
    assert model.requests[-1].seed == model.requests[-2].seed
    expect(tab.locator(".side-name")).to_have_text(["A demo", "B demo · int8"])
    expect(tab.locator("#figures-b")).to_contain_text("6.9 MiB")


def test_stop_stops_every_side(tab: "playwright.Page", slow: FakeLanguageModel) -> None:
    closed = slow.closed
    add_side(tab)
    ask_for_a_long_text(tab)
    generate(tab)
    tab.locator("#stop").click()
    expect(tab.locator("#run")).to_be_enabled()
    for _ in range(100):
        if slow.closed == closed + 2:
            break
        tab.wait_for_timeout(100)
    steps = slow.steps
    tab.wait_for_timeout(int(5 * UNHURRIED_SECONDS * 1000))
    assert slow.closed == closed + 2 and slow.steps == steps


def test_a_branch_goes_on_in_its_own_column(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    add_side(tab)
    length(tab, 12)
    generate(tab)
    ended(tab, "a", "b")
    before = texts(tab, "a")
    tab.locator("#lens-b .lens-tokens .tok").nth(5).click()
    tab.locator("#lens-b .other:not(:disabled)").first.click()
    expect(tab.locator("#lens-b .tok.branch")).to_have_count(1)
    assert model.requests[-1].forced == (0, 1, 2, 3, 4, 6)
    ended(tab, "b")
    assert texts(tab, "a") == before != texts(tab, "b")


def test_one_sides_error_leaves_the_other_going(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    add_side(tab)
    length(tab, 12)
    tab.get_by_role("tab", name="B", exact=True).click()
    tab.locator(".as-a-b input").uncheck()
    tab.get_by_role("button", name="Stopping and banning").last.click()
    tab.get_by_label("Banned texts").last.fill("BOOM")
    generate(tab)
    ended(tab, "a")
    expect(tab.locator("#notice-b")).to_contain_text("<b>BOOM</b>")
    expect(tab.locator("#notice-a")).to_be_hidden()


def test_a_side_may_have_settings_of_its_own_and_take_as(tab: "playwright.Page", model: FakeLanguageModel) -> None:
    add_side(tab)
    length(tab, 9)
    tab.get_by_role("tab", name="B", exact=True).click()
    expect(tab.get_by_role("button", name="Copy from A")).to_have_count(0)
    tab.locator(".as-a-b input").uncheck()
    expect(tab.get_by_label("number input for Length, at most").last).to_have_value("120")
    tab.get_by_role("button", name="Copy from A").click()
    expect(tab.get_by_label("number input for Length, at most").last).to_have_value("9")
    temperature = tab.get_by_label("number input for Temperature").last
    temperature.fill("0")
    temperature.press("Tab")
    generate(tab)
    ended(tab, "a", "b")
    assert sorted(one.sampling.temperature for one in model.requests[-2:]) == [0.0, 0.8]


def test_sides_are_added_swapped_and_removed(tab: "playwright.Page") -> None:
    add_side(tab, "int8")
    add_side(tab, "nf4")
    expect(tab.locator("#add-side")).to_be_hidden()
    tab.locator("#swap-sides").click()
    expect(tab.get_by_label("Precision A", exact=True)).to_have_value("int8")
    expect(tab.get_by_label("Precision B", exact=True)).to_have_value("As stored")
    tab.locator("#remove-b").click()
    expect(tab.get_by_label("Precision B", exact=True)).to_have_value("nf4")
    expect(tab.locator("#lens-c")).to_be_hidden()
    tab.locator("#remove-b").click()
    expect(tab.get_by_label("Model", exact=True)).to_have_value("demo")
    expect(tab.locator("#swap-sides")).to_be_hidden()
    expect(tab.locator("#lens-b")).to_be_hidden()


def test_texts_move_with_their_models_when_sides_are_swapped(tab: "playwright.Page") -> None:
    add_side(tab, "int8")
    length(tab, 8)
    generate(tab)
    ended(tab, "a", "b")
    before = [saved_text(tab, letter) for letter in ("a", "b")]
    tab.locator("#swap-sides").click()
    expect(tab.locator(".side-name:visible")).to_have_text(["A demo · int8", "B demo"])
    after = [saved_text(tab, letter) for letter in ("a", "b")]
    assert [one["model"] for one in after] == ["demo · int8", "demo"] and [one["side"] for one in after] == ["A", "B"]
    assert [one["tokens"] for one in after] == [one["tokens"] for one in before[::-1]]


def test_blind_comparison_stands_only_where_it_acts(tab: "playwright.Page") -> None:
    expect(tab.locator("#blind")).to_be_hidden()
    add_side(tab)
    expect(tab.locator("#blind")).to_be_visible()
    open_tab(tab, "Classify")
    expect(tab.locator("#blind")).to_be_hidden()


def test_sides_that_do_not_fit_together_are_told_at_once_and_can_be_made_to(tab: "playwright.Page") -> None:
    add_side(tab)
    pick(tab, "Model B", "EleutherAI/gpt-j-6b")
    expect(tab.locator("#sides-notice")).to_contain_text("do not fit in memory together")
    expect(tab.locator("#sides-notice")).to_contain_text("They fit with B in nf4.")
    tab.locator("#run").click()
    expect(tab.locator("#generate-notice")).to_contain_text("They fit with B in nf4.")
    tab.get_by_role("button", name="Take nf4 for B").click()
    expect(tab.get_by_label("Precision B", exact=True)).to_have_value("nf4")
    expect(tab.locator("#sides-notice")).to_be_hidden()


def test_a_blind_comparison_hides_names_until_the_vote(tab: "playwright.Page") -> None:
    add_side(tab, "int8")
    blind(tab)
    expect(tab.locator(".side-name > b")).to_have_text(["Left", "Right"])
    expect(tab.locator("#figures-a .figures")).to_have_class("figures idle")
    assert "int8" not in tab.locator(".sides").first.inner_text()
    tab.locator("#vote-right").click()
    expect(tab.locator("#vote-message")).to_contain_text("Better: demo")
    expect(tab.locator("#vote")).to_be_hidden()
    assert sorted(name.split()[0] for name in tab.locator(".side-name").all_inner_texts()) == ["A", "B"]
    ended(tab, "a", "b")
    saved = [saved_text(tab, letter) for letter in ("a", "b")]
    assert sorted((one["side"], one["model"]) for one in saved) == [("A", "demo"), ("B", "demo · int8")]
    heads = tab.locator(".sides").first.locator(".side-name").all_inner_texts()
    assert all(one["side"] in head and one["model"] in head for one, head in zip(saved, heads, strict=False))


def test_votes_are_counted_and_can_be_saved(tab: "playwright.Page") -> None:
    add_side(tab, "nf4")
    for choice in ("tie", "bad"):
        blind(tab)
        tab.locator(f"#vote-{choice}").click()
        tab.locator("#vote-message .notice").wait_for()
    tab.get_by_role("button", name="Blind votes").click()
    table = tab.locator(".tally", has_text="demo · nf4")
    expect(table.locator("caption")).to_have_text("2 votes")
    expect(table.locator("td:not(.share)")).to_have_text(["0", "0", "1", "1"])
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save all votes").click()
    assert download.value.suggested_filename == "blind-votes.jsonl"
    last = json.loads(Path(download.value.path()).read_text(encoding="utf-8").splitlines()[-1])
    assert last["choice"] == "bad" and last["prompt"] and len(last["contenders"]) == 2


def test_unticking_blind_tells_who_wrote_what(tab: "playwright.Page") -> None:
    add_side(tab, "int8")
    blind(tab)
    tab.locator("#blind input").uncheck()
    expect(tab.locator(".side-name", has_text="demo · int8")).to_have_count(1)
    expect(tab.locator("#vote")).to_be_hidden()


def test_three_blind_texts_have_a_middle(tab: "playwright.Page") -> None:
    add_side(tab)
    add_side(tab)
    blind(tab)
    expect(tab.locator(".side-name > b")).to_have_text(["Left", "Middle", "Right"])
    tab.get_by_role("button", name="Middle is better").click()
    expect(tab.locator("#vote-message")).to_contain_text("Better: demo (")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_three_sides_need_no_sideways_scrolling_on_a_phone(browser: "playwright.Browser", url: str, theme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in watched(context, f"{url}?__theme={theme}"):
        add_side(page)
        add_side(page)
        length(page, 12)
        generate(page)
        ended(page, "a", "b", "c")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        widths = page.evaluate("[...document.querySelectorAll('.side-column')].map(node => node.clientWidth)")
        assert min(widths[:3]) > 300  # below each other
    context.close()


@pytest.mark.skipif(not (DEMO_FOLDER / "config.json").exists(), reason="the demo checkpoint is not here")
def test_two_columns_streaming_give_each_the_tokens_that_it_has_alone(browser: "playwright.Browser") -> None:
    manager = ModelManager()
    served, address = serve(manager)
    context = browser.new_context(accept_downloads=True)
    for page in watched(context, address):
        add_side(page, "int8")
        page.get_by_label("New seed each time").uncheck()
        page.get_by_label("Seed", exact=True).fill("11")
        length(page, 48)
        generate(page, "The fox said")
        expect(page.locator("#run")).to_be_enabled()
        for letter, precision in (("a", None), ("b", "int8")):
            saved = saved_text(page, letter)
            request = Generate(
                "The fox said", max_new_tokens=48, seed=11, sampling=Sampling(temperature=0.8, top_p=0.95)
            )
            with manager.lease(ModelSpec(precision=precision)) as model:
                alone = model.generate(request)
            assert [token["id"] for token in saved["tokens"]] == [token.id for token in alone.tokens]
    context.close()
    served.close()
    manager.close()
