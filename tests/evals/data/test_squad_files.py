"""Files of questions are read strictly, and what is wrong in one is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.evals.squad_cases import XQUAD
from workbench.errors import BadRequest
from workbench.evals.data.squad_files import Question, read_questions
from workbench.evals.data.tables import LOCAL, Limits

PASSAGE = "The old king slept under the apple tree. The king snored."


def squad(**changed: Any) -> dict:
    """SQuAD's nesting around one question; a value of ... leaves the field out."""
    asked = {
        "id": "q1",
        "question": "Who slept?",
        "answers": [{"text": "The old king", "answer_start": 0}, {"text": "king", "answer_start": 45}],
    }
    asked = {name: value for name, value in (asked | changed).items() if value is not ...}
    return {"version": "2.0", "data": [{"title": "t", "paragraphs": [{"context": PASSAGE, "qas": [asked]}]}]}


def written(folder: Path, name: str, content: Any) -> Path:
    """A file of JSON, of JSON lines, or of the text as it is."""
    path = folder / name
    if name.endswith(".jsonl"):
        content = "\n".join(json.dumps(record) for record in content)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def one(path: Path) -> Question:
    """The file's only question."""
    (question,) = read_questions(path, LOCAL)
    return question


def test_squads_json_is_read(tmp_path: Path) -> None:
    question = one(written(tmp_path, "a.json", squad()))
    assert question == Question("q1", "Who slept?", PASSAGE, ("The old king", "king"), (0, 45), False)


def test_a_question_of_version_2_may_have_no_answer(tmp_path: Path) -> None:
    asked = squad(answers=[], is_impossible=True, plausible_answers=[{"text": "king", "answer_start": 8}])
    question = one(written(tmp_path, "a.json", asked))
    assert (question.answers, question.is_impossible) == ((), True)


def test_an_empty_list_of_answers_means_that_there_is_none(tmp_path: Path) -> None:
    assert one(written(tmp_path, "a.json", squad(answers=[]))).is_impossible is True


def test_a_question_without_an_answers_field_may_have_one_or_none(tmp_path: Path) -> None:
    question = one(written(tmp_path, "a.json", squad(answers=...)))
    assert (question.answers, question.is_impossible) == ((), None)


ANSWERED = [
    ({"answer": "king"}, ("king",), (8,)),
    ({"answer": "king", "answer_start": 45}, ("king",), (45,)),
    ({"answers": "king"}, ("king",), (8,)),
    ({"answers": ["king", "tree"]}, ("king", "tree"), (8, 35)),
    ({"answers": [{"text": "king", "answer_start": 45}]}, ("king",), (45,)),
    ({"answers": {"text": ["king", "tree"], "answer_start": [45, 35]}}, ("king", "tree"), (45, 35)),
    ({"answers": {"text": [], "answer_start": []}}, (), ()),
    ({"answers": ["queen"]}, ("queen",), (None,)),
    ({"answers": []}, (), ()),
    ({"answer": ""}, (), ()),
]


@pytest.mark.parametrize("fields, answers, starts", ANSWERED)
@pytest.mark.parametrize("form", ["json", "data.json", "jsonl"])
def test_a_flat_question_may_write_its_answers_in_any_usual_way(
    tmp_path: Path, form: str, fields: dict, answers: tuple[str, ...], starts: tuple[int | None, ...]
) -> None:
    record = {"context": PASSAGE, "question": "Who?", **fields}
    content = {"data": [record]} if form == "data.json" else [record]
    question = one(written(tmp_path, f"a.{form}", content))
    assert (question.answers, question.answer_starts) == (answers, starts)
    assert question.is_impossible is not bool(answers)


@pytest.mark.parametrize(
    "columns, cells, answers, starts",
    [
        ("answer", "king", ("king",), (8,)),
        ("answers", "king", ("king",), (8,)),
        ("answers", '"[""king"", ""tree""]"', ("king", "tree"), (8, 35)),
        ("answers", '"{""text"": [""king""], ""answer_start"": [45]}"', ("king",), (45,)),
        ("answer,answer_start", "king,45", ("king",), (45,)),
        ("answer,answer_start", ",", (), ()),
        ("answers", "NA", ("NA",), (None,)),
    ],
)
def test_a_table_may_write_them_too(
    tmp_path: Path, columns: str, cells: str, answers: tuple[str, ...], starts: tuple[int | None, ...]
) -> None:
    path = written(tmp_path, "a.csv", f'question,context,{columns}\nWho?,"{PASSAGE}",{cells}\n')
    question = one(path)
    assert (question.answers, question.answer_starts, question.is_impossible) == (answers, starts, not answers)


def test_a_table_without_answers_is_questions_alone(tmp_path: Path) -> None:
    question = one(written(tmp_path, "a.csv", f'id,question,context\n007,Who?,"{PASSAGE}"\n'))
    assert question == Question("007", "Who?", PASSAGE)


