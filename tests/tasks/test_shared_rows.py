"""The shared data sets, in the Hub's columns, are what their tasks read."""

from pathlib import Path
from typing import Any

import pytest

import tasks
from tests.tasks.shared_rows import CONVERTERS, DATA, shared_rows, write
from workbench.collect import collect
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.task import Task

TASKS: dict[str, Task[Any]] = collect(tasks, "TASK")
ROWS = {
    "lambada_openai": 5153,
    "hellaswag": 10042,
    "piqa": 1838,
    "winogrande": 1267,
    "sst2": 872,
    "wikitext": 62,
    "trec": 500,
    "sms_spam": 5574,
    "squad": 1190,
}

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="needs the data sets of ../shared")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write(tmp_path_factory.mktemp("shared"))


@pytest.mark.parametrize("name", CONVERTERS)
def test_a_task_reads_every_row_of_its_data_set(name: str, files: dict[str, Path]) -> None:
    assert len(load_data(TASKS[name], files[name], None, LOCAL).rows) == ROWS[name]


def test_squads_own_json_gives_the_same_questions(files: dict[str, Path]) -> None:
    task = TASKS["squad"]
    nested = load_data(task, DATA / "squad-xquad" / "xquad.en.json", None, LOCAL)
    flat = load_data(task, files["squad"], None, LOCAL)
    assert [task.read(row) for row in nested.rows] == [task.read(row) for row in flat.rows]


def test_a_context_is_cut_where_the_hub_cuts_it() -> None:
    first = shared_rows("hellaswag", 1)[0]
    assert (first["ctx_a"], first["ctx_b"]) == ("A man is sitting on a roof.", "he")
    assert TASKS["hellaswag"].samples[0].keys() <= first.keys()
