"""The queue that no visitor can stop: who waits keeps the mailbox, and who never listens is let go."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.queueing import Event
from gradio.server_messages import HeartbeatMessage

from workbench.ui.host.steady_queue import ABSENT_SECONDS, MOST_UNREAD, Mailboxes, steady


def page_of(most_sessions: int = 3, clock: Callable[[], float] = lambda: 0.0) -> gr.Blocks:
    """A page with one function."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button("Run").click(lambda: None, None, None)
    page.queue(status_update_rate=2.0)
    steady(page, most_sessions, clock)
    return page


def event_of(page: gr.Blocks, session: str) -> Event:
    """An event that waits."""
    queue = page._queue
    event = Event(session, page.fns[0], SimpleNamespace(), None)  # type: ignore[arg-type]
    queue.create_event_queue_for_fn(event.fn)
    queue.pending_messages_per_session[session] = box()
    queue.event_queue_per_concurrency_id[event.concurrency_id].queue.append(event)
    return event


def box() -> Any:
    """A mailbox that needs no event loop."""
    unread: list[Any] = []
    return SimpleNamespace(qsize=lambda: len(unread), put_nowait=unread.append, unread=unread)


def test_a_flood_of_sessions_takes_nobodys_mailbox_who_waits() -> None:
    page = page_of()
    waiting = event_of(page, "waiting")
    boxes = page._queue.pending_messages_per_session
    for number in range(100):
        boxes[f"other {number}"] = box()
    assert "waiting" in boxes and len(boxes) == 3
    page._queue.send_message(waiting, HeartbeatMessage())  # type: ignore[arg-type]
    assert len(boxes["waiting"].unread) == 1 and waiting.alive  # type: ignore[attr-defined]


def test_nobody_is_forgotten_while_all_wait() -> None:
    page = page_of()
    for number in range(10):
        event_of(page, str(number))
    assert len(page._queue.pending_messages_per_session) == 10


def test_a_session_that_is_forgotten_leaves_nothing_behind() -> None:
    page = page_of(most_sessions=1)
    queue = page._queue
    queue.pending_messages_per_session["a"] = box()
    queue.pending_event_ids_session["a"] = {"event"}
    queue.pending_messages_per_session["b"] = box()
    assert list(queue.pending_messages_per_session) == ["b"] and queue.pending_event_ids_session == {}


def test_a_message_to_a_session_without_a_mailbox_ends_its_event_and_not_the_queue() -> None:
    page = page_of()
    event = event_of(page, "gone")
    del page._queue.pending_messages_per_session["gone"]
    page._queue.send_message(event, HeartbeatMessage())  # type: ignore[arg-type]
    assert not event.alive


def test_gradios_own_queue_would_end_by_it() -> None:
    """The mutant: if Gradio mends this, the patch can go."""
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button("Run").click(lambda: None, None, None)
    page.queue()
    event = event_of(page, "gone")
    del page._queue.pending_messages_per_session["gone"]
    with pytest.raises(KeyError):
        page._queue.send_message(event, HeartbeatMessage())  # type: ignore[arg-type]


def send(page: gr.Blocks, event: Event, count: int = 1) -> None:
    """So many messages to whoever asked for the event."""
    for _ in range(count):
        page._queue.send_message(event, HeartbeatMessage())  # type: ignore[arg-type]


def test_who_is_far_behind_is_let_go() -> None:
    page = page_of()
    event = event_of(page, "slow")
    send(page, event, 2 * MOST_UNREAD)
    assert not event.alive and page._queue.pending_messages_per_session["slow"].qsize() == MOST_UNREAD


def test_who_takes_no_message_for_long_is_let_go() -> None:
    now = [0.0]
    page = page_of(clock=lambda: now[0])
    event = event_of(page, "deaf")
    send(page, event)
    now[0] = ABSENT_SECONDS - 1
    send(page, event)
    assert event.alive
    now[0] = ABSENT_SECONDS
    send(page, event, 3)
    assert not event.alive and page._queue.pending_messages_per_session["deaf"].qsize() == 2


def test_who_takes_messages_slowly_is_there() -> None:
    now = [0.0]
    page = page_of(clock=lambda: now[0])
    event = event_of(page, "slow")
    for _ in range(MOST_UNREAD // 2):
        now[0] += ABSENT_SECONDS - 1
        send(page, event, 2)
        del page._queue.pending_messages_per_session["slow"].unread[0]  # type: ignore[attr-defined]
    assert event.alive


def test_who_has_nothing_to_take_for_long_is_there() -> None:
    now = [0.0]
    page = page_of(clock=lambda: now[0])
    event = event_of(page, "patient")
    now[0] = 100 * ABSENT_SECONDS
    send(page, event)
    assert event.alive


def test_a_mailbox_that_is_written_again_takes_no_room_of_another() -> None:
    boxes = page_of()._queue.pending_messages_per_session
    assert isinstance(boxes, Mailboxes)
    for name in ("a", "b", "c", "a"):
        boxes[name] = box()
    assert set(boxes) == {"a", "b", "c"}