def test_questions_without_an_id_are_numbered(tmp_path: Path) -> None:
    records = [{"context": PASSAGE, "question": "Who?"}] * 3
    assert [question.id for question in read_questions(written(tmp_path, "a.jsonl", records), LOCAL)] == ["1", "2", "3"]


@pytest.mark.parametrize("text, said", [("true", True), ("False", False), ("", None)])
def test_a_table_says_in_words_whether_there_is_an_answer(tmp_path: Path, text: str, said: bool | None) -> None:
    path = written(tmp_path, "a.csv", f'question,context,is_impossible\nWho?,"{PASSAGE}",{text}\n')
    assert one(path).is_impossible is said


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"id": ...}, r"qas\[0\]: the id is missing"),
        ({"id": None}, "the id must be a text or a whole number; got nothing"),
        ({"id": True}, "the id must be"),
        ({"id": " "}, "the id must be"),
        (
            {"question": ...},
            r"a\.json, data\[0\]\.paragraphs\[0\]\.qas\[0\]: the question is missing; there is context",
        ),
        ({"question": ""}, "the question is empty"),
        ({"question": 5}, "the question must be a text; got a number"),
        ({"context": " \n"}, "the context is empty"),
        ({"answers": 5}, "answers must be a text or a list; got a number"),
        ({"answers": [5]}, "an answer's text must be a text; got a number"),
        ({"answers": [{"answer_start": 5}]}, "an answer's text must be a text; got nothing"),
        ({"answers": [{"text": "king", "answer_start": "x"}]}, "answer_start must be a whole number; got a text"),
        ({"answers": [{"text": "king", "answer_start": True}]}, "answer_start must be a whole number"),
        ({"answers": {"text": ["king"], "answer_start": []}}, "as many text as answer_start"),
        ({"answers": {"text": "king"}}, "as many text as answer_start"),
        ({"answers": [{"text": "king", "answer_start": 9}]}, "'king' does not stand at its answer_start 9, .* 'ing '"),
        ({"answers": [{"text": "king", "answer_start": -4}]}, "does not stand at its answer_start -4"),
        ({"answers": [{"text": "king", "answer_start": 2**50}]}, "does not stand at its answer_start"),
        ({"is_impossible": "perhaps"}, "is_impossible must be true or false"),
        ({"is_impossible": True}, "is_impossible is true, but there is an answer"),
        ({"is_impossible": False, "answers": []}, "is_impossible is false, but there is no answer"),
    ],
)
def test_a_broken_question_is_named(tmp_path: Path, changed: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_questions(written(tmp_path, "a.json", squad(**changed)), LOCAL)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"rows": []}, "neither a list"),
        (5, "neither a list"),
        ({"data": []}, "holds no question"),
        ({"data": [5]}, r"data\[0\]: an object must stand here; got a number"),
        ({"data": [{"paragraphs": {}}]}, "paragraphs must be a list; got an object"),
        ({"data": [{"paragraphs": [[]]}]}, r"paragraphs\[0\]: an object must stand here; got a list"),
        ({"data": [{"paragraphs": [{"context": PASSAGE}]}]}, r"paragraphs\[0\]: qas must be a list; got nothing"),
        ({"data": [{"paragraphs": [{"qas": [{"id": "a", "question": "b"}]}]}]}, "the context is missing"),
        ({"data": [{"paragraphs": [{"qas": [None]}]}]}, r"qas\[0\]: an object must stand here"),
    ],
)
def test_a_broken_nesting_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_questions(written(tmp_path, "a.json", content), LOCAL)


def test_an_id_may_not_come_twice(tmp_path: Path) -> None:
    records = [{"id": 7, "context": PASSAGE, "question": "Who?"}] * 2
    with pytest.raises(BadRequest, match=r"a\.jsonl, line 2: the id '7' came before"):
        read_questions(written(tmp_path, "a.jsonl", records), LOCAL)


def test_a_table_without_the_passage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="line 2: the context is missing; there is question"):
        read_questions(written(tmp_path, "a.csv", "question\nWho?\n"), LOCAL)


def test_a_broken_list_in_a_cell_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", f'question,context,answers\nWho?,"{PASSAGE}","[1, "\n')
    with pytest.raises(BadRequest, match=r"a\.csv, line 2"):
        read_questions(path, LOCAL)


def test_a_file_of_too_many_questions_is_refused(tmp_path: Path) -> None:
    records = [{"context": PASSAGE, "question": "Who?"}] * 3
    few = Limits(bytes=10_000, rows=2, columns=9, cell_characters=100, seconds=5)
    with pytest.raises(BadRequest, match="more than 2"):
        read_questions(written(tmp_path, "a.json", records), few)


def test_all_questions_of_a_real_file_are_read(tmp_path: Path) -> None:
    if not XQUAD.exists():
        pytest.skip(f"{XQUAD} is not here")
    questions = read_questions(XQUAD, LOCAL)
    assert len(questions) == 1190
    assert all(
        one.context.startswith(answer, start)
        for one in questions
        for answer, start in zip(one.answers, one.answer_starts, strict=True)
        if start is not None
    )
