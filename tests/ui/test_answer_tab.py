"""The Answer tab: what its controls ask for, which heads may be named, and the endpoint /answer."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.ui.fake_answers import NULL_SCORE, AnsweringManager, AnsweringModel, head_card
from tests.ui.serving import behind_the_guard
from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.text.requests import Span, Spans
from workbench.ui.answer.answer_request import answer_record, build_question, checked_threshold, worked_examples
from workbench.ui.answer.answer_settings import Ask, settings_column
from workbench.ui.answer.answer_settings import _first_head as first_head
from workbench.ui.answer.answer_settings import _lists as lists
from workbench.ui.answer.answer_view import answer_text
from workbench.ui.bench import Bench
from workbench.ui.head_choice import card_markup, fitting_heads, method_choices, picked_head, served_head
from workbench.ui.sides.sides_bar import sides_bar
from workbench.ui.web import build

os.environ.setdefault("NO_PROXY", "localhost,127.0.0.1")

DEMO = ModelSpec("demo")


def bench_of(host: str = "127.0.0.1", manager: AnsweringManager | None = None) -> Bench:
    """A bench with one span head and one classifier."""
    cards = (head_card(), head_card("spam", "classify"))
    return Bench(Settings(host=host), manager or AnsweringManager(cards=cards))  # type: ignore[arg-type]


@pytest.fixture
def ask() -> Ask:
    """The tab's settings."""
    with gr.Blocks():
        return settings_column(sides_bar(bench_of()), DEMO).each[0]


def values_of(ask: Ask, **changes: Any) -> dict[Any, Any]:
    """The values of a page just opened, some of them changed."""
    shown = {part: getattr(part, "value", None) for part in ask.inputs()} | {ask.shots: [["", "", ""]]}
    return shown | {getattr(ask, name): value for name, value in changes.items()}


def test_the_untouched_settings_make_a_request(ask: Ask) -> None:
    request = build_question("Who?", "A fox.", None, ask.settings(values_of(ask)))
    assert (request.n_best, request.max_answer_tokens, request.window_tokens, request.shots) == (10, 30, 384, ())


def test_a_trained_head_gets_no_prompt_and_no_examples(ask: Ask) -> None:
    shots = [["A fox.", "Who?", "fox"]]
    by_model = ask.settings(values_of(ask, shots=shots))
    by_head = ask.settings(values_of(ask, shots=shots, method="squad-lora"))
    assert by_model["shots"] == (("A fox.", "Who?", "fox"),)
    assert not {"shots", "template", "unanswerable"} & by_head.keys()


def read_as(ask: Ask, updates: dict[Any, Any]) -> dict[str, Any]:
    """The values that an update gives the sliders, by their names."""
    return {name: updates[slider].value for name, slider in ask.knobs.items() if slider in updates}


DEFAULTS = {"max_answer_tokens": 30, "window_tokens": 384, "doc_stride": 128}
TRAINED = {"max_answer_tokens": 250, "window_tokens": 16, "doc_stride": 4}


def test_a_picked_head_reads_as_it_was_trained(ask: Ask) -> None:
    assert read_as(ask, ask.read_as(head_card(settings=TRAINED))) == TRAINED
    assert read_as(ask, ask.read_as(head_card())) == read_as(ask, ask.read_as(None)) == DEFAULTS


def test_a_slider_has_room_for_what_a_head_was_trained_with(ask: Ask) -> None:
    for slider in ask.read_as(head_card(settings=TRAINED)).values():
        assert slider.minimum <= slider.value <= slider.maximum


def test_sliders_that_were_moved_stay_until_another_head_answers(ask: Ask) -> None:
    cards = (head_card(settings=TRAINED),)
    bench = bench_of(manager=AnsweringManager(cards=cards))
    assert read_as(ask, lists(bench, ask, DEMO, "squad-lora")) == {}
    assert read_as(ask, lists(bench, ask, DEMO, "", another_model=True)) == {}
    assert read_as(ask, lists(bench, ask, DEMO, "squad-lora", another_model=True)) == TRAINED
    assert read_as(ask, lists(bench, ask, DEMO, "a head that is gone")) == DEFAULTS


