"""Markup from Python: what comes from outside is escaped, and sizes read well."""

from dataclasses import replace

import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadCheckpoint
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.generate.figures import figures
from workbench.ui.models.memory_view import cards_markup, plan_markup
from workbench.ui.parts import bytes_text, chip, count_text, error_notice, notice, progress_bar, seconds_text
from workbench.ui.status import loading_line, ready_line

PAYLOAD = "<script>alert('x')</script>\"&"


@pytest.mark.parametrize("piece", [notice("error", PAYLOAD, PAYLOAD), chip(PAYLOAD), progress_bar(PAYLOAD, 0.5)])
def test_a_piece_escapes_its_texts(piece: str) -> None:
    assert "<script" not in piece and "&lt;script&gt;" in piece and 'alert("' not in piece


def test_an_errors_text_is_escaped() -> None:
    assert "<script" not in error_notice(BadCheckpoint(PAYLOAD, "it is HTML"))


def test_an_unforeseen_error_says_nothing_of_itself() -> None:
    assert "secret" not in error_notice(RuntimeError("secret path"))


def test_a_plan_escapes_the_checkpoints_name() -> None:
    plan = FakeManager().plan(ModelSpec("demo"))
    assert "<script" not in plan_markup(PAYLOAD, plan)


def test_a_plan_says_whether_it_fits() -> None:
    manager = FakeManager()
    assert "It fits" in plan_markup("demo", manager.plan(ModelSpec("demo")))
    large = ModelSpec("EleutherAI/gpt-j-6b")
    assert "It does not fit" in plan_markup(large.checkpoint, manager.plan(large))


def test_a_card_shows_each_part_with_its_device() -> None:
    manager = FakeManager()
    manager.load(ModelSpec("demo", device_map="cpu"))
    markup = cards_markup(manager.loaded())
    assert markup.count("<tr>") == 7 and "transformer.h.3" in markup and "7.2 M" in markup


def test_a_card_says_below_its_blocks_what_lies_on_which_device() -> None:
    loaded = FakeManager().load(ModelSpec("demo"))
    first, *others = loaded.parts
    markup = cards_markup([replace(loaded, parts=[replace(first, device="<disk>"), *others])])
    assert f"<b>&lt;disk&gt;</b> 1 part, {bytes_text(first.bytes)}</li>" in markup
    assert f'<i class="device-1"></i><b>cpu</b> {len(others)} parts' in markup


def test_no_model_tells_what_to_do() -> None:
    assert "load one below" in cards_markup([])


def test_the_head_escapes_a_models_name() -> None:
    bench = Bench(Settings(model=PAYLOAD), FakeManager())  # type: ignore[arg-type]
    assert "<script" not in ready_line(bench)
    assert "<script" not in loading_line(bench.first_spec(), None)


def test_the_figures_before_the_first_token_are_dashes() -> None:
    assert figures().count("–") == 7 and "width:0%" in figures()


def test_numbers_read_well() -> None:
    assert bytes_text(512) == "512 B" and bytes_text(12_133_000_000) == "11.3 GiB"
    assert count_text(6_053_381_344) == "6.05 B" and count_text(7_200_000) == "7.2 M"
    assert seconds_text(0.0851) == "85 ms" and seconds_text(200) == "3 min 20 s"


def test_a_card_names_the_precision_and_what_its_parts_are_held_in() -> None:
    manager = FakeManager()
    loaded = manager.load(ModelSpec("demo", precision="int8"))
    parts = [replace(part, dtype="float32" if part.name == "lm_head" else "int8") for part in loaded.parts]
    markup = cards_markup([replace(loaded, parts=parts)])
    assert chip("int8") + chip("float32") + chip("cpu", "device") in markup
