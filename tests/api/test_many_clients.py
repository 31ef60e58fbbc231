"""Many callers of the API and users of the page's own way in at once: each has the answer it would have alone."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.serving import Served, eventually, served
from workbench.engine.jobs import Sampling
from workbench.text.requests import Generate, Generated

CALLERS, USERS = 16, 4
PROMPTS = ("The man said that", "She", "In the first year of his work", "Question: who wrote this page?\nAnswer:")


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served() as found:
        yield found


def asked(place: int) -> dict[str, Any]:
    """A caller's request: each another, every kind among them."""
    kinds: tuple[dict[str, Any], ...] = (
        {"temperature": 0, "logprobs": 2},
        {"seed": place, "temperature": 2.0, "logprobs": 0},
        {"seed": place, "n": 2, "top_p": 0.9},
        {"temperature": 0, "echo": True, "logprobs": 1, "max_tokens": 1},
    )
    own = {"prompt": f"{PROMPTS[place // 4 % 4]} {place}", "max_tokens": 24 + place, **kinds[place % 4]}
    return own | {"stream": place % 3 == 0}


def answered(api: Served, place: int) -> Any:
    """A caller's answer without what differs from time to time."""
    request = asked(place)
    if request["stream"]:
        pieces: dict[int, list[Any]] = {}
        for choice in (choice for chunk in api.chunks(**request) for choice in chunk["choices"]):
            pieces.setdefault(choice["index"], []).append(choice)
        return pieces
    return api.post(**request).json()["choices"]


def written(api: Served, place: int) -> Generated:
    """What a user of the page sees at last."""
    sampling = Sampling(temperature=1.5) if place % 2 else Sampling(temperature=0)
    *_, last = api.model.stream(Generate(PROMPTS[place % 4], 40, sampling=sampling, seed=place))
    return last


def test_every_answer_is_the_one_it_would_be_alone(api: Served) -> None:
    alone = [answered(api, place) for place in range(CALLERS)], [written(api, place) for place in range(USERS)]
    starts = threading.Barrier(CALLERS + USERS)

    def together(answer: Callable[[Served, int], Any], place: int) -> Any:
        starts.wait()
        return answer(api, place)

    with ThreadPoolExecutor(CALLERS + USERS) as people:
        callers = [people.submit(together, answered, place) for place in range(CALLERS)]
        users = [people.submit(together, written, place) for place in range(USERS)]
        assert [caller.result() for caller in callers] == alone[0]
        found = [user.result() for user in users]
    assert [(one.text, one.tokens) for one in found] == [(one.text, one.tokens) for one in alone[1]]
    eventually(lambda: api.at_rest)


def test_the_answers_of_callers_who_stay_do_not_change_when_others_leave(api: Served) -> None:
    alone = [answered(api, place) for place in range(8)]
    with ThreadPoolExecutor(16) as people:
        staying = [people.submit(answered, api, place) for place in range(8)]
        leaving = [people.submit(_left_early, api, place) for place in range(8)]
        assert [caller.result() for caller in staying] == alone
        assert all(one.result() for one in leaving)
    eventually(lambda: api.at_rest)


def _left_early(api: Served, place: int) -> bool:
    body = {"model": api.model.name, "prompt": PROMPTS[place % 4], "max_tokens": 400, "stream": True}
    with api.client.stream("POST", "/v1/completions", json=body) as answer:
        return bool(next(answer.iter_lines()))
