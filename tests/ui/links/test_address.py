"""What a link says becomes the controls' values; what it can't say is told and left at its default."""

from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench, Page
from workbench.ui.links.address import MOST_FIELDS, Kept, read_link, read_parts
from workbench.ui.links.address_bar import link_opened
from workbench.ui.links.address_values import default_of, value_of
from workbench.ui.links.saved_presets import preset_loaded
from workbench.ui.sides.sides_bar import sides_bar

SLIDER = gr.Slider(0, 2, 0.8, step=0.05)
TABLE = gr.Dataframe([["x", "y"]], headers=["Text", "Label"], type="array")
LIST = gr.Dropdown([("None", ""), ("Contextual", "contextual")], value="")


@pytest.mark.parametrize("part, text, value", [
    (SLIDER, "1.5", 1.5),
    (gr.Number(3, minimum=0), "7", 7),
    (gr.Number(3), "", None),
    (gr.Checkbox(True), "false", False),
    (gr.Textbox("a"), "<b>\n'%", "<b>\n'%"),
    (gr.Textbox("a"), "", ""),
    (LIST, "contextual", "contextual"),
    (gr.Radio(["a", "b"], value="a"), "", None),
    (gr.CheckboxGroup(["a", "b"]), '["b"]', ["b"]),
    (TABLE, '[["a","b"],["c","d"]]', [["a", "b"], ["c", "d"]]),
    (TABLE, "[]", [["", ""]]),
])  # fmt: skip
def test_a_value_is_read_by_its_control(part: Any, text: str, value: Any) -> None:
    assert value_of(part, text) == value


