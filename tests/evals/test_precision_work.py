"""A report on precisions against plain forward passes; one model at a time, stopped, and with one that fails."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from tests.text.tiny import STORY, TOKENIZER, tiny_network
from workbench.engine.engine import Engine
from workbench.errors import BadRequest, NotEnoughMemory
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.precision_report import Material, Opened, Precision, Report, RowAsked
from workbench.evals.precision_work import WINDOW_TOKENS, asked_text, measure, windows
from workbench.evaluating import SAMPLES, all_tasks
from workbench.gptj.model import GPTJForCausalLM
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Classify, ExtractSpan, Generate, LogLikelihood, RollingLogLikelihood

CONTEXT = 600
TEXT = STORY * 2


@dataclass
class Shelf:
    """Two networks that differ a little, opened one after another."""

    networks: dict[str, GPTJForCausalLM] = field(default_factory=dict)
    open_now: int = 0
    most_open: int = 0
    broken: str = ""

    def precision(self, name: str, method: object = None) -> Precision:
        """One of them."""

        @contextmanager
        def opened() -> Iterator[Opened]:
            if name == self.broken:
                raise NotEnoughMemory("It does not fit. Choose int8.")
            self.open_now += 1
            self.most_open = max(self.most_open, self.open_now)
            try:
                with Engine(self.networks[name], TOKENIZER.size) as engine:
                    yield Opened(LanguageModel(engine, TOKENIZER), 1000 * len(name), method)  # type: ignore[arg-type]
            finally:
                self.open_now -= 1

        return Precision(name, opened)

    def both(self, method: object = None) -> list[Precision]:
        """All."""
        return [self.precision(name, method) for name in self.networks]


@pytest.fixture
def shelf() -> Shelf:
    """A network, and itself with its weights rounded to bfloat16."""
    rounded = tiny_network(n_positions=CONTEXT)
    rounded.load_state_dict({name: value.bfloat16().float() for name, value in rounded.state_dict().items()})
    return Shelf({"float32": tiny_network(n_positions=CONTEXT), "bfloat16": rounded})


def finished(steps: Generator[Report, None, Report]) -> Report:
    """The report at the end."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        report: Report = end.value
        return report


@torch.no_grad()
def plain(network: GPTJForCausalLM, tokens: list[int]) -> torch.Tensor:
    """Log-probabilities after every token, (T, V), from one forward pass."""
    return network(torch.tensor([tokens])).logits[0].double().log_softmax(-1)


def test_kl_after_every_token_is_that_of_plain_forward_passes(shelf: Shelf) -> None:
    found = finished(measure(shelf.both(), Material((TEXT, "A café."))))
    for text, divergence in zip((TEXT, "A café."), found.results[1].divergences, strict=True):
        p, q = (plain(network, TOKENIZER.encode(text)) for network in shelf.networks.values())
        kl = (p.exp() * (p - q)).sum(-1)
        assert np.allclose(divergence.kl, kl.numpy(), rtol=1e-2, atol=1e-9) and divergence.kl.max() > 1e-6
        assert (divergence.same_best == (p.argmax(-1) == q.argmax(-1)).numpy()).all()


def test_a_network_against_itself_differs_in_nothing(shelf: Shelf) -> None:
    shelf.networks["again"] = shelf.networks["float32"]
    found = finished(measure(shelf.both(), Material((TEXT,), ("The unicorn",), new_tokens=8))).results[2]
    assert (found.divergences[0].kl == 0).all() and found.divergences[0].same_best.all()
    assert found.partings == (None,)


def test_a_long_text_is_read_in_windows_each_token_once(shelf: Shelf) -> None:
    text = STORY * 12
    tokens = TOKENIZER.encode(text)
    assert len(tokens) > WINDOW_TOKENS
    found = finished(measure(shelf.both(), Material((text,)))).results[1].divergences[0]
    assert len(found.kl) == len(tokens)
    p, q = (plain(network, tokens[WINDOW_TOKENS : WINDOW_TOKENS + 20]) for network in shelf.networks.values())
    second = found.kl[WINDOW_TOKENS : WINDOW_TOKENS + 20]
    assert np.allclose(second, (p.exp() * (p - q)).sum(-1).numpy(), rtol=1e-2, atol=1e-9)


def test_what_the_reference_writes_after_a_prompt_is_read_by_all(shelf: Shelf) -> None:
    prompt = "The unicorn walked"
    found = finished(measure(shelf.both(), Material((prompt,), (prompt,), follows=True, new_tokens=9)))
    written = [token.id for token in found.reference.written[0].tokens]
    assert found.reference.read_tokens == len(TOKENIZER.encode(prompt)) + len(written)


