"""classify, answer and train on the command line: one text, files, trained heads, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.text.tiny import write_checkpoint
from workbench.cli import main

ROWS = [("the green hill", "hill"), ("the old king slept", "king"), ("the hill was green", "hill")] * 4
PASSAGE = "The unicorn walked to the green hill. The old king slept under the apple tree."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=400))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Texts with labels."""
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    return str(path)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Questions in SQuAD's form."""
    qas = [
        {"id": "a", "question": "Who slept?", "answers": [{"text": "The old king", "answer_start": 38}]},
        {"id": "b", "question": "Where did the unicorn walk?", "answers": [{"text": "hill", "answer_start": 32}]},
    ]
    path = tmp_path_factory.mktemp("questions") / "questions.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": PASSAGE, "qas": qas}]}]}))
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON document a command prints."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command with bad input."""
    assert main(list(arguments)) == 2
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return shown.err


def test_a_text_gets_a_label_and_every_labels_probability(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    answer = asked(capsys, "classify", "--model", folder, "--text", "the green hill", "--labels", 'hill,"king, old"')
    assert set(answer["scores"]) == {"hill", "king, old"} and answer["label"] in answer["scores"]
    assert sum(answer["scores"].values()) == pytest.approx(1)


def test_calibration_tells_what_it_changed(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    command = ("classify", "--model", folder, "--text", "the hill", "--labels", "hill,king")
    plain, calibrated = asked(capsys, *command), asked(capsys, *command, "--calibration", "contextual")
    assert calibrated["uncalibrated"] == pytest.approx(plain["scores"]) and "uncalibrated" not in plain


def test_a_file_with_labels_is_judged(capsys: pytest.CaptureFixture[str], folder: str, table: str) -> None:
    command = ("classify", "--model", folder, "--file", table, "--label-column", "label", "--labels", "hill,king")
    answer = asked(capsys, *command)
    right = [row["label"] == row["gold"] for row in answer["rows"]]
    assert answer["metrics"]["accuracy"] == pytest.approx(sum(right) / len(ROWS))
    assert sum(map(sum, answer["confusion"]["counts"])) == len(ROWS)


def test_a_file_without_labels_has_no_metrics(capsys: pytest.CaptureFixture[str], folder: str, table: str) -> None:
    answer = asked(capsys, "classify", "--model", folder, "--file", table, "--labels", "hill,king")
    assert len(answer["rows"]) == len(ROWS) and answer["metrics"] is None


def test_predictions_are_written_where_asked(
    capsys: pytest.CaptureFixture[str], folder: str, table: str, tmp_path: Path
) -> None:
    command = ("classify", "--model", folder, "--file", table, "--labels", "hill,king", "--out", str(tmp_path / "out"))
    assert [Path(file).exists() for file in asked(capsys, *command)["files"]] == [True, True]


def test_an_answer_is_a_piece_of_the_passage(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    answer = asked(capsys, "answer", "--model", folder, "--question", "Who slept?", "--context", PASSAGE)
    for span in answer["n_best"]:
        assert PASSAGE[span["start"] : span["end"]] == span["text"]
    assert {"text", "start", "end", "score", "null_score", "n_best"} <= answer.keys()


def test_a_squad_file_gives_predictions_and_metrics(
    capsys: pytest.CaptureFixture[str], folder: str, questions: str
) -> None:
    answer = asked(capsys, "answer", "--model", folder, "--file", questions)
    assert set(answer["predictions"]) == {"a", "b"} and 0 <= answer["metrics"]["exact_match"] <= 100


def test_a_classifier_trained_here_classifies_here(
    capsys: pytest.CaptureFixture[str], folder: str, table: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "mood")
    trained = asked(capsys, "train", "classify", "--model", folder, "--data", table, "--out", out)
    assert trained["folder"] == out and "accuracy" in trained["metrics"]
    answer = asked(
        capsys, "classify", "--model", folder, "--head", out, "--file", table, "--label-column", "label"
    )  # fmt: skip
    assert answer["metrics"]["accuracy"] > 0.9
    command = ("answer", "--model", folder, "--head", out, "--question", "Who?", "--context", PASSAGE)
    assert "use `classify`" in refused(capsys, *command)


def test_a_span_head_trained_here_answers_here(
    capsys: pytest.CaptureFixture[str], folder: str, questions: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "answers")
    command = ("train", "answer", "--model", folder, "--data", questions, "--validation", questions, "--out", out)
    assert "exact" in " ".join(asked(capsys, *command, "--epochs", "60")["metrics"])
    answer = asked(
        capsys, "answer", "--model", folder, "--head", out, "--question", "Who slept?", "--context", PASSAGE
    )  # fmt: skip
    assert answer["text"] in PASSAGE
    assert "use `answer`" in refused(capsys, "classify", "--model", folder, "--head", out, "--text", "king")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("classify", "--text", "x"), "--labels a,b,c"),
        (("classify", "--text", "x", "--labels", "one"), "two labels"),
        (("classify", "--text", "x", "--labels", "a,b,a"), "twice"),
        (("classify", "--text", " ", "--labels", "a,b"), "empty"),
        (("classify", "--text", "x", "--labels", "a,b", "--template", "no slot"), "{text}"),
        (("classify", "--text", "x", "--head", "nobody"), "nobody"),
        (("classify", "--file", "/nowhere.csv", "--labels", "a,b"), "nowhere.csv"),
        (("answer", "--question", "Who?"), "--context"),
        (("answer", "--question", "Who?", "--context", " "), "passage"),
        (("answer", "--question", "Who?", "--context", "the king", "--n-best", "0"), "n_best"),
        (("answer", "--question", "Who?", "--context", "the king", "--head", "nobody"), "nobody"),
        (("answer", "--file", "/nowhere.json"), "nowhere.json"),
        (("train", "classify", "--data", "/nowhere.csv", "--out", "out"), "nowhere.csv"),
    ],
)
def test_bad_input_is_told(
    capsys: pytest.CaptureFixture[str], folder: str, arguments: tuple[str, ...], message: str
) -> None:
    assert message in refused(capsys, *arguments, "--model", folder)


def test_a_missing_column_is_told_with_those_there_are(
    capsys: pytest.CaptureFixture[str], folder: str, table: str
) -> None:
    command = ("classify", "--model", folder, "--file", table, "--text-column", "body", "--labels", "a,b")
    assert "'text', 'label'" in refused(capsys, *command)
