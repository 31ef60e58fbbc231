"""Generation: what is asked, and how a text is compared with its references."""

import pytest

from workbench.errors import BadRequest
from workbench.evals.methods.generation import Generation, Measure, Prompt
from workbench.evals.metrics.rouge import rouge
from workbench.text.requests import Generated

EXAMPLE = Prompt("Question: What barks?\nAnswer:", ("A dog", "dogs"))
EVERY: tuple[Measure, ...] = ("exact_match", "contains", "f1", "rouge1", "rouge2", "rougeL", "characters")


def scores(text: str, *references: str) -> dict[str, float]:
    """Of a generated text, by every measure."""
    return Generation(EVERY).judge(Prompt("?", references), [Generated(text)]).scores


def test_the_likeliest_continuation_is_asked_for() -> None:
    method = Generation(stop=("\n",), max_new_tokens=9, min_new_tokens=2, num_beams=4, longest_prompt_tokens=77)
    (request,) = method.requests(EXAMPLE)
    assert request.prompt == EXAMPLE.prompt
    assert request.sampling.greedy
    assert (request.stop, request.max_new_tokens, request.min_new_tokens, request.num_beams) == (("\n",), 9, 2, 4)
    assert (request.truncate, request.longest_prompt_tokens) == ("beginning", 77)


def test_worked_examples_show_the_first_reference() -> None:
    method = Generation().with_shots([EXAMPLE])
    assert method.prefix == "Question: What barks?\nAnswer: A dog\n\n"
    (request,) = method.requests(EXAMPLE)
    assert (request.prompt, request.shared) == (method.prefix + EXAMPLE.prompt, method.prefix)


@pytest.mark.parametrize("references", [(), ("",), (" ", "\n")])
def test_a_prompt_needs_a_right_answer(references: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest, match="no right answer"):
        Prompt("What barks?", references)


def test_the_protocol_says_how_texts_are_normalised_before_they_are_compared() -> None:
    assert list(Generation(measures=("f1", "rouge1")).settings["normaliser"]) == ["f1", "rouge1"]


def test_a_task_may_take_no_worked_examples() -> None:
    with pytest.raises(BadRequest, match="0 shots"):
        Generation(takes_shots=False).with_shots([EXAMPLE])


def test_case_punctuation_and_the_spaces_around_do_not_count() -> None:
    assert scores("  a DOG.\n", "A dog")["exact_match"] == 1.0


def test_one_matching_reference_is_enough() -> None:
    assert scores("dogs", "A dog", "Dogs!")["exact_match"] == 1.0


def test_a_reference_inside_the_text_is_contained() -> None:
    found = scores("I think it is a dog, really", "A dog")
    assert (found["exact_match"], found["contains"]) == (0.0, 1.0)


def test_a_reference_of_punctuation_alone_is_contained_in_nothing() -> None:
    assert scores("anything", "...")["contains"] == 0.0


def test_f1_is_that_of_squad_against_the_nearest_reference() -> None:
    assert scores("the brown dog", "cat", "a dog")["f1"] == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_rouge_is_the_best_over_the_references() -> None:
    found, best = scores("a brown dog ran", "cats", "a dog ran"), rouge("a brown dog ran", "a dog ran")
    for name in ("rouge1", "rouge2", "rougeL"):
        assert found[name] == pytest.approx(best[name])


def test_characters_are_those_of_the_text_without_spaces_around_it() -> None:
    assert scores(" abc ", "x")["characters"] == 3.0


def test_only_the_chosen_measures_are_scored_in_their_order() -> None:
    method = Generation(("rougeL", "exact_match"))
    assert [metric.name for metric in method.metrics] == ["rougeL", "exact_match"]
    assert set(method.judge(EXAMPLE, [Generated("a dog")]).scores) == {"rougeL", "exact_match"}


def test_the_text_and_how_it_ended_are_recorded() -> None:
    answer = Generated(" a dog ", finish_reason="stop_string", completion_tokens=3, unseen_tokens=7)
    prediction = Generation().judge(EXAMPLE, [answer])
    assert (prediction.answer, prediction.gold, prediction.unseen_tokens) == ("a dog", ["A dog", "dogs"], 7)
    assert prediction.detail == {"tokens": 3, "finish_reason": "stop_string"}


def test_a_failed_example_scores_nothing() -> None:
    assert Generation().failed(EXAMPLE, "too long").scores == {"exact_match": 0.0, "contains": 0.0, "f1": 0.0}


def test_an_example_without_a_reference_is_refused() -> None:
    with pytest.raises(BadRequest, match="at least one reference"):
        Prompt("?", ())
