"""A checkpoint in several precisions: loaded one at a time, left as it was found, and asked about fitting texts."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.text.tiny import STORY, write_checkpoint
from workbench.errors import BadRequest
from workbench.evals.precision_work import measure
from workbench.evaluating import SAMPLES, all_tasks
from workbench.manager import ModelManager, ModelSpec
from workbench.precision_sides import (
    MOST_WRITTEN,
    compared_precisions,
    prompt_material,
    task_material,
    text_material,
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    """A tiny checkpoint."""
    return ModelSpec(str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=600)))


@pytest.fixture
def manager() -> Iterator[ModelManager]:
    """A manager that has nothing loaded."""
    with closing(ModelManager()) as found:
        yield found


def test_the_widest_comes_first_and_each_once(manager: ModelManager, spec: ModelSpec) -> None:
    names = [one.name for one in compared_precisions(manager, spec, ["bfloat16", "float32", "bfloat16"])]
    assert names == ["float32", "bfloat16"]


@pytest.mark.parametrize("names, message", [
    (["float32"], "from 2 to 6 precisions"), ([], "0 are chosen"), (["float32", "int7"], "precision must be one of"),
])  # fmt: skip
def test_what_is_no_comparison_is_refused(
    manager: ModelManager, spec: ModelSpec, names: list[str], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        compared_precisions(manager, spec, names)


def test_two_that_would_not_fit_together_are_compared_all_the_same(spec: ModelSpec) -> None:
    with closing(ModelManager()) as planner:
        needed = planner.plan(ModelSpec(spec.checkpoint, precision="float32")).total_bytes
    with closing(ModelManager(budget_bytes=int(1.2 * needed))) as manager:
        precisions = compared_precisions(manager, spec, ["float32", "bfloat16"])
        *_, report = measure(precisions, prompt_material(STORY, 4))
        assert [one.error for one in report.results] == ["", ""] and report.results[1].divergences


def test_what_was_not_loaded_before_leaves_again_and_what_was_stays(manager: ModelManager, spec: ModelSpec) -> None:
    before = ModelSpec(spec.checkpoint, precision="bfloat16")
    manager.load(before)
    for _ in measure(compared_precisions(manager, spec, ["float32", "bfloat16"]), prompt_material("The old king", 2)):
        assert len(manager.loaded()) <= 2
    assert [model.spec for model in manager.loaded()] == [before]


def test_a_prompt_is_both_read_and_continued() -> None:
    material = prompt_material("Once", 7)
    assert material.texts == material.prompts == ("Once",) and material.follows and material.new_tokens == 7


def test_the_beginnings_of_a_texts_paragraphs_are_continued() -> None:
    text = "\n\n".join(f"{number} " + "word " * 100 for number in range(20))
    material = text_material(text, 5)
    assert material.texts == (text,) and len(material.prompts) == MOST_WRITTEN and not material.follows
    assert all(len(prompt) <= 200 and prompt.endswith("word") for prompt in material.prompts)
    assert text_material(text, 0).prompts == ()


@pytest.mark.parametrize("name", sorted(all_tasks()))
def test_the_samples_of_every_task_can_be_read_and_answered(name: str) -> None:
    task, material = task_material(all_tasks()[name], SAMPLES, 5, 4)
    count = min(5, len(task.samples))
    assert len(material.rows) == count and 0 < len(material.texts) <= count
    assert all(text.strip() for text in material.texts) and material.prompts == material.texts[:MOST_WRITTEN]


def test_nothing_to_read_is_told() -> None:
    with pytest.raises(BadRequest, match="prompt is empty"):
        prompt_material(" \n", 4)
    with pytest.raises(BadRequest, match="text is empty"):
        text_material("", 4)


def test_a_folder_of_files_is_asked_as_a_benchmark_asks_it(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"goal": "g", "sol1": "a", "sol2": "b", "label": 1}\n')
    _, material = task_material(all_tasks()["piqa"], file, None, 0)
    assert len(material.rows) == 1 and material.prompts == ()
