"""The greedy loop that both twins share: what a step is told, what ends a row, what is refused."""

import numpy
import pytest

from tests.gptj.tiny import tiny_config
from workbench.errors import BadRequest, TooLong
from workbench.twins.greedy import as_prompt, continued, new_tokens

CONFIG = tiny_config(n_positions=32)
PROMPT = numpy.array([[5, 6], [0, 7]])
MASK = numpy.array([[1, 1], [0, 1]])


def counting(asked):
    """A step whose likeliest token is the last one plus 1; it notes what it was told."""

    def step(fresh, mask, positions):
        asked.append((fresh.tolist(), mask.tolist(), positions.tolist()))
        return numpy.eye(23)[fresh[:, -1] + 1]

    return step


def test_each_step_is_told_the_new_tokens_the_whole_mask_and_positions_without_the_padding():
    asked = []
    found = continued(counting(asked), PROMPT, MASK, 2, CONFIG, None, None)
    assert found.tolist() == [[5, 6, 7, 8], [0, 7, 8, 9]]
    assert asked == [
        ([[5, 6], [0, 7]], [[1, 1], [0, 1]], [[0, 1], [0, 0]]),
        ([[7], [8]], [[1, 1, 1], [0, 1, 1]], [[2], [1]]),
    ]


def test_a_row_that_ended_is_padded_and_the_end_token_stays():
    found = continued(counting([]), PROMPT, MASK, 3, CONFIG, [7], 1)
    assert found.tolist() == [[5, 6, 7, 1, 1], [0, 7, 8, 9, 10]]


def test_no_step_is_taken_when_every_row_has_ended():
    asked = []
    found = continued(counting(asked), PROMPT, MASK, 9, CONFIG, [7, 8], 1)
    assert found.tolist() == [[5, 6, 7], [0, 7, 8]]
    assert len(asked) == 1


def test_padding_is_the_first_end_token_where_nothing_else_is_named():
    assert continued(counting([]), PROMPT, MASK, 2, CONFIG, 7, None)[0].tolist() == [5, 6, 7, 7]


@pytest.mark.parametrize(
    ("max_length", "max_new_tokens", "count"), [(None, None, 20), (9, None, 4), (None, 3, 3), (9, 3, 3)]
)
def test_the_number_of_new_tokens(max_length, max_new_tokens, count):
    assert new_tokens(5, max_length, max_new_tokens, CONFIG) == count


def test_no_room_for_a_token_is_refused():
    with pytest.raises(BadRequest, match="No token is left"):
        new_tokens(5, 5, None, CONFIG)


def test_more_than_the_context_is_refused():
    with pytest.raises(TooLong, match="context of 32"):
        new_tokens(5, None, 28, CONFIG)


def test_padding_on_the_right_is_refused():
    with pytest.raises(BadRequest, match="on the left"):
        as_prompt(PROMPT, MASK[:, ::-1])


@pytest.mark.parametrize("ids", [[], [[]], [1, 2]])
def test_ids_that_are_no_batch_are_refused(ids):
    with pytest.raises(BadRequest, match="rows, tokens"):
        as_prompt(ids, None)
