"""Gradio's queue of events, so that no visitor can stop it for the others.

As it comes, the queue keeps the messages for 2,000 sessions and forgets the one that joined first, even while it waits;
the next message to it then ends the queue for good. And it keeps whatever is sent to somebody who never listens.
"""

import time
from collections.abc import Callable
from typing import Any

from gradio import Blocks
from gradio.queueing import Event, Queue
from gradio.utils import LRUCache

MOST_SESSIONS = 20_000
MOST_UNREAD = 150
"""Messages that wait for one session; a listener who is further behind is not waited for."""
ABSENT_SECONDS = 12.0
"""That messages wait while none is taken; then nobody listens."""


class Mailboxes(LRUCache[str, Any]):
    """The sessions' messages; a session that waits or is served keeps its own, however many others come."""

    def __init__(self, queue: Queue, most: int):
        super().__init__(most)
        self._queue = queue
        self._taken: dict[str, tuple[int, float]] = {}
        """Of each session that was sent to: how many messages lay there then, and when it last took one."""

    def __setitem__(self, session: str, box: Any) -> None:
        """Makes room by forgetting the session that came first and has nothing under way."""
        if session not in self and len(self) >= self.max_size:
            needed = _sessions_under_way(self._queue)
            oldest = next((known for known in self if known not in needed), None)
            if oldest is None:
                self.max_size = len(self) + 1
            else:
                del self[oldest]
                self._queue.pending_event_ids_session.pop(oldest, None)
        super().__setitem__(session, box)

    def __delitem__(self, session: str) -> None:
        super().__delitem__(session)
        self._taken.pop(session, None)

    def listens(self, session: str, now: float) -> bool:
        """Whether one more message, which the caller then sends, will find somebody who takes messages."""
        box = self.get(session)
        if box is None:
            return False
        unread = box.qsize()
        before, taken_at = self._taken.get(session, (0, now))
        taken_at = now if unread == 0 or unread < before else taken_at
        there = unread < MOST_UNREAD and now - taken_at < ABSENT_SECONDS
        self._taken[session] = unread + there, taken_at
        return there


def steady(page: Blocks, most_sessions: int = MOST_SESSIONS, clock: Callable[[], float] = time.monotonic) -> None:
    """Makes the page's queue so; to be called once `page.queue` has been."""
    queue = page._queue
    boxes = queue.pending_messages_per_session = Mailboxes(queue, most_sessions)
    send = queue.send_message

    def sent(event: Event, event_message: Any) -> None:
        if not boxes.listens(event.session_hash, clock()):
            event.alive = False  # as for somebody who closed the page: what runs for it ends with its next step
            return
        send(event, event_message)

    queue.send_message = sent  # type: ignore[method-assign]
    # It counts all events for a page of statistics that is not served here, with pandas, after each of them.
    queue.ANAYLTICS_CACHE_FREQUENCY, queue.ANALYTICS_MAX_EVENTS = 2**62, 100


def _sessions_under_way(queue: Queue) -> set[str]:
    """Those of whom an event waits or runs."""
    waiting = [event for lane in queue.event_queue_per_concurrency_id.values() for event in lane.queue]
    running = [event for job in queue.active_jobs if job for event in job]
    return {event.session_hash for event in (*waiting, *running)}