def test_a_visitor_who_has_picked_nothing_is_answered_by_a_trained_head(ask: Ask) -> None:
    assert first_head(bench_of(), DEMO) == "squad-lora"
    assert first_head(bench_of(manager=AnsweringManager(cards=())), DEMO) == ""
    assert [value for _, value in lists(bench_of(), ask, DEMO, "")[ask.method].choices] == ["squad-lora", ""]


def test_the_threshold_says_where_it_bites_for_the_picked_method(ask: Ask) -> None:
    bare, head = lists(bench_of(), ask, DEMO, ""), lists(bench_of(), ask, DEMO, "squad-lora")
    assert "between −30 and −10" in bare[ask.threshold].info and "−30" not in head[ask.threshold].info


def test_the_demo_model_is_said_to_be_small(ask: Ask) -> None:
    assert "shows the mechanism only" in lists(bench_of(), ask, DEMO, "")[ask.facts]
    other = lists(bench_of(), ask, ModelSpec("EleutherAI/gpt-j-6b"), "")
    assert "shows the mechanism only" not in other[ask.facts]


def test_empty_rows_are_no_examples_and_half_filled_ones_are_told() -> None:
    assert worked_examples([["", None, " "]]) == ()
    with pytest.raises(BadRequest, match="Example 2 is filled in part"):
        worked_examples([["", "", ""], ["A passage.", "", "answer"]])


@pytest.mark.parametrize("settings, message", [
    ({"heat": 1}, "no setting 'heat'"),
    ({"n_best": "many"}, "n_best must be a whole number"),
    ({"n_best": 2.5}, "n_best must be a whole number"),
    ({"shots": "x"}, "shots is 'x'"),
    ({"template": 5}, "template is 5"),
    ({"template": "{question}"}, "{context} exactly once"),
])  # fmt: skip
def test_a_setting_that_can_not_be_is_told_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message.replace("{", r"\{")):
        build_question("Who?", "A fox.", None, settings)


@pytest.mark.parametrize("value", ["x", None, float("nan"), True])
def test_a_threshold_that_is_no_number_is_told(value: Any) -> None:
    with pytest.raises(BadRequest, match="threshold"):
        checked_threshold(value)


def test_a_record_is_empty_where_the_null_score_wins() -> None:
    spans = Spans((Span("fox", 2, 5, -2.0, 0.6),), -1.0, 1)
    assert answer_record(spans, 0.0)["text"] == "" and answer_record(spans, 0.0)["start"] is None
    assert answer_record(spans, 1.0)["text"] == "fox"


def test_the_views_value_is_json_without_markup() -> None:
    spans = Spans((Span("<b>", 0, 3, float("-2"), 1.0),), float("-inf"), 1)
    text = answer_text("<i>?", "<b> x", 0.0, spans)
    assert "<" not in text and json.loads(text)["context"] == "<b> x" and json.loads(text)["null_score"] is None


def test_without_a_threshold_the_view_gets_none() -> None:
    assert json.loads(answer_text("Q?", "x", float("inf")))["threshold"] is None


def test_only_span_heads_are_offered_and_the_language_model_comes_first() -> None:
    choices = method_choices(fitting_heads(bench_of(), DEMO, "answer"))
    assert choices == [("Language model, no training", ""), ("Trained head: squad-lora", "squad-lora")]


def test_heads_of_one_name_are_all_offered_with_their_folders() -> None:
    cards = [head_card("mood", folder=Path("/srv/models/gpt-j/heads") / name, key=f"x#{name}") for name in "ab"]
    bench = bench_of(manager=AnsweringManager(cards=tuple(cards)))
    choices = method_choices(fitting_heads(bench, DEMO, "answer"))[1:]
    assert choices == [(f"Trained head: mood (gpt-j/heads/{name})", f"mood#{name}") for name in "ab"]
    assert [picked_head(bench, DEMO, "answer", value) for _, value in choices] == cards
    with pytest.raises(BadRequest, match=r"Several heads are called 'mood'\. There are: mood#a, mood#b"):
        picked_head(bench, DEMO, "answer", "mood")


def test_heads_of_one_name_and_two_kinds_need_no_folder() -> None:
    cards = (head_card("mood"), head_card("mood", "classify"))
    bench = bench_of(manager=AnsweringManager(cards=cards))
    assert fitting_heads(bench, DEMO, "answer") == {"mood": cards[0]}


