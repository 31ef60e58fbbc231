"""The Train tab in a real browser: planned before it starts, watched while it learns, stopped with what is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.pages import expect, open_tab, playwright, serve, watched
from tests.ui.fake_answers import AnsweringManager, head_card
from tests.ui.fake_training import ScriptedTraining, scripted_plan
from workbench.ui.tabs import train

PAYLOAD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def training() -> ScriptedTraining:
    """The scripted training behind the page."""
    return ScriptedTraining(0.05)


@pytest.fixture(scope="module")
def url(training: ScriptedTraining) -> Iterator[str]:
    """The address of a page whose trainings and plans are scripted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "train_head", training.steps)
        patch.setattr(train, "plan_training", scripted_plan)
        patch.setattr(train, "read_card", lambda folder: head_card(folder.name, "classify"))
        page, address = serve(AnsweringManager())
        yield address
        page.close()


@pytest.fixture
def form(tab: "playwright.Page") -> "playwright.Page":
    """The page on its Train tab."""
    open_tab(tab, "Train")
    expect(tab.locator("#train-plan")).to_contain_text("Upload the data")
    return tab


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Labelled texts, one label hostile."""
    path = tmp_path / "sms.csv"
    path.write_text(f"id,message,kind\n1,win,spam\n2,hello,{PAYLOAD}\n3,see you,{PAYLOAD}\n", encoding="utf-8")
    return path


def start(form: "playwright.Page", data: Path, name: str) -> None:
    """Uploads, names the head and starts."""
    form.locator("#train-data input[type=file]").set_input_files(data)
    form.locator(".data-facts").wait_for()
    form.get_by_label("Name of the head").fill(name)
    form.get_by_label("Name of the head").press("Control+Enter")


def test_the_plan_follows_the_form_before_anything_starts(form: "playwright.Page", data: Path) -> None:
    form.locator("#train-data input[type=file]").set_input_files(data)
    expect(form.locator(".train-plan .verdict")).to_contain_text("It fits")
    expect(form.locator(".train-plan li")).to_have_count(4)
    form.locator("#train-method").get_by_label("Full").check()
    expect(form.locator(".train-plan .verdict")).to_contain_text("It does not fit. Choose <b>LoRA</b>.")
    form.locator("#train-method").get_by_label("LoRA").check()
    expect(form.locator(".train-plan li.picked")).to_contain_text("LoRA")
    expect(form.get_by_role("button", name="LoRA")).to_be_visible()


def test_a_training_is_watched_to_its_end(form: "playwright.Page", training: ScriptedTraining, data: Path) -> None:
    start(form, data, "my head")
    expect(form.locator("#train-message .notice.error")).to_contain_text("letters, digits and dashes")
    expect(form.locator("#train-facts")).to_contain_text(PAYLOAD[:20])
    assert form.locator("#train-facts img").count() == 0
    form.get_by_label("Name of the head").fill("my-head")
    form.locator("#train-run").click()
    expect(form.locator("#train-progress")).to_contain_text("of 40")
    expect(form.locator("#train-run")).to_be_disabled()
    expect(form.locator("#train-message .notice.good")).to_contain_text("Pick “my-head” as the method on the Classify")
    expect(form.locator("#train-curves polyline")).to_have_count(3)
    expect(form.locator("#train-run")).to_be_enabled()
    assert (
        training.requests[-1].text_column == "message"
        and training.requests[-1].label_column == "kind"
        and training.requests[-1].folder.name == "my-head"
    )


def test_stop_keeps_the_best_so_far_and_says_so(
    form: "playwright.Page", training: ScriptedTraining, data: Path
) -> None:
    training.seconds = 0.5
    try:
        start(form, data, "my-head")
        expect(form.locator("#train-progress")).to_contain_text("of 40")
        form.keyboard.press("Escape")
        expect(form.locator("#train-message .notice")).to_contain_text("the best head so far is kept")
    finally:
        training.seconds = 0.05
    expect(form.locator("#train-run")).to_be_enabled()


def test_a_phone_needs_no_sideways_scrolling(browser: "playwright.Browser", url: str, data: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    for page in watched(context, url):
        open_tab(page, "Train")
        page.locator("#train-data input[type=file]").set_input_files(data)
        page.locator("#train-plan .plan").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
