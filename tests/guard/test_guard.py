"""The guard as a whole: what passes is untouched, what does not is told why, and every answer has its headers."""

import asyncio
import json
from dataclasses import replace

import pytest

from tests.guard.serving import JOIN, UPLOAD, Page, ask, asked, guarded
from workbench.guard.clients import Traffic
from workbench.guard.guard import Guard, Rules, rules_of
from workbench.profiles import LOCAL, PUBLIC, Bucket, Profile
from workbench.settings import Settings


def with_traffic(profile: Profile, **limits: object) -> Profile:
    """The profile with other limits on its traffic."""
    return replace(profile, traffic=replace(profile.traffic, **limits))  # type: ignore[arg-type]


def test_what_is_on_the_list_reaches_the_page_and_comes_back_as_it_was() -> None:
    answer = asked(guarded(Page()), "POST", JOIN, pieces=[b"12", b"345"])
    assert (answer.status, answer.body, answer.headers["x-own"]) == (200, b"5", "1")


def test_what_is_not_on_the_list_never_reaches_the_page() -> None:
    page = Page()
    answer = asked(guarded(page), "GET", "/monitoring/summary")
    assert answer.status == 404 and page.asked == []


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_every_answer_carries_the_security_headers(path: str) -> None:
    headers = asked(guarded(Page()), "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert "object-src 'none'" in headers["content-security-policy"]


def test_a_body_beyond_the_limit_is_refused_while_it_comes() -> None:
    page = Page()
    guard = guarded(page, with_traffic(LOCAL, json_bytes=10))
    assert asked(guard, "POST", JOIN, pieces=[b"12345", b"12345"]).status == 200
    answer = asked(guard, "POST", JOIN, pieces=[b"12345", b"12345", b"1", b"never read" * 10**6])
    assert answer.status == 413 and b"more than 10 bytes" in answer.body
    assert answer.headers["connection"] == "close"


def test_an_application_that_swallows_the_end_of_a_body_does_not_hide_the_refusal() -> None:
    guard = guarded(Page(swallows=True), with_traffic(LOCAL, json_bytes=10))
    assert asked(guard, "POST", JOIN, pieces=[b"12345", b"1234567"]).status == 413


def test_a_length_that_says_too_much_is_believed_before_anything_is_read() -> None:
    page = Page()
    guard = guarded(page, with_traffic(LOCAL, json_bytes=10))
    assert asked(guard, "POST", JOIN, {"content-length": "11"}).status == 413 and page.asked == []


def test_a_length_that_says_too_little_changes_nothing() -> None:
    guard = guarded(Page(), with_traffic(LOCAL, json_bytes=10))
    assert asked(guard, "POST", JOIN, {"content-length": "1"}, pieces=[b"x" * 11]).status == 413


def test_an_upload_may_be_as_large_as_a_file_and_what_stands_around_it() -> None:
    guard = guarded(Page(), replace(LOCAL, files=replace(LOCAL.files, bytes=100)))
    assert asked(guard, "POST", UPLOAD, pieces=[b"x" * (100 + 2**16)]).status == 200
    assert asked(guard, "POST", UPLOAD, pieces=[b"x" * (101 + 2**16)]).status == 413


def test_a_body_that_does_not_come_to_its_end_is_let_go() -> None:
    guard = guarded(Page(), with_traffic(LOCAL, body_seconds=0.01))

    async def asked_slowly() -> tuple[int, bool]:
        status = []

        async def receive() -> dict[str, object]:
            await asyncio.sleep(30)
            return {"type": "http.request"}

        async def send(message: dict[str, object]) -> None:
            status.append(message.get("status"))

        scope = {"type": "http", "method": "POST", "path": JOIN, "client": None, "headers": [(b"host", b"localhost")]}
        await guard(scope, receive, send)  # type: ignore[arg-type]
        return status[0], guard._traffic.under_way == 0  # type: ignore[return-value]

    assert asyncio.run(asked_slowly()) == (408, True)


def test_a_client_that_asks_too_often_is_told_when_to_come_back_and_others_are_not_kept_waiting() -> None:
    guard = guarded(Page(), with_traffic(PUBLIC, joins=Bucket(burst=2, per_minute=6)))
    assert [asked(guard, "POST", JOIN, peer="10.0.0.1").status for _ in range(3)] == [200, 200, 429]
    answer = asked(guard, "POST", JOIN, peer="10.0.0.1")
    assert 1 <= int(answer.headers["retry-after"]) <= 10 and b"Try again in" in answer.body
    assert asked(guard, "POST", JOIN, peer="10.0.0.2").status == 200
    assert asked(guard, "GET", "/config", peer="10.0.0.1").status == 200


def test_completions_count_as_joins() -> None:
    guard = guarded(Page(), with_traffic(PUBLIC, joins=Bucket(burst=1, per_minute=1)))
    assert [asked(guard, "POST", "/v1/completions").status for _ in range(2)] == [200, 429]


def open_at_once(profile: Profile, peers: list[str]) -> tuple[list[int], int, str]:
    """The statuses of requests that stay open together, what is under way at the end, and a refusal's Retry-After."""

    async def together() -> tuple[list[int], int, str]:
        page = Page(hold=asyncio.Event())
        guard = guarded(page, profile)
        tasks = [asyncio.create_task(ask(guard, "GET", "/gradio_api/queue/data", peer=peer)) for peer in peers]
        await asyncio.sleep(0.01)
        assert page.hold is not None
        page.hold.set()
        answers = await asyncio.gather(*tasks)
        waits = [answer.headers.get("retry-after", "") for answer in answers]
        return [answer.status for answer in answers], guard._traffic.under_way, max(waits)

    return asyncio.run(together())


def test_one_client_holds_only_so_many_connections() -> None:
    profile = with_traffic(PUBLIC, client_connections=2)
    assert open_at_once(profile, ["1.1.1.1", "1.1.1.1", "1.1.1.1", "2.2.2.2"]) == ([200, 200, 429, 200], 0, "5")


def test_all_clients_together_hold_only_so_many() -> None:
    assert open_at_once(with_traffic(PUBLIC, connections=2), ["1.1.1.1", "2.2.2.2", "3.3.3.3"])[0] == [200, 200, 503]


def test_a_page_that_fails_leaves_nothing_under_way() -> None:
    class Failing(Page):
        async def __call__(self, scope: object, receive: object, send: object) -> None:
            raise RuntimeError("on purpose")

    guard = guarded(Failing())
    with pytest.raises(RuntimeError, match="on purpose"):
        asked(guard)
    assert guard._traffic.under_way == 0


def test_a_server_on_its_way_out_answers_only_the_health_checks() -> None:
    traffic = Traffic(PUBLIC.traffic)
    guard = Guard(Page(), Rules(PUBLIC), traffic)
    traffic.close()
    answer = asked(guard)
    assert answer.status == 503 and answer.headers["retry-after"] == "5" and b"restarted" in answer.body
    assert asked(guard, "GET", "/healthz").status == 200


@pytest.mark.parametrize("status", [429, 503])
def test_what_the_page_refuses_for_want_of_room_gets_a_time_to_come_back(status: int) -> None:
    assert asked(guarded(Page(status=status)), "POST", JOIN).headers["retry-after"] == "5"


def test_the_apis_refusals_have_the_form_of_openais() -> None:
    guard = guarded(Page(), with_traffic(LOCAL, json_bytes=10))
    (error,) = json.loads(asked(guard, "POST", "/v1/completions", pieces=[b"x" * 11]).body).values()
    assert set(error) == {"message", "type", "param", "code"}


def test_the_pages_refusals_are_read_by_its_client_as_detail() -> None:
    assert "detail" in json.loads(asked(guarded(Page()), "GET", "/nowhere").body)


def test_a_websocket_is_closed() -> None:
    sent: list[dict[str, object]] = []

    async def knock() -> None:
        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await guarded(Page())({"type": "websocket", "path": "/"}, None, send)  # type: ignore[arg-type]

    asyncio.run(knock())
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_the_address_that_is_served_is_among_the_names_of_a_local_page() -> None:
    rules = rules_of(Settings(host="192.168.1.5", profile_name="local", hosts=("bench.lan",)))
    assert set(rules.hosts) == {"192.168.1.5", "bench.lan"}
    assert rules_of(Settings(host="0.0.0.0")).hosts == ()
