"""Requests: every field has an option's metadata, and values out of range are named."""

import dataclasses
from typing import Any

import pytest

from workbench.errors import BadRequest
from workbench.training.head_request import METHODS, TrainAnswer, TrainClassify, default_learning_rate

REQUESTS = (TrainClassify, TrainAnswer)


@pytest.mark.parametrize("request_type", REQUESTS)
def test_every_field_tells_its_help_and_kind(request_type: type[Any]) -> None:
    for field in dataclasses.fields(request_type):
        assert field.metadata["help"] and (field.metadata.get("many") or field.metadata["kind"])
    required = [field.name for field in dataclasses.fields(request_type) if field.default is dataclasses.MISSING]
    assert required == ["data", "out"]


@pytest.mark.parametrize("changes, message", [
    ({"method": "prompt"}, "method must be one of probe, head, lora, full"),
    ({"optimizer": "sgd"}, "optimizer must be one of"),
    ({"schedule": "step"}, "schedule must be one of"),
    ({"rank": 0}, "rank must be a whole number from 1"),
    ({"rank": 1.5}, "rank must be a whole number"),
    ({"batch_size": 0}, "batch_size must be a whole number from 1"),
    ({"accumulate": -1}, "accumulate"),
    ({"save_every": 0}, "save_every"),
    ({"epochs": 0}, "epochs"),
    ({"epochs": float("nan")}, "epochs"),
    ({"epochs": "many"}, "epochs must be a number from"),
    ({"learning_rate": 0.0}, "learning_rate"),
    ({"learning_rate": float("inf")}, "learning_rate"),
    ({"dropout": 1.0}, "dropout"),
    ({"alpha": 0}, "alpha"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"validation_share": 1.0}, "validation_share"),
    ({"precision": "int3"}, "precision must be one of"),
    ({"precision": "int8", "method": "full"}, "method full trains every weight in float32"),
    ({"precision": "float16", "method": "lora"}, "Choose precision bfloat16"),
    ({"targets": ()}, "targets"),
])  # fmt: skip
@pytest.mark.parametrize("request_type", REQUESTS)
def test_values_out_of_range_are_refused_by_name(
    request_type: type[Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        request_type(data="d.csv", out="o", **changes)


@pytest.mark.parametrize("request_type, changes, message", [
    (TrainClassify, {"problem": "ranking"}, "problem must be one of"),
    (TrainClassify, {"max_tokens": 0}, "max_tokens"),
    (TrainClassify, {"separator": " "}, "separator"),
    (TrainAnswer, {"window_tokens": 4}, "window_tokens"),
    (TrainAnswer, {"doc_stride": 384}, "doc_stride"),
    (TrainAnswer, {"max_answer_tokens": 0}, "max_answer_tokens"),
])  # fmt: skip
def test_values_of_one_kind_of_head_are_checked_too(
    request_type: type[Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        request_type(data="d.csv", out="o", **changes)


@pytest.mark.parametrize("method", METHODS)
def test_wider_models_take_smaller_steps(method: str) -> None:
    rates = [default_learning_rate(method, width) for width in (64, 256, 1024, 4096)]
    assert rates[0] == rates[1] > rates[2] > rates[3] > 1e-6


def test_gpt_j_takes_the_usual_rates() -> None:
    assert 1e-5 < default_learning_rate("full", 4096) < 5e-5
    assert 1e-4 < default_learning_rate("lora", 4096) < 1e-3