def test_partings_are_where_the_greedy_texts_part(shelf: Shelf) -> None:
    shelf.networks["other"] = tiny_network(seed=5, n_positions=CONTEXT)
    found = finished(measure(shelf.both(), Material((TEXT,), ("The old king",), new_tokens=12)))
    texts = [[token.id for token in one.written[0].tokens] for one in found.results]
    place = found.results[2].partings[0]
    assert place is not None and texts[0][:place] == texts[2][:place] and texts[0][place] != texts[2][place]


def test_one_precision_is_in_memory_at_a_time(shelf: Shelf) -> None:
    finished(measure(shelf.both(), Material((TEXT,))))
    assert shelf.most_open == 1 and shelf.open_now == 0


def test_the_report_says_what_its_file_holds(shelf: Shelf) -> None:
    found = finished(measure(shelf.both(), Material((TEXT,))))
    assert found.kept_bytes == 4 * len(TOKENIZER.encode(TEXT)) * tiny_network().config.vocab_size


def test_a_precision_that_does_not_fit_has_its_reason_and_the_others_go_on(shelf: Shelf) -> None:
    shelf.networks = {"float32": shelf.networks["float32"], "huge": None, **shelf.networks}  # type: ignore[dict-item]
    shelf.broken = "huge"
    found = finished(measure(shelf.both(), Material((TEXT,))))
    assert [one.error for one in found.results] == ["", "It does not fit. Choose int8.", ""]
    assert len(found.results[2].divergences) == 1


def test_a_reference_that_does_not_fit_ends_the_report(shelf: Shelf) -> None:
    shelf.broken = "float32"
    with pytest.raises(NotEnoughMemory):
        finished(measure(shelf.both(), Material((TEXT,))))


def test_left_early_the_model_is_given_back(shelf: Shelf) -> None:
    steps = measure(shelf.both(), Material((TEXT,) * 5))
    while "reads text 3" not in next(steps).note:
        pass
    steps.close()
    assert shelf.open_now == 0


def test_it_can_be_left_in_the_middle_of_a_window(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []

    def endless(model: LanguageModel, tokens: object) -> Iterator[None]:
        try:
            while True:
                yield
        finally:
            left.append(tokens)

    monkeypatch.setattr(LanguageModel, "logit_steps", endless)
    steps = measure(shelf.both(), Material((TEXT,)))
    reading = [one for one, _ in zip((step.note for step in steps), range(9), strict=False) if "reads text 1" in one]
    steps.close()
    assert len(reading) > 2 and len(left) == 1 and shelf.open_now == 0


def test_the_share_of_the_work_grows_to_all(shelf: Shelf) -> None:
    seen = [report.done for report in measure(shelf.both(), Material((TEXT, TEXT), ("The",), new_tokens=3))]
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1


def test_rows_are_answered_by_all_under_their_own_names(shelf: Shelf) -> None:
    task = all_tasks()["piqa"]
    rows = load_data(task, SAMPLES, 3, LOCAL).rows
    asked = tuple(RowAsked(row.identity(None), row.index, "d", task.read(row)) for row in rows)
    found = finished(measure(shelf.both(task.method), Material(("x",), rows=asked)))
    for one in found.results:
        assert [(answer.id, answer.row) for answer in one.predictions] == [("0", 0), ("1", 1), ("2", 2)]


def test_nothing_to_compare_is_refused(shelf: Shelf) -> None:
    with pytest.raises(BadRequest, match="at least two"):
        finished(measure(shelf.both()[:1], Material((TEXT,))))
    with pytest.raises(BadRequest, match="no text"):
        finished(measure(shelf.both(), Material((" ",))))


def test_windows_hold_each_token_once_and_one_more_to_predict() -> None:
    assert list(windows([1, 2, 3, 4, 5], 2, 0)) == [(1, 2, 3), (3, 4, 5), (5, 0)]
    assert list(windows([1, 2], 2, 0)) == [(1, 2, 0)] and list(windows([], 2, 0)) == []


@pytest.mark.parametrize("request_, text", [
    (LogLikelihood("a", "b"), "a"), (LogLikelihood("", "b"), "b"), (RollingLogLikelihood("t"), "t"),
    (Generate("p"), "p"), (Classify("c", "h"), "c"), (ExtractSpan("q?", "p", template="{context}|{question}"), "p|q?"),
])  # fmt: skip
def test_what_is_read_of_a_request_is_its_prompt(request_: object, text: str) -> None:
    assert asked_text(request_) == text  # type: ignore[arg-type]
