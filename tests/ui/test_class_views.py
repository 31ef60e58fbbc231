"""What the Classify tab draws: every number where it belongs, and no text of others as markup."""

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.evals.methods.labels import ClassPrediction
from workbench.ui.charts.charts import LEFT, SIDE, TOP, chart, line
from workbench.ui.charts.metrics_view import MOST_CLASSES, metrics_markup
from workbench.ui.classify.class_view import MOST_BARS, Cost, answer_words, is_right, percent, prediction_markup
from workbench.ui.classify.threshold_view import best_threshold, sweepable, threshold_markup

HOSTILE = "<img src=x onerror=alert(1)>\"'&lt;${alert(2)}"
TAGS = {
    *("section", "div", "h2", "p", "b", "span", "small", "ol", "li", "i", "dl", "dt", "dd", "figure", "figcaption"),
    *("table", "thead", "tbody", "tr", "td", "th", "strong"),
    *("svg", "text", "line", "polyline", "rect", "circle", "title"),
}


class Markup(HTMLParser):
    """The tags and attributes of a markup, and its text."""

    def __init__(self, markup: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remembers a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Remembers a text."""
        self.text += data

    def harmless(self) -> bool:
        """Whether there are our own tags alone, without a script's attribute."""
        names = [name for _, attributes in self.tags for name in attributes]
        return {tag for tag, _ in self.tags} <= TAGS and not any(name.startswith("on") for name in names)


def predicted(scores: dict[str, float], gold: str | None = None, **others: Any) -> ClassPrediction:
    """A prediction of the likeliest label."""
    label = max(scores, key=scores.__getitem__)
    return ClassPrediction("1", others.pop("text", "a text"), label, scores, gold=gold, **others)


def judged(count: int = 40) -> list[ClassPrediction]:
    """Predictions of two classes, three of four right."""
    return [
        predicted({"a": 0.8, "b": 0.2} if i % 2 else {"a": 0.3, "b": 0.7}, "ab"[(i % 2 == 0) ^ (i % 4 == 3)])
        for i in range(count)
    ]


def test_bars_stand_in_the_order_of_their_probabilities() -> None:
    text = Markup(prediction_markup(predicted({"low": 0.1, "high": 0.7, "middle": 0.2}))).text
    assert text.index("high") < text.index("middle") < text.index("low")


def test_what_calibration_changed_is_told() -> None:
    same = predicted({"a": 0.6, "b": 0.4}, uncalibrated={"a": 0.9, "b": 0.1})
    turned = predicted({"a": 0.6, "b": 0.4}, uncalibrated={"a": 0.1, "b": 0.9})
    assert "The answer stayed the same" in prediction_markup(same) and "was 90 %" in prediction_markup(same)
    assert "would have been b" in Markup(prediction_markup(turned)).text


def test_ten_thousand_labels_do_not_fill_the_page() -> None:
    markup = Markup(prediction_markup(predicted({str(i): 1e-4 for i in range(10_000)})))
    assert sum(tag == "li" for tag, _ in markup.tags) == MOST_BARS and "9,970 more labels" in markup.text


def test_the_cost_is_shown_where_it_is_known() -> None:
    prediction = predicted({"a": 0.6, "b": 0.4})
    assert "Tokens read" in prediction_markup(prediction, Cost(2, 17, 0.5))
    assert "Tokens read" not in prediction_markup(prediction)


def test_a_prompt_beyond_the_context_is_told() -> None:
    prediction = predicted({"a": 0.6, "b": 0.4}, unseen_tokens=30)
    assert "did not see the first 30 tokens" in prediction_markup(prediction)
    assert "Tokens read</dt><dd>570" in prediction_markup(prediction, Cost(2, 600, 1))


def test_the_end_of_a_text_that_a_head_did_not_read_is_told() -> None:
    read = ClassPrediction("1", "t", "a", {"a": 0.6, "b": 0.4}, logits={"a": 1.0, "b": 0.6}, unseen_tokens=30)
    number = ClassPrediction("1", "t", number=2.5, logits={"stars": 2.5}, unseen_tokens=30)
    for prediction in (read, number):
        assert "The last 30 tokens were not read" in prediction_markup(prediction)
        assert "first 30" not in prediction_markup(prediction)


def test_a_number_several_labels_and_an_error_have_words() -> None:
    number = ClassPrediction("1", "t", number=2.5, gold_number=3.0)
    several = predicted({"a": 0.9, "b": 0.8, "c": 0.1}, labels=("a", "b"), gold_labels=("b", "a"))
    failed = ClassPrediction("1", "t", error="Too long.")
    assert [answer_words(one) for one in (number, several, failed)] == ["2.5", "a, b", ""]
    assert [is_right(one) for one in (number, several, failed)] == [None, True, None]
    assert "right: 3" in prediction_markup(number) and "Too long." in prediction_markup(failed)


@pytest.mark.parametrize(
    "value, words", [(0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.042, "4.2 %"), (0.5, "50 %"), (1, "100 %")]
)
def test_probabilities_are_short(value: float, words: str) -> None:
    assert percent(value) == words


@given(st.text(), st.text(min_size=1))
def test_no_text_of_others_is_markup(text: str, label: str) -> None:
    scores = {label: 0.6, label + "2": 0.4}
    one = predicted(scores, label + "2", text=text + HOSTILE)
    views = (prediction_markup(one), metrics_markup([one]), threshold_markup([one], label + "2", 0.5))
    assert all(Markup(view).harmless() for view in views)
    assert HOSTILE in Markup(metrics_markup([one])).text


def test_the_metrics_are_drawn_from_the_predictions() -> None:
    text = Markup(metrics_markup(judged())).text
    assert "Accuracy75.0 %" in text and "Confusion matrix" in text and "ECE" in text and "Most confident" in text


def test_there_are_no_metrics_without_right_answers() -> None:
    assert metrics_markup([predicted({"a": 1.0, "b": 0.0})]) == "" == metrics_markup([])


def test_right_answers_outside_of_the_labels_are_told() -> None:
    text = Markup(metrics_markup([predicted({"a": 0.6, "b": 0.4}, "Spam"), *judged(4)])).text
    assert "1 right answers are not among the labels" in text and "“Spam”" in text


def test_many_classes_are_cut_to_the_most_frequent() -> None:
    labels = [str(i) for i in range(60)]
    predictions = [predicted({name: float(name == label) for name in labels}, label) for label in labels]
    cells = [
        attributes
        for tag, attributes in Markup(metrics_markup(predictions)).tags
        if tag == "td" and "title" in attributes
    ]
    assert len(cells) == MOST_CLASSES**2


def test_several_labels_have_their_own_figures() -> None:
    text = Markup(metrics_markup([predicted({"a": 0.9, "b": 0.1}, labels=("a",), gold_labels=("a", "b"))])).text
    assert "Micro-F1" in text and "Each class" in text and "Confusion" not in text


def test_a_threshold_gives_the_class_from_there_on() -> None:
    text = Markup(threshold_markup(judged(), "a", 0.25)).text
    assert "“a” from 0.25 on" in text and "Given40" in text
    assert "Given20" in Markup(threshold_markup(judged(), "a", 0.5)).text


def test_the_best_threshold_separates_the_classes() -> None:
    assert 0.3 < best_threshold(judged(), "a") <= 0.8


def test_the_rarest_class_comes_first() -> None:
    predictions = [predicted({"a": 0.6, "b": 0.4}, gold) for gold in "aab"]
    assert sweepable(predictions) == ["b", "a"] and sweepable([]) == []


def test_a_point_stands_where_its_numbers_say() -> None:
    assert f"{LEFT + SIDE / 2:.1f},{TOP + SIDE:.1f}" in line([(0.5, 0.0)], "curve")
    assert 'aria-label="a &lt; b"' in chart("a < b", "x", "y", [])
