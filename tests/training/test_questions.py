"""Questions: where the answer stands in each window, and how validation turns logits into answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.text.tiny import TOKENIZER
from tests.training.toy import write_questions
from workbench.training.head_request import TrainAnswer
from workbench.training.questions import AskedQuestions, read_asked

PASSAGE = "The unicorn walked to the green hill, and the children said: nobody answered the old king."


def question(number: int, answer: str | None, context: str = PASSAGE, **more: Any) -> dict[str, Any]:
    answers = [] if answer is None else [answer]
    return {"id": str(number), "question": "Who?", "context": context, "answers": answers,
            "is_impossible": answer is None, **more}  # fmt: skip


def read(folder: Path, rows: list[dict[str, Any]], **changes: Any) -> AskedQuestions:
    path = write_questions(folder / "questions.jsonl", rows)
    values = {"validation_share": 0.0, "window_tokens": 24, "doc_stride": 6} | changes
    return read_asked(TrainAnswer(data=str(path), out="o", **values), TOKENIZER, 64)


def certain(asked: AskedQuestions, say: dict[str, tuple[int, int] | None]) -> list[np.ndarray]:
    """Logits that are sure of a piece of the passage for each question, or of none."""
    logits = []
    for one in asked.validation:
        place = say[one.question.id]
        for window in one.windows:
            found = None if place is None else window.locate(*place)
            values = np.full((len(window.tokens), 2), -9.0, dtype=np.float32)
            first, last = found or (window.null_index, window.null_index)
            values[first, 0] = values[last, 1] = 9.0
            logits.append(values)
    return logits


def test_each_window_points_at_the_answer_or_at_its_last_token(tmp_path: Path) -> None:
    asked = read(tmp_path, [question(0, "old king"), question(1, None)])
    split = asked.split()
    assert len(split.training) == len(asked.training[0].windows) + len(asked.training[1].windows) >= 4
    found = 0
    for example in split.training:
        first, last = map(int, example.target)
        if (first, last) == (len(example.tokens) - 1,) * 2:
            continue
        assert TOKENIZER.decode(example.tokens[first : last + 1]).strip() == "old king"
        found += 1
    assert found >= 1


def test_questions_that_nobody_answered_are_dropped_and_counted(tmp_path: Path) -> None:
    unknown = {"question": "Who?", "context": PASSAGE, "id": "9"}
    asked = read(tmp_path, [question(0, "king"), question(1, "queen"), unknown, question(2, None)])
    assert asked.facts["dropped"] == {"no answer given": 1, "no answer that stands in the passage": 1}
    assert asked.facts["questions"] == 4 and asked.facts["training"] == 2


def test_a_passage_is_on_one_side_only(tmp_path: Path) -> None:
    rows = [question(number, "king", f"{number % 5} {PASSAGE}") for number in range(30)]
    asked = read(tmp_path, rows, validation_share=0.3)
    sides = [{one.question.context for one in side} for side in (asked.training, asked.validation)]
    assert sides[1] and not sides[0] & sides[1]


def test_sure_logits_give_full_marks(tmp_path: Path) -> None:
    rows = [question(0, "green hill", f"0 {PASSAGE}"), question(1, None, f"1 {PASSAGE}")]
    path = write_questions(tmp_path / "validation.jsonl", rows)
    asked = read(tmp_path, [question(5, "king")], validation=str(path))
    start = rows[0]["context"].index("green hill")
    right = certain(asked, {"0": (start, start + 10), "1": None})
    assert asked.measure(right) == {"exact": 100.0, "f1": 100.0}
    half = certain(asked, {"0": (start, start + 5), "1": None})
    assert asked.measure(half) == {"exact": 50.0, "f1": pytest.approx(50 * (1 + 2 / 3))}
    wrong = certain(asked, {"0": None, "1": (start, start + 10)})
    assert asked.measure(wrong) == {"exact": 0.0, "f1": 0.0}


def test_where_every_question_has_an_answer_the_best_span_counts(tmp_path: Path) -> None:
    path = write_questions(tmp_path / "validation.jsonl", [question(0, "hill")])
    asked = read(tmp_path, [question(5, "king")], validation=str(path))
    logits = certain(asked, {"0": (PASSAGE.index("hill"), PASSAGE.index("hill") + 4)})
    for values in logits:
        values[-1] = 20.0  # "no answer" is likelier everywhere
    assert asked.measure(logits)["exact"] == 100.0
