"""The speed on the Models tab: the figures, the reasons, and a measurement from its wait to its end."""

import threading
from dataclasses import fields, replace

import pytest

from tests.ui.fake import FakeLanguageModel, FakeManager
from workbench.engine.pace import Pace, PaceRecord, Step
from workbench.errors import BadRequest
from workbench.kernels.compiled import Kernels
from workbench.loading.loaded import LoadedModel
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.speed import MEASURED, Speed
from workbench.ui.bench import Bench
from workbench.ui.models.memory_view import cards_markup, plan_markup
from workbench.ui.models.speed_view import machine_markup, plan_limits, speed_markup
from workbench.ui.tabs import models

LARGE = ModelSpec("EleutherAI/gpt-j-6b", precision="bfloat16")
ALONE = Pace(16, 7.2, 1, 0)
COMPILED = Kernels(object(), "AVX2")  # type: ignore[arg-type]


@pytest.fixture
def large() -> LoadedModel:
    """GPT-J-6B in bfloat16."""
    return FakeManager().load(LARGE)


def test_a_measured_model_shows_what_it_does_of_what_is_possible(large: LoadedModel) -> None:
    markup = speed_markup(large, Speed(5 * 10**9, 50e9, ALONE, None))
    assert "<b>7.2 tokens/s</b> of at most 10.0" in markup and "width:72.0%" in markup and "72 % of it" in markup


def test_before_it_is_measured_the_limit_stands_alone_beside_the_offer(large: LoadedModel) -> None:
    markup = speed_markup(large, Speed(5 * 10**9, 50e9, None, None))
    assert "at most <b>10.0</b> tokens/s" in markup and ">Measure</button>" in markup and 'class="bar' not in markup


def test_on_a_gpu_nothing_is_said_of_the_cpus_memory(large: LoadedModel) -> None:
    markup = speed_markup(large, Speed(5 * 10**9, None, ALONE, None))
    assert "7.2 tokens/s" in markup and "GB/s" not in markup and "at most" not in markup


def test_a_large_model_in_16_bits_is_told_of_int8(large: LoadedModel) -> None:
    speed = Speed(12 * 10**9, 50e9, ALONE, None)
    assert "In int8 it would read about half" in speed_markup(large, speed, found=COMPILED)


@pytest.mark.parametrize("found", [None, Kernels(None, "PyTorch")])
def test_without_compiled_kernels_nobody_is_told_of_int8(large: LoadedModel, found: Kernels | None) -> None:
    assert "In int8" not in speed_markup(large, Speed(12 * 10**9, 50e9, ALONE, None), found=found)


def test_a_share_beyond_the_whole_is_as_much_as_the_memory_allows(large: LoadedModel) -> None:
    markup = speed_markup(large, Speed(8 * 10**9, 50e9, ALONE, None))
    assert markup.count("as much as the memory allows") == 2 and "115 %" not in markup


def test_int8_itself_is_not(large: LoadedModel) -> None:
    parts = [replace(part, dtype="bfloat16 + int8") for part in large.parts]
    speed = Speed(6 * 10**9, 50e9, ALONE, None)
    assert "In int8" not in speed_markup(replace(large, parts=parts), speed, found=COMPILED)


def test_a_small_model_is_said_to_be_limited_by_other_work(large: LoadedModel) -> None:
    assert "so small" in speed_markup(large, Speed(10**7, 50e9, ALONE, None))


def test_several_texts_at_once_are_told(large: LoadedModel) -> None:
    markup = speed_markup(large, Speed(5 * 10**9, 50e9, ALONE, Pace(16, 40.3, 8, 0)))
    assert "8 texts at once, together 40.3 tokens/s" in markup


def test_guesses_that_paid_are_told(large: LoadedModel) -> None:
    markup = speed_markup(large, Speed(5 * 10**9, 50e9, ALONE, Pace(16, 14.4, 1, 0, accepted=9)))
    assert "14.4 tokens/s with what was found in the text before" in markup


@pytest.mark.parametrize("alone", [None, ALONE])
def test_where_no_guess_came_true_none_is_told(large: LoadedModel, alone: Pace | None) -> None:
    assert "found in the text" not in speed_markup(large, Speed(5 * 10**9, 50e9, alone, Pace(16, 14.4, 1, 0)))


def test_a_models_name_is_escaped(large: LoadedModel) -> None:
    wild = replace(large, spec=ModelSpec('<script>"'))
    assert "<script" not in speed_markup(wild, Speed(1, None, None, None)) + cards_markup([wild])


def test_the_machine_says_what_it_reads_and_what_computes() -> None:
    markup = machine_markup(43.1e9, 2, Kernels(None, "PyTorch", "No <C> compiler was found."))
    assert "43.1 GB/s" in markup and "2 threads" in markup and "No &lt;C&gt; compiler" in markup


