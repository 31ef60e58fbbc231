"""The Answer tab in a real browser: exact spans, a threshold that decides at once, hostile texts, a file."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.pages import expect, open_tab, playwright, serve, watched
from tests.ui.fake_answers import AnsweringManager, AnsweringModel

PAYLOAD = "<img src=x onerror=alert(1)><script>alert(2)</script>${alert(3)}{{4}}"


@pytest.fixture(scope="module")
def model() -> AnsweringModel:
    """The scripted model behind the page."""
    return AnsweringModel()


@pytest.fixture(scope="module")
def url(model: AnsweringModel) -> Iterator[str]:
    """The address of the page on the scripted model."""
    page, address = serve(AnsweringManager(model))
    yield address
    page.close()


@pytest.fixture
def answers(tab: "playwright.Page") -> "playwright.Page":
    """The page on its Answer tab."""
    open_tab(tab, "Answer")
    tab.locator("#answer-run").wait_for()
    return tab


def ask(page: "playwright.Page", question: str, context: str) -> None:
    """Asks and waits for the end of it."""
    page.get_by_label("Question", exact=True).fill(question)
    page.get_by_label("Passage", exact=True).fill(context)
    page.locator("#answer-run").click()
    expect(page.locator("#answer-view .n-best tbody tr").first).to_be_visible()
    expect(page.locator("#answer-run")).to_be_enabled()


def test_the_answer_is_marked_at_its_exact_characters(answers: "playwright.Page") -> None:
    ask(answers, "Who?", "An 😀 emoji, then Zoltan the pathfinder é.")
    expect(answers.locator("#answer-view mark.best")).to_have_text("pathfinder")
    expect(answers.locator("#answer-view .found-verdict")).to_have_text("pathfinder")
    expect(answers.locator("#answer-view .found-passage")).to_have_text("An 😀 emoji, then Zoltan the pathfinder é.")


def test_a_row_shows_where_its_span_stands(answers: "playwright.Page") -> None:
    ask(answers, "Who?", "One wolf, three foxes.")
    answers.locator("#answer-view .n-best tr[data-rank='2']").hover()
    expect(answers.locator("#answer-view mark.looked")).to_have_text("wolf")
    answers.locator("#answer-view .n-best tr[data-rank='1'] button").click()
    answers.mouse.move(1, 1)
    expect(answers.locator("#answer-view mark.looked")).to_have_text("foxes")


def test_the_threshold_decides_without_asking_again(answers: "playwright.Page", model: AnsweringModel) -> None:
    ask(answers, "Who?", "One wolf, three foxes.")
    asked = len(model.asked)
    threshold = answers.get_by_label("number input for No-answer threshold")
    threshold.fill("-2")
    threshold.press("Tab")
    expect(answers.locator("#answer-view .found-verdict")).to_have_text("no answer in the passage")
    threshold.fill("0")
    threshold.press("Tab")
    expect(answers.locator("#answer-view .found-verdict")).to_have_text("three")
    assert len(model.asked) == asked


def test_hostile_texts_are_shown_and_never_run(answers: "playwright.Page") -> None:
    ask(answers, PAYLOAD, f"{PAYLOAD} and a fox")
    expect(answers.locator("#answer-view .found-passage")).to_have_text(f"{PAYLOAD} and a fox")
    assert answers.locator("#answer-view img, #answer-view script").count() == 0


def test_an_error_is_shown_as_text_and_the_page_goes_on(answers: "playwright.Page") -> None:
    answers.get_by_label("Question", exact=True).fill("BOOM")
    answers.locator("#answer-run").click()
    expect(answers.locator("#answer-notice")).to_contain_text("The question holds <b>BOOM</b>. Take it out.")
    ask(answers, "Who?", "A fox.")
    expect(answers.locator("#answer-notice")).to_be_hidden()


def test_the_keys_run_and_stop(answers: "playwright.Page", model: AnsweringModel) -> None:
    closed, asked, model.seconds = model.closed, len(model.asked), 20.0
    try:
        answers.get_by_label("Question", exact=True).press("Control+Enter")
        expect(answers.locator("#answer-notice .progress")).to_contain_text("of 10 windows")
        answers.keyboard.press("Escape")
        expect(answers.locator("#answer-run")).to_be_enabled()
        for _ in range(300):
            if model.closed > closed:
                break
            time.sleep(0.1)
    finally:
        model.seconds = 0.0
    assert model.closed == closed + 1 and len(model.asked) == asked


def test_a_trained_head_is_picked_with_its_facts(answers: "playwright.Page", model: AnsweringModel) -> None:
    answers.get_by_label("Method").click()
    answers.get_by_role("option", name="Trained head: squad-lora").click()
    expect(answers.get_by_role("group", name="About this head")).to_contain_text("52.8 %")
    ask(answers, "Who?", "A fox.")
    assert model.asked[-1].head == "heads/squad-lora#1"


def test_a_file_is_answered_measured_and_taken_away(answers: "playwright.Page", tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "Who?", "context": "A pathfinder came.", "answers": ["pathfinder"]},
        {"id": "b", "question": PAYLOAD, "context": "A goat waited.", "answers": []},
    ]
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    answers.get_by_role("tab", name="A file of questions").click()
    answers.locator("#answer-file input[type=file]").set_input_files(file)
    expect(answers.locator("#batch-file-notice")).to_contain_text("2 questions: 1 with an answer")
    answers.locator("#answer-all").click()
    figures = answers.locator("#batch-figures")
    expect(figures).to_contain_text("By the rules of SQuAD 2.0")
    expect(figures.locator("div", has_text="Exact match").first).to_contain_text("50.00")
    expect(answers.locator("#batch-curve svg")).to_be_visible()
    expect(answers.locator("#answer-table")).to_contain_text(PAYLOAD)
    assert answers.locator("#answer-table img").count() == 0
    expect(answers.locator("#batch-notice")).not_to_contain_text("Stopped")
    answers.locator("#answer-table [data-testid=cell-0-2]").click()
    expect(answers.locator("#answer-one mark.best")).to_have_text("pathfinder")
    threshold = answers.get_by_label("number input for No-answer threshold")
    threshold.fill("-2")
    threshold.press("Tab")
    expect(figures.locator("div", has_text="No answer given").first).to_contain_text("2")
    with answers.expect_download() as download:
        answers.get_by_role("button", name="Save SQuAD JSON").click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8")) == {"a": "", "b": ""}


def test_stop_keeps_what_was_answered(answers: "playwright.Page", model: AnsweringModel, tmp_path: Path) -> None:
    rows = [{"id": str(i), "question": "Who?", "context": "A fox.", "answers": ["fox"]} for i in range(200)]
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    answers.get_by_role("tab", name="A file of questions").click()
    answers.locator("#answer-file input[type=file]").set_input_files(file)
    expect(answers.locator("#batch-file-notice")).to_contain_text("200 questions")
    model.seconds = 0.1
    try:
        answers.locator("#answer-all").click()
        expect(answers.locator("#answer-table")).to_contain_text("fox")
        answers.locator("#answer-all-stop").click()
        expect(answers.locator("#batch-notice")).to_contain_text("kept below")
    finally:
        model.seconds = 0.0
    expect(answers.locator("#answer-all")).to_be_enabled()
    expect(answers.get_by_role("button", name="Save CSV").last).to_be_visible()
    expect(answers.locator("#batch-figures")).to_contain_text("of 200")


def test_two_sides_answer_beside_each_other_and_a_threshold_tells_them_apart(answers: "playwright.Page") -> None:
    answers.locator("#add-side").click()
    answers.locator(".side-settings:visible").get_by_role("tab", name="B", exact=True).click()
    answers.locator(".as-a-b:visible input").uncheck()
    ask(answers, "Who?", "One wolf, three foxes.")
    expect(answers.locator("#answer-compared")).to_contain_text("A and B give the same answer.")
    threshold = answers.get_by_label("number input for No-answer threshold").locator("visible=true")
    threshold.fill("-2")
    threshold.press("Tab")
    expect(answers.locator("#answer-view-b .found-verdict")).to_have_text("no answer in the passage")
    expect(answers.locator("#answer-view .found-verdict")).to_have_text("three")
    expect(answers.locator("#answer-compared")).to_contain_text("The answers of A and B differ.")
    expect(answers.locator(".side-mark:visible")).to_have_text("≠ not as A")


def by_likelihood(answers: "playwright.Page") -> None:
    """Asks the language model, not the head that answers at first."""
    answers.locator("#answer-method").get_by_label("Method").click()
    answers.get_by_role("option", name="Language model, no training").click()


def test_the_tokens_of_each_answer_show_how_the_sides_differ(answers: "playwright.Page") -> None:
    by_likelihood(answers)
    answers.locator("#add-side").click()
    ask(answers, "Who?", "One wolf, three foxes.")
    answers.locator("#answer-look").click()
    for side in "ab":
        expect(answers.locator(f"#answer-lens-{side} .lens-pick")).to_have_count(4)
    expect(answers.locator("#answer-lens-b .tok[data-difference]").first).to_be_visible()
    expect(answers.locator("#answer-lens-a .tok[data-difference]")).to_have_count(0)
    answers.locator("#answer-lens-b .lens-pick", has_text="foxes").click()
    expect(answers.locator("#answer-lens-b .lens-tokens .core").first).to_contain_text("foxes")


def test_stop_ends_the_look_at_the_tokens(answers: "playwright.Page", model: AnsweringModel) -> None:
    by_likelihood(answers)
    ask(answers, "Who?", "One wolf, three foxes.")
    model.seconds = 5.0
    try:
        answers.locator("#answer-look").click()
        expect(answers.locator("#answer-look-notice .progress")).to_be_visible()
        answers.keyboard.press("Escape")
        expect(answers.locator("#answer-look")).to_be_enabled()
        expect(answers.locator("#answer-look-notice .progress")).to_be_hidden()
    finally:
        model.seconds = 0.0


def test_a_phone_needs_no_sideways_scrolling(browser: "playwright.Browser", url: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in watched(context, url):
        open_tab(page, "Answer")
        page.locator("#add-side").click()
        page.locator("#answer-run").click()
        page.locator("#answer-view-b mark.best").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
