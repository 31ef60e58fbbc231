"""/classify as a program calls it: plain values in and out, and every wrong one told."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.ui.fake_classes import ClassifyingManager
from tests.ui.serving import behind_the_guard
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.web import build

os.environ.setdefault("NO_PROXY", "localhost,127.0.0.1")


def served(host: str) -> Iterator[tuple[Client, ClassifyingManager]]:
    """A client of a page that takes itself to serve at an address."""
    manager = ClassifyingManager()
    settings = Settings(host=host)
    page = build(Bench(settings, manager))  # type: ignore[arg-type]
    yield Client(behind_the_guard(page, settings), verbose=False), manager
    page.close()


@pytest.fixture(scope="module")
def here() -> Iterator[tuple[Client, ClassifyingManager]]:
    """A page for this machine alone."""
    yield from served("127.0.0.1")


@pytest.fixture(scope="module")
def public() -> Iterator[tuple[Client, ClassifyingManager]]:
    """A page for everybody."""
    yield from served("0.0.0.0")


def classify(page: tuple[Client, ClassifyingManager], text: Any = "a great film", **values: Any) -> dict[str, Any]:
    """The endpoint's answer."""
    answer: dict[str, Any] = page[0].predict(text, api_name="/classify", **values)
    return answer


@pytest.mark.parametrize("labels", ["positive, negative", ["positive", "negative"]])
def test_a_text_gets_its_label_and_all_scores(here: Any, labels: Any) -> None:
    answer = classify(here, labels=labels, template="{text}\nMood:")
    assert answer["label"] == "positive" and set(answer["scores"]) == {"positive", "negative"}
    assert sum(answer["scores"].values()) == pytest.approx(1) and answer["loglikelihoods"]["negative"] == -3.0
    assert answer["tokens"] > 0 and answer["seconds"] >= 0 and "uncalibrated" not in answer


def test_settings_go_by_their_names(here: Any) -> None:
    settings = {"calibration": "contextual", "shots": [["dull", "negative"]], "normalization": "tokens"}
    answer = classify(here, labels="positive,negative", settings=settings)
    assert answer["uncalibrated"]["positive"] > answer["scores"]["positive"]
    assert here[1].model.asked[-1].context.startswith("dull\nLabel: negative\n\n")


def test_a_head_answers_with_its_own_labels(here: Any) -> None:
    answer = classify(here, "claim your free prize", head="sms-probe")
    assert answer["label"] == "spam" and set(answer["logits"]) == {"ham", "spam"}


@pytest.mark.parametrize("values, message", [
    ({"text": "  "}, "The text is empty: there is nothing to classify"),
    ({"text": 5}, "text must be a text; got int"),
    ({"labels": None}, "No labels are given"),
    ({"labels": "a"}, "at least two labels"),
    ({"template": "x"}, "exactly once"),
    ({"settings": {"heat": 1}}, "no setting &#x27;heat&#x27;|no setting 'heat'"),
    ({"settings": [1]}, "must be an object"),
    ({"head": 7}, "head is 7"),
    ({"head": "nowhere"}, "no head"),
    ({"model": "nowhere"}, "nowhere"),
    ({"text": "BOOM"}, "&lt;b&gt;BOOM&lt;/b&gt;"),
])  # fmt: skip
def test_a_wrong_value_is_told(here: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(AppError, match=message):
        classify(here, **{"labels": "a,b"} | values)


def test_on_a_public_page_a_head_goes_by_its_listed_name_alone(public: Any) -> None:
    assert classify(public, "claim it", head="sms-probe")["label"] == "spam"
    with pytest.raises(AppError, match="There is no head"):
        classify(public, head="heads/sms-probe")
    assert public[1].used == ["sms-probe"]


def test_on_this_machine_a_head_may_be_a_folder(here: Any) -> None:
    assert classify(here, "claim it", head="heads/sms-probe")["label"] == "spam"