@pytest.mark.parametrize("part, text, why", [
    (SLIDER, "9", "out of range"),
    (SLIDER, "NaN", "no number"),
    (SLIDER, "true", "no number"),
    (SLIDER, "hot", "can't be read"),
    (SLIDER, "[" * 100_000, "can't be read"),
    (gr.Number(3, minimum=0), "-1", "out of range"),
    (gr.Checkbox(True), "1", "neither true nor false"),
    (LIST, "wrong", "not on the list"),
    (gr.CheckboxGroup(["a"]), '["c"]', "not on the list"),
    (gr.CheckboxGroup(["a"]), '{"a": 1}', "not on the list"),
    (gr.CheckboxGroup(["a"]), "[[]]", "not on the list"),
    (TABLE, '[["a"]]', "no table"),
    (TABLE, '[["a", 1]]', "no table"),
    (gr.Textbox("a"), "a" * 1_000_001, "too long"),
])  # fmt: skip
def test_what_a_control_can_not_hold_is_refused(part: Any, text: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        value_of(part, text)


def test_a_list_that_changes_takes_what_it_has_now() -> None:
    assert value_of(LIST, "mine", known=["mine"]) == "mine"


def test_a_tables_default_is_its_rows() -> None:
    assert default_of(TABLE) == [["x", "y"]]


def test_a_name_that_stands_twice_counts_once() -> None:
    assert read_link("a=1&a=2").fields == {"a": "2"}


@pytest.mark.parametrize("state", [None, 7, "a=1&" * (MOST_FIELDS + 1)])
def test_what_is_no_link_is_told(state: Any) -> None:
    reading = read_link(state)
    assert reading.fields == {} and reading.ignored


@pytest.fixture
def page() -> Page:
    """A page with its sides and nothing else."""
    bench = Bench(Settings(), FakeManager())  # type: ignore[arg-type]
    with gr.Blocks() as blocks:
        return Page(bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides_bar(bench))


PROMPT, HEAD = gr.Textbox("Once"), gr.Dropdown([("None", "")], value="")


def opened(page: Page, state: Any) -> tuple[dict[Any, Any], str]:
    """What a link to a tab with a prompt and a temperature does to a page with one side."""
    parts = {"prompt": PROMPT, "temperature": SLIDER, "b.head": HEAD}
    known = {"b.head": lambda bench, spec: [f"head of {spec.checkpoint}"]}
    tabs = {"Generate": Kept("Generate", parts, (), {"": ["prompt"]}, known)}
    values = {part: part.value for side in page.sides.all for part in (side.model, side.precision)}
    return link_opened(page, tabs, values | {page.sides.count: 1}, state)


def value(update: Any) -> Any:
    return update["value"] if isinstance(update, dict) else getattr(update, "value", update)


def test_a_link_sets_what_it_names_and_the_rest_to_its_defaults(page: Page) -> None:
    updates, words = opened(page, "tab=Generate&prompt=Hello%0A%26+you")
    assert updates[PROMPT] == "Hello\n& you" and updates[SLIDER] == 0.8 and words == ""


def test_a_link_with_two_sides_has_two(page: Page) -> None:
    updates, words = opened(page, "tab=Generate&a=demo&b=EleutherAI/gpt-j-6b&b.precision=int8")
    assert updates[page.sides.count] == 2 and words == ""
    assert value(updates[page.sides.all[1].model]) == "EleutherAI/gpt-j-6b"
    assert value(updates[page.sides.all[1].precision]) == "int8"


def test_a_side_that_is_not_there_is_left_out_and_told(page: Page) -> None:
    updates, words = opened(page, "tab=Generate&a=demo&b=nowhere&c=demo&c.precision=int8")
    assert updates[page.sides.count] == 2 and "nowhere" in words
    assert value(updates[page.sides.all[1].precision]) == "int8"


def test_an_unknown_model_of_side_a_is_the_first_one(page: Page) -> None:
    updates, words = opened(page, "tab=Generate&a=nowhere")
    assert value(updates[page.sides.all[0].model]) == "demo" and "nowhere" in words


def test_a_side_s_list_is_that_of_its_own_model(page: Page) -> None:
    updates, _ = opened(page, "tab=Generate&a=demo&b=EleutherAI/gpt-j-6b&b.head=head+of+EleutherAI/gpt-j-6b")
    assert updates[HEAD] == "head of EleutherAI/gpt-j-6b"


def test_a_link_without_sides_leaves_them_as_they_are(page: Page) -> None:
    updates, _ = opened(page, "tab=Generate")
    assert page.sides.count not in updates


def test_everything_that_is_ignored_is_told_escaped(page: Page) -> None:
    _, words = opened(page, "tab=Generate&temperature=%3Cb%3E&wat=1")
    assert "temperature = &lt;b&gt; can&#x27;t be read" in words and "wat is no setting" in words


def test_a_text_that_was_too_long_for_the_link_is_told_and_empty(page: Page) -> None:
    updates, words = opened(page, "tab=Generate&left_out=prompt")
    assert updates[PROMPT] == "" and "prompt was too long" in words


@pytest.mark.parametrize("state", ["", "tab=Nothing", "tab=%3Cscript%3E", "=&==&%", "\x00", None])
def test_a_link_to_no_tab_changes_nothing_and_says_so(page: Page, state: Any) -> None:
    updates, words = opened(page, state)
    assert updates == {} and "names no tab" in words


def test_a_saved_preset_sets_its_controls() -> None:
    assert preset_loaded({"temperature": SLIDER, "prompt": PROMPT}, "temperature=0.4") == {SLIDER: 0.4, PROMPT: "Once"}


@pytest.mark.parametrize("link, opens, told", [
    ("", "one", 0), ("part=many", "many", 0), ("part=%3Cb%3E", "one", 1), ("table=x", "one", 1)
])  # fmt: skip
def test_a_link_opens_an_inner_tab_and_leaves_a_file_alone(page: Page, link: str, opens: str, told: int) -> None:
    with gr.Blocks():
        file = gr.File()
        with gr.Tabs() as inner:
            gr.Tab("One", id="one")
            gr.Tab("Many", id="many")
    reading = read_link(link)
    values = read_parts(Kept("T", {"table": file}, inner=inner), reading, page.bench, {"a": ModelSpec("one")})
    assert values[inner].selected == opens and file not in values
    assert len(reading.ignored) + len(reading.fields) == told


def test_parts_of_a_side_know_the_side(page: Page) -> None:
    specs = {"a": ModelSpec("one"), "b": ModelSpec("two"), "c": ModelSpec("three")}
    kept = Kept("T", {"b.head": HEAD}, known={"b.head": lambda _, spec: [spec.checkpoint]})
    assert read_parts(kept, read_link("b.head=two"), page.bench, specs) == {HEAD: "two"}
