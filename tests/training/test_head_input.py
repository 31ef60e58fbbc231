"""Bad rows, folders and settings are refused with what to do, and nothing is lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.toy import answer, classify, toy_texts, trained, write_rows
from workbench.errors import BadRequest, WorkbenchError
from workbench.training.heads import train_head


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
