"""/models, /load, /unload, /runs, /compare, /precision and /train: plain values, and what a public page refuses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_runs import bench
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.benchmark.evaluate_endpoint import evaluate_endpoint
from workbench.ui.models.model_endpoints import model_endpoints
from workbench.ui.precision.precision_endpoint import precision_endpoint
from workbench.ui.runs.run_endpoints import run_endpoints
from workbench.ui.train.train_endpoint import asked_training, train_endpoint


def endpoint(page: Bench, name: str) -> Any:
    """The registered function."""
    with gr.Blocks() as blocks:
        for register in (model_endpoints, run_endpoints, evaluate_endpoint, precision_endpoint, train_endpoint):
            register(page)
    return next(function.fn for function in blocks.fns.values() if function.api_name == name)


def public(page: Bench) -> Bench:
    """The same for strangers."""
    return replace(page, settings=Settings(host="0.0.0.0"))


def test_models_tells_what_may_be_named(tmp_path: Path) -> None:
    assert "demo" in endpoint(bench(tmp_path), "models")()["known"]


def test_no_visitor_of_a_public_page_unloads_a_model(tmp_path: Path) -> None:
    with pytest.raises(gr.Error, match="unloaded by a visitor"):
        endpoint(public(bench(tmp_path)), "unload")("demo")


def test_runs_are_listed_and_compared_by_their_names(tmp_path: Path) -> None:
    page = bench(tmp_path)
    for limit in (3, 4):
        list(endpoint(page, "evaluate")("piqa", limit=limit, data="samples"))
    found = endpoint(page, "runs")("piqa")["runs"]
    assert [run["task"] for run in found] == ["piqa", "piqa"]
    told = endpoint(page, "compare")([run["run"] for run in found])
    assert told["metric"] == "acc" and told["n"] == 3


@pytest.mark.parametrize("names", ["one", "../../etc,passwd", ["a", "b"]])
def test_only_runs_that_are_kept_are_compared(tmp_path: Path, names: Any) -> None:
    with pytest.raises(gr.Error, match=r"at least two|No run"):
        endpoint(bench(tmp_path), "compare")(names)


@pytest.mark.parametrize("wrong", [{"prompt": "a", "text": "b"}, {}, {"prompt": "a", "new_tokens": 0}])
def test_precisions_are_compared_on_a_prompt_or_a_text(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(gr.Error, match="a prompt or a text"):
        next(endpoint(bench(tmp_path), "precision")("float32,int8", **wrong))


def test_a_training_goes_into_the_folder_of_heads(tmp_path: Path) -> None:
    page = bench(tmp_path)
    asked = asked_training(page, "classify", "rows.csv", "mine", "", "lora", {"epochs": 2.0})
    assert (asked.out, asked.method, asked.epochs) == (str(page.settings.heads_folder / "mine"), "lora", 2.0)


@pytest.mark.parametrize("changes, told", [
    ({"kind": "paint"}, "classify or answer"), ({"name": "../mine"}, "name of a folder"), ({"data": ""}, "data"),
    ({"settings": {"colour": 1}}, "colour"), ({"settings": {"out": "/etc"}}, "field of its own"),
])  # fmt: skip
def test_a_training_that_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    given = {"kind": "classify", "data": "rows.csv", "name": "mine"} | changes
    with pytest.raises(gr.Error, match=told):
        next(endpoint(bench(tmp_path), "train")(**given))


def test_no_visitor_of_a_public_page_trains(tmp_path: Path) -> None:
    with pytest.raises(gr.Error, match="no visitor trains"):
        next(endpoint(public(bench(tmp_path)), "train")("classify", "rows.csv", "mine"))