def test_before_the_machine_is_measured_it_says_what_to_do() -> None:
    assert "Open this tab again while nobody computes" in machine_markup(None, 2, None)


def test_a_plan_shows_the_limit_of_each_precision() -> None:
    plan = FakeManager().plan(LARGE)
    markup = plan_markup("6b", plan, plan_limits(plan.read_bytes_per_token, 40e9))
    assert markup.count("row-limit") == 5 and "≤ 3.9/s" in markup


@pytest.mark.parametrize(
    "slow, said", [((), "Fewer bytes are faster."), (("nf4",), "except for nf4:"), (("nf4", "int8"), "int8 and nf4:")]
)
def test_a_plan_says_which_precisions_stay_far_below_their_limits(slow: tuple[str, ...], said: str) -> None:
    plan = FakeManager().plan(LARGE, context=100)
    markup = plan_markup("6b", plan, plan_limits(plan.read_bytes_per_token, 40e9), slow)
    assert said in markup and "one text of 100 tokens" in markup


def test_without_a_probe_a_plan_says_nothing_of_speed() -> None:
    plan = FakeManager().plan(LARGE)
    assert "row-limit" not in plan_markup("6b", plan, plan_limits(plan.read_bytes_per_token, None))


class Tab:
    """The tab's steps over a scripted model, without a page."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(models, "WAIT_SECONDS", 0.0)
        monkeypatch.setattr("workbench.speed.bandwidth.read_bytes_per_second", lambda threads: 40e9)
        self.model, self.spec = FakeLanguageModel(), ModelSpec("demo")
        self.manager = FakeManager(self.model)
        self.manager.load(self.spec)
        self.bench = Bench(Settings(), self.manager)  # type: ignore[arg-type]
        self.view = models.View(**{field.name: field.name for field in fields(models.View)})  # type: ignore[arg-type]

    def measured(self) -> list[str]:
        return [str(update[self.view.cards]) for update in models.measuring(self.bench, self.view, "demo")]


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch) -> Tab:
    """A tab with the demo loaded."""
    return Tab(monkeypatch)


def test_a_measurement_writes_one_plain_text(tab: Tab) -> None:
    assert "Measuring" in tab.measured()[-1] and tab.model.requests == [MEASURED]
    assert not MEASURED.lookup and MEASURED.num_beams == 1 and MEASURED.sampling.temperature == 0


def test_a_measurement_waits_until_nobody_else_computes(tab: Tab) -> None:
    steps = None
    with tab.manager.lease(tab.spec):
        steps = models.measuring(tab.bench, tab.view, "demo")
        assert "Waiting until nobody else" in str(next(steps)) and tab.model.requests == []
    assert "Measuring" in str(list(steps)[-1])


def test_a_measurement_waits_for_a_training(tab: Tab) -> None:
    assert isinstance(tab.bench.training.take("mood"), threading.Event)
    steps = models.measuring(tab.bench, tab.view, "demo")
    shown = [str(next(steps)) for _ in range(3)]
    assert all("Waiting until nobody else" in markup for markup in shown) and tab.model.requests == []


def test_a_measurement_waits_for_a_load(tab: Tab) -> None:
    tab.manager.loads = True
    steps = models.measuring(tab.bench, tab.view, "demo")
    assert "Waiting until nobody else" in str(next(steps)) and tab.bench.memory_speed.measured() is None
    tab.manager.loads = False
    assert "Measuring" in str(list(steps)[-1])


def test_somebody_who_begins_while_the_memory_is_measured_is_waited_for(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(threads: int) -> float:
        tab.manager.leases[tab.spec] += 1
        return 40e9

    monkeypatch.setattr("workbench.speed.bandwidth.read_bytes_per_second", probe)
    steps = models.measuring(tab.bench, tab.view, "demo")
    assert "Waiting until nobody else" in str(next(steps)) and tab.model.requests == []


def test_a_measurement_beside_another_text_is_made_again(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tab.model.pace, "note", lambda step: None)
    with pytest.raises(BadRequest, match="Somebody else wrote meanwhile: measure again"):
        tab.measured()


def test_a_stopped_measurement_frees_the_model(tab: Tab) -> None:
    steps = models.measuring(tab.bench, tab.view, "demo")
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert tab.model.closed == 1 and tab.manager.leases[tab.spec] == 0


def test_a_model_that_left_meanwhile_is_told(tab: Tab) -> None:
    tab.manager.unload(tab.spec)
    with pytest.raises(BadRequest, match="not loaded any more"):
        tab.measured()


def test_the_opened_tab_shows_what_was_written_before(tab: Tab) -> None:
    record = tab.manager.records.setdefault(tab.spec, PaceRecord())
    record.note(Step(0.1, streams=1, rows=1, tokens=1, cache_bytes=0))
    first, second = models.opened(tab.bench, tab.view)
    assert "<b>10.0 tokens/s</b></p>" in first[tab.view.cards] and "of at most" in second[tab.view.cards]