def test_a_heads_facts_leave_out_what_is_no_figure_and_no_name() -> None:
    digest = "0123456789abcdef" * 4
    data = {"file": "a.csv", "sha256": digest, "training": {"file": digest}, "questions": "", "rows": 7}
    markup = card_markup(head_card(data=data))
    assert "with a.csv, 7 rows." in markup and digest not in markup


def test_a_head_that_is_gone_is_told_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"no head 'old'.*squad-lora"):
        picked_head(bench_of(), DEMO, "answer", "old")
    assert picked_head(bench_of(), DEMO, "answer", "") is None


def test_a_head_may_be_a_path_on_this_machine_alone() -> None:
    assert served_head(bench_of("127.0.0.1"), DEMO, "answer", "/home/me/heads/x") == "/home/me/heads/x"
    with pytest.raises(BadRequest, match="no head '/home/me/heads/x'"):
        served_head(bench_of("0.0.0.0"), DEMO, "answer", "/home/me/heads/x")
    assert served_head(bench_of("0.0.0.0"), DEMO, "answer", " squad-lora ") == "squad-lora"


def test_a_card_is_escaped() -> None:
    markup = card_markup(head_card("x", trunk_name="<b>", data={"file": "<i>"}, metrics={"<u>": 1.0}))
    assert "<b>" not in markup and "<i>" not in markup and "<u>" not in markup


@pytest.fixture(scope="module")
def model() -> AnsweringModel:
    """The model behind the served page."""
    return AnsweringModel()


@pytest.fixture(scope="module")
def client(model: AnsweringModel) -> Iterator[Client]:
    """A client of a page that others can reach."""
    cards = (head_card(), head_card("narrow", settings=TRAINED))
    page = build(bench_of("0.0.0.0", AnsweringManager(model, cards)))
    yield Client(behind_the_guard(page, Settings(host="0.0.0.0")), verbose=False)
    page.close()


def test_an_answer_has_the_command_lines_fields(client: Client) -> None:
    answer = client.predict("What?", "A wandering fox.", api_name="/answer")
    assert answer.keys() == {"text", "start", "end", "score", "null_score", "n_best"}
    assert (answer["text"], answer["start"], answer["end"]) == ("wandering", 2, 11)
    assert answer["null_score"] == NULL_SCORE and answer["n_best"][0]["text"] == "wandering"


def test_the_threshold_and_every_setting_go_by_their_names(client: Client, model: AnsweringModel) -> None:
    settings = {"threshold": -2, "n_best": 2, "shots": [["A.", "B?", "A"]]}
    answer = client.predict("What?", "A wandering fox.", settings=settings, api_name="/answer")
    assert answer["text"] == "" and len(answer["n_best"]) == 2 and model.asked[-1].shots == (("A.", "B?", "A"),)


def test_a_listed_head_answers_and_its_key_is_asked(client: Client, model: AnsweringModel) -> None:
    client.predict("What?", "A fox.", head="squad-lora", api_name="/answer")
    assert model.asked[-1].head == head_card().key


def test_a_head_reads_as_it_was_trained_unless_the_caller_says_otherwise(client: Client, model: AnsweringModel) -> None:
    client.predict("What?", "A fox.", head="narrow", settings={"doc_stride": 2}, api_name="/answer")
    asked = model.asked[-1]
    assert (asked.window_tokens, asked.max_answer_tokens, asked.doc_stride) == (16, 250, 2)


@pytest.mark.parametrize("given, message", [
    ({"head": "../heads/squad-lora"}, "no head"),
    ({"head": 5}, "head is 5"),
    ({"question": "BOOM"}, "&lt;b&gt;BOOM"),
    ({"question": 7}, "question must be a text"),
    ({"context": " "}, "passage is empty"),
    ({"settings": {"threshold": "high"}}, "threshold is"),
    ({"settings": [1]}, "must be an object"),
    ({"model": "/etc"}, "not served here"),
])  # fmt: skip
def test_a_bad_request_is_told(client: Client, given: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        client.predict(**{"question": "What?", "context": "A fox.", "api_name": "/answer"} | given)
