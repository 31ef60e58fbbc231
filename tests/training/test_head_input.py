"""Bad rows, folders and settings are refused with what to do, and nothing is lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.toy import answer, classify, toy_texts, trained, write_rows
from workbench.errors import BadRequest, WorkbenchError
from workbench.training.heads import train_head
from workbench.training.outcome import check_folder


@pytest.mark.parametrize(
    "rows, changes, message",
    [
        (None, {"label_column": "kind"}, "no column 'kind'. It has 'text', 'label'"),
        (None, {"text_column": "body"}, "no column 'body'"),
        ([("a b", "x")] * 5, {}, "All rows .* have the label 'x'"),
        ([("", "x"), (" ", "y")], {}, "none with both a text"),
        ([("a", "1.5"), ("b", "nan")], {"problem": "regression"}, "line 3: 'nan' is not a finite number"),
        ([("a", "1.5"), ("b", "many")], {"problem": "regression"}, "line 3: 'many' is not a finite number"),
        ([(f"t {n}", f"l{n}") for n in range(40)], {}, "different labels"),
        (None, {"data": "nowhere.csv"}, "nowhere.csv can't be read"),
        (None, {"targets": ("c_attn",), "method": "lora"}, "c_attn"),
    ],
)
def test_bad_rows_and_columns_are_refused(tmp_path: Path, rows: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        trained(classify(tmp_path, rows, **changes))
    assert not (tmp_path / "head").exists()


@pytest.mark.parametrize("rows, message", [
    ([{"question": "Who?", "context": "a king", "answers": ["queen"]}], "no answer that stands in the passage"),
    ([{"question": "Who?", "context": "a king", "answers": ["king"], "answer_starts": [0]}], None),
    ([{"question": "Who? " * 80, "context": "a king " * 20, "answers": ["king"]}], "too long for a window"),
])  # fmt: skip
def test_questions_that_cannot_be_trained_on_are_counted(tmp_path: Path, rows: Any, message: str | None) -> None:
    if message is None:
        trained(answer(tmp_path, rows, validation_share=0.0, epochs=1.0))
    else:
        with pytest.raises(BadRequest, match=message):
            trained(answer(tmp_path, rows))


def test_a_folder_with_other_files_is_refused_before_the_model_is_looked_for(tmp_path: Path) -> None:
    request = classify(tmp_path, model=str(tmp_path / "nowhere"))
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadRequest, match="holds other files"):
        trained(request)
    assert (tmp_path / "head" / "thesis.txt").read_text() == "years of work"


def test_a_folder_of_another_kind_of_result_is_refused(tmp_path: Path) -> None:
    trained(classify(tmp_path, method="full", epochs=1.0))
    with pytest.raises(BadRequest, match="a whole fine-tuned model"):
        trained(classify(tmp_path, method="probe"))


def test_unfinished_training_with_other_settings_or_rows_is_refused(tmp_path: Path) -> None:
    request = classify(tmp_path, method="head", epochs=4.0)
    steps = train_head(request)
    while next(steps).phase != "training":
        pass
    steps.close()
    with pytest.raises(BadRequest, match="other settings"):
        trained(replace(request, rank=4, batch_size=4))
    write_rows(Path(request.data), toy_texts(seed=5))
    with pytest.raises(BadRequest, match="other data"):
        trained(request)


def test_a_loss_that_is_not_finite_ends_the_run_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="smaller learning rate"):
        trained(classify(tmp_path, method="full", learning_rate=100.0, epochs=50.0, weight_decay=10.0))


@pytest.mark.parametrize("out, message", [
    (".", "no name of its own"), ("/", "no name of its own"), ("rows.csv/head", "can't be written"),
])  # fmt: skip
@pytest.mark.parametrize("method", ["probe", "full"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_model_is_looked_for(
    tmp_path: Path, out: str, message: str, method: str
) -> None:
    (tmp_path / "rows.csv").touch()
    place = out if len(out) == 1 else str(tmp_path / out)
    with pytest.raises(BadRequest, match=message):
        trained(classify(tmp_path, model=str(tmp_path / "nowhere"), out=place, method=method))


def test_notes_beside_a_head_are_told_before_the_model_is_looked_for(tmp_path: Path) -> None:
    trained(classify(tmp_path, epochs=1.0))
    (tmp_path / "head" / "notes.txt").write_text("mine")
    with pytest.raises(BadRequest, match=r"other files \(notes\.txt\)"):
        trained(classify(tmp_path, model=str(tmp_path / "nowhere")))


def test_a_whole_model_does_not_replace_a_head(tmp_path: Path) -> None:
    trained(classify(tmp_path, epochs=1.0))
    with pytest.raises(BadRequest, match="holds a head, and method full"):
        check_folder(tmp_path / "head", "full")


def test_a_training_that_was_killed_while_a_whole_model_was_written_may_go_on(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "training-state.pt"):
        (tmp_path / name).touch()
    check_folder(tmp_path, "full")
    with pytest.raises(BadRequest, match="other files"):
        check_folder(tmp_path, "lora")


def test_a_training_that_was_killed_between_two_renames_finds_its_state(tmp_path: Path) -> None:
    request = classify(tmp_path, method="head", epochs=4.0, save_every=1)
    steps = train_head(request)
    next(moment for moment in steps if moment.phase == "training" and moment.step == 2)
    steps.close()
    request.folder.rename(request.folder.with_name(".head.old"))
    _, rest = trained(request)
    assert next(moment.step for moment in rest if moment.phase == "training") == 3
