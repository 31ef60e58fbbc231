"""The rows of our own writing are what their tasks say: balanced, answerable where they claim so, without repeats."""

import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

import pytest

from tasks import our_cloze, our_questions, our_sentiment, our_stories
from workbench.evals.data.rows import Row
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.task import Task

TASKS: tuple[Task[Any], ...] = (our_sentiment.TASK, our_questions.TASK, our_cloze.TASK, our_stories.TASK)
COUNTS = {"our_sentiment": 80, "our_questions": 60, "our_cloze": 60, "our_stories": 60}
TEXTS = {
    "our_sentiment": [row["sentence"] for row in our_sentiment.TASK.samples],
    "our_questions": list(dict.fromkeys(row["context"] for row in our_questions.TASK.samples)),
    "our_cloze": [row["text"] for row in our_cloze.TASK.samples],
    "our_stories": [row["story"] for row in our_stories.TASK.samples],
}
SHARED_AT_MOST = 0.6
"""Of the words of two texts, in their order: above it they would be one sentence with other words filled in."""


def words(text: str) -> list[str]:
    """In lower case, without punctuation."""
    return re.findall(r"[a-z']+", text.lower())


def read(task: Task[Any]) -> list[Any]:
    return [task.read(Row(values, index)) for index, values in enumerate(task.samples)]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_of_our_own_needs_no_data_set(task: Task[Any]) -> None:
    found = load_data(task, None, None, LOCAL)
    assert len(found.rows) == COUNTS[task.name] and found.origin["origin"] == "project"


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_of_our_own_says_that_the_demo_was_not_trained_on_it(task: Task[Any]) -> None:
    assert "Written for this project; the demo" in task.about


@pytest.mark.parametrize("name", TEXTS)
def test_no_two_texts_are_made_after_one_template(name: str) -> None:
    for one, other in combinations(map(words, TEXTS[name]), 2):
        assert SequenceMatcher(None, one, other, autojunk=False).ratio() <= SHARED_AT_MOST, (one, other)


def test_no_text_stands_in_two_tasks() -> None:
    texts = [text for found in TEXTS.values() for text in found]
    assert len(set(texts)) == len(texts)


def test_sentences_are_half_positive_however_many_pairs_are_asked() -> None:
    labels = [row["label"] for row in our_sentiment.TASK.samples]
    assert all(sorted(labels[at : at + 2]) == [0, 1] for at in range(0, len(labels), 2))


def test_no_word_gives_the_feeling_of_many_sentences_away() -> None:
    seen: dict[str, Counter[int]] = {}
    for row in our_sentiment.TASK.samples:
        for word in set(words(row["sentence"])):
            seen.setdefault(word, Counter())[row["label"]] += 1
    assert max(abs(count[1] - count[0]) for count in seen.values()) <= 8


def test_every_answer_stands_in_its_passage_where_it_is_said_to() -> None:
    for row in our_questions.TASK.samples:
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text


def test_a_quarter_of_the_questions_has_no_answer() -> None:
    assert sum(question.is_impossible for question in read(our_questions.TASK)) == COUNTS["our_questions"] // 4


def test_every_passage_has_three_different_questions() -> None:
    asked = Counter(row["context"] for row in our_questions.TASK.samples)
    assert set(asked.values()) == {3}
    assert len({row["question"] for row in our_questions.TASK.samples}) == COUNTS["our_questions"]


def test_every_cloze_word_is_one_plain_word_that_ends_its_passage() -> None:
    for row, ending in zip(our_cloze.TASK.samples, read(our_cloze.TASK), strict=True):
        assert re.fullmatch(r" [a-z]+", ending.ending) and row["text"] == ending.prompt + ending.ending


def test_cloze_passages_have_two_to_four_sentences_before_they_end() -> None:
    for row in our_cloze.TASK.samples:
        assert 1 <= len(re.findall(r'[.?!]"? ', row["text"])) <= 4, row["text"]


def test_cloze_words_are_many() -> None:
    counted = Counter(ending.ending for ending in read(our_cloze.TASK))
    assert len(counted) >= 50 and max(counted.values()) <= 3


def test_right_endings_are_first_as_often_as_second() -> None:
    labels = [row["label"] for row in our_stories.TASK.samples]
    assert all(sorted(labels[at : at + 2]) == [0, 1] for at in range(0, len(labels), 2))


def test_the_two_endings_differ_and_are_of_like_length() -> None:
    for row in our_stories.TASK.samples:
        one, other = row["endings"]
        assert one != other and abs(len(one) - len(other)) <= 6


def test_length_does_not_give_the_right_ending_away() -> None:
    lengths = [(len(row["endings"][row["label"]]), len(row["endings"][1 - row["label"]]))
               for row in our_stories.TASK.samples]  # fmt: skip
    longer = sum(right > wrong for right, wrong in lengths)
    shorter = sum(right < wrong for right, wrong in lengths)
    assert abs(longer - shorter) <= 10
