"""The matching of names, and the report."""

import pytest
import torch

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import TensorInfo
from workbench.loading.names import LoadReport, match

TRUNK = ["wte.weight", "h.0.ln_1.weight", "h.0.attn.q_proj.weight", "ln_f.weight"]
WITH_PREFIX = [f"transformer.{name}" for name in TRUNK]


def tensors(*names: str) -> dict[str, TensorInfo]:
    """A checkpoint of these names."""
    return {name: TensorInfo(name, (1,), torch.float32, 4, "w") for name in names}


def matched(parameters: list[str], *names: str, tied: tuple[str, ...] = ()):
    """The match of a model and a checkpoint without quantised tensors."""
    return match(parameters, tied, tensors(*names), lambda _: (), "w")


@pytest.mark.parametrize("ours", [TRUNK, WITH_PREFIX])
@pytest.mark.parametrize("theirs", [TRUNK, WITH_PREFIX])
def test_the_prefix_is_added_or_taken_away(ours, theirs):
    assert matched(ours, *theirs).sources == dict(zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", ["attn.bias", "attn.masked_bias", "attn.embed_positions", "attn.rotary_emb.inv_freq"])
@pytest.mark.parametrize("prefix", ["h.0.", "transformer.h.0."])
def test_old_tables_are_dropped(prefix, name):
    theirs = TRUNK if prefix == "h.0." else WITH_PREFIX
    report = matched(TRUNK, *theirs, prefix + name).report
    assert report.dropped == (prefix + name,)
    assert report.unexpected == ()


def test_another_tasks_head_is_dropped_and_the_own_one_is_new():
    found = matched([*WITH_PREFIX, "score.weight"], *WITH_PREFIX, "lm_head.weight", "qa_outputs.bias")
    assert found.report == LoadReport(("lm_head.weight", "qa_outputs.bias"), (), (), ("score.weight",))


def test_missing_weights_of_the_trunk_are_named():
    with pytest.raises(BadCheckpoint, match=r"w: 1 tensors of the model are missing: ln_f\.weight"):
        matched(TRUNK, *TRUNK[:-1])


def test_a_checkpoint_of_something_else_names_only_some_of_what_is_missing():
    with pytest.raises(BadCheckpoint, match="and 12 more") as caught:
        matched([f"h.{i}.ln_1.weight" for i in range(20)], "encoder.weight")
    assert len(str(caught.value)) < 500


def test_the_report_of_a_clean_load_is_one_sentence():
    assert str(LoadReport()) == "Every tensor of the checkpoint found its place."


def test_the_report_says_each_thing_on_its_own_line():
    text = str(LoadReport(("a",), ("b",), ("c",), ("d", "e")))
    assert len(text.splitlines()) == 4
    assert text.startswith("2 untrained, made fresh; train them before use: d, e")
