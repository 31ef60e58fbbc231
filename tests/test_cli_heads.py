"""classify, answer and train on the command line: one text, files, trained heads, and what is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import asked, refused
from tests.text.tiny import write_checkpoint
from workbench.cli import main
from workbench.commands import train
from workbench.evals.metrics.squad import squad_v1
from workbench.training.heads import FineTuneProgress, TrainClassify

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
    assert "classifies texts" in refused(capsys, *command)


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
    (window,) = {answer["windows"]}
    narrow = ("answer", "--model", folder, "--head", out, "--question", "Who slept?", "--context", PASSAGE)
    assert window == 1 < asked(capsys, *narrow, "--window-tokens", "24")["windows"]
    assert "answers questions" in refused(capsys, "classify", "--model", folder, "--head", out, "--text", "king")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("classify", "--text", "x"), "--labels a,b,c"),
        (("classify", "--text", "x", "--labels", "one"), "two labels"),
        (("classify", "--text", "x", "--labels", "a,b,a"), "twice"),
        (("classify", "--text", " ", "--labels", "a,b"), "empty"),
        (("classify", "--text", "x", "--labels", "a,b\nc"), "line break"),
        (("classify", "--text", "x", "--labels", '"a\nc",b'), "line break"),
        (("classify", "--text", "x", "--labels", 'b,"' + "a" * 200_000 + '"'), "--labels can't be read"),
        (("classify", "--text", "x", "--labels", "a,b", "--template", "no slot"), "{text}"),
        (("classify", "--text", "x", "--head", "nobody"), "nobody"),
        (("classify", "--text", "x", "--head", "h", "--labels", "a,b", "--calibration", "domain"), "--calibration"),
        (("classify", "--file", "/nowhere.csv", "--labels", "a,b"), "nowhere.csv"),
        (("answer", "--question", "Who?"), "--context"),
        (("answer", "--question", "Who?", "--context", " "), "passage"),
        (("answer", "--question", "Who?", "--context", "the king", "--n-best", "0"), "n_best"),
        (("answer", "--question", "Who?", "--context", "the king", "--head", "nobody"), "nobody"),
        (("answer", "--question", "Who?", "--context", "the king", "--threshold", "nan"), "threshold"),
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


def test_a_classifier_reads_as_much_of_a_text_as_in_its_training(
    capsys: pytest.CaptureFixture[str], folder: str, table: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "short")
    asked(capsys, "train", "classify", "--model", folder, "--data", table, "--out", out, "--max-tokens", "4")
    long, short = ROWS[0][0] + " and on" * 500, ROWS[0][0] + " and"
    read = ("classify", "--model", folder, "--head", out, "--text")
    whole, cut = asked(capsys, *read, short), asked(capsys, *read, long)
    assert whole["logits"] == cut["logits"] and cut["unseen_tokens"] > whole["unseen_tokens"] > 0


def test_a_span_head_is_asked_as_it_was_trained(
    capsys: pytest.CaptureFixture[str], folder: str, questions: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "narrow")
    shape = ("--window-tokens", "24", "--doc-stride", "4", "--max-answer-tokens", "2", "--epochs", "1")
    asked(
        capsys,
        "train",
        "answer",
        "--model",
        folder,
        "--data",
        questions,
        "--validation-share",
        "0",
        "--out",
        out,
        *shape,
    )
    read = ("answer", "--model", folder, "--head", out, "--question", "Who slept?", "--context", PASSAGE)
    assert asked(capsys, *read) == asked(capsys, *read, *shape[:-2])
    assert asked(capsys, *read)["windows"] > asked(capsys, *read, "--window-tokens", "384")["windows"] == 1


def test_the_predictions_of_a_file_are_those_that_are_scored(
    capsys: pytest.CaptureFixture[str], folder: str, questions: str, tmp_path: Path
) -> None:
    command = ("answer", "--model", folder, "--file", questions, "--threshold=-inf", "--out", str(tmp_path))
    found = asked(capsys, *command)
    assert all(found["predictions"].values())
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert {row["id"]: row["text"] for row in rows} == found["predictions"]
    references = {"a": ["The old king"], "b": ["hill"]}
    figures = squad_v1(found["predictions"], references)
    assert {name: found["metrics"][name] for name in figures} == pytest.approx(figures)


def test_figures_that_are_not_defined_are_null(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    data, out = tmp_path / "stars.csv", str(tmp_path / "stars")
    data.write_text("text,label\n" + "".join(f"{text},{len(text)}\n" for text, _ in ROWS[:3]))
    asked(capsys, "train", "classify", "--model", folder, "--data", str(data), "--out", out, "--problem", "regression",
          "--validation-share", "0")  # fmt: skip
    one = tmp_path / "one.csv"
    one.write_text("text,label\nthe king,3\n")
    found = asked(capsys, "classify", "--model", folder, "--head", out, "--file", str(one), "--label-column", "label")
    assert found["metrics"]["pearson"] is None and found["metrics"]["n"] == 1


@pytest.mark.parametrize("command", [("classify", "--labels", "hill,king"), ("answer",)])
def test_a_folder_that_can_not_be_made_is_told_before_a_model_is_loaded(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], table: str, questions: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    file = table if command[0] == "classify" else questions
    asking = (*command, "--file", file, "--model", str(tmp_path / "no model"), "--out", str(tmp_path / "file" / "out"))
    assert "can't be written to" in refused(capsys, *asking)


@pytest.mark.parametrize("head, state", [(False, False), (False, True), (True, False), (True, True)])
def test_a_stopped_training_says_what_it_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: bool, state: bool
) -> None:
    def stopped(request: TrainClassify) -> Iterator[FineTuneProgress]:
        yield FineTuneProgress("training", 1, 9)
        for name, there in (("head.json", head), ("training-state.pt", state)):
            if there:
                (tmp_path / name).touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train_head", stopped)
    assert main(["train", "classify", "--data", "rows.csv", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert ("a head that can be used" in said, "no head yet" in said) == (head, not head)
    assert ("goes on from where it stopped" in said, "starts from the beginning" in said) == (state, not state)
