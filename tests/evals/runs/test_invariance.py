"""What the demo model says of an example depends on the example alone, bit for bit: no company, no order changes it."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.runs.toy_benchmark import finished
from workbench.evals.data.rows import Data, Row
from workbench.evals.prediction import Prediction
from workbench.evals.runs.runner import Options, evaluate
from workbench.evaluating import all_tasks
from workbench.loading.identity import ModelIdentity
from workbench.manager import ModelManager, ModelSpec
from workbench.text.language_model import LanguageModel

BATCH_SIZES = (1, 2, 4, 8, 16)
EXAMPLES = 5
SPEC = ModelSpec("demo", precision="float32")
Asked = tuple[LanguageModel, ModelIdentity]


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    manager = ModelManager()
    try:
        with manager.lease(SPEC) as model:
            yield model, manager.identity(SPEC)
    finally:
        manager.close()


def predictions(asked: Asked, name: str, order: list[int], options: Options, folder: Path) -> dict[str, Prediction]:
    """Of the task's first samples in this order, by their numbers; worked examples are drawn from all the others."""
    task: Any = replace(all_tasks()[name], id_column="number")
    rows = tuple(Row({**task.samples[number], "number": number}, place) for place, number in enumerate(order))
    others = tuple(Row(values, place) for place, values in enumerate(task.samples[EXAMPLES:]))
    data = Data(rows, others, {"origin": "samples", "sha256": "0" * 64})
    model, identity = asked
    run = finished(evaluate(model, identity, task, data, options, folder))
    assert not run.errors
    return {one.id: replace(one, row=0) for one in run.predictions}


@pytest.mark.parametrize(
    "name, shots",
    [
        ("hellaswag", 0),
        ("hellaswag", 2),
        ("winogrande", 2),
        ("lambada_openai", 2),
        ("sst2", 2),
        ("squad", 0),
        ("triviaqa", 2),
        ("own_perplexity", 0),
    ],
)
def test_neither_batch_size_nor_order_changes_a_bit(asked: Asked, name: str, shots: int, tmp_path: Path) -> None:
    chance, alone = random.Random(name), None
    for size in BATCH_SIZES:
        order = list(range(EXAMPLES))
        chance.shuffle(order)
        options = Options(shots=shots, batch_size=size)
        found = predictions(asked, name, order, options, tmp_path / str(size))
        alone = alone or found
        assert found == alone and len(found) == EXAMPLES
