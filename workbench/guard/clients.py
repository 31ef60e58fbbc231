"""Who asks, and how much of the server each may take."""

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from math import ceil

from workbench.guard.refusals import Refusal
from workbench.guard.routes import Kind
from workbench.profiles import Bucket, TrafficLimits

MOST_REMEMBERED = 20_000
"""Buckets kept; the one that was not used for longest is forgotten first, which can only favour its client."""
BUSY_SECONDS = 5
"""After which somebody who found no room may ask again."""


def client_of(peer: str | None, forwarded: str, proxies: int) -> str:
    """Whom a request counts for: an IPv4 address, or the network that one subscriber has of IPv6.

    Args:
        peer: the address of the connection.
        forwarded: the values of X-Forwarded-For, joined by commas; each proxy adds whom it heard from at the end.
        proxies: how many of them are our own. What stands further left can be made up by anybody.
    """
    told = [part.strip() for part in forwarded.split(",") if part.strip()]
    address = told[-min(proxies, len(told))] if proxies and told else peer or "unknown"
    try:
        parsed = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class Buckets:
    """A token bucket for each client; for one event loop."""

    def __init__(self, size: Bucket, clock: Callable[[], float] = time.monotonic):
        self._size, self._clock = size, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Takes a token, or tells after how many seconds there is one; 0: it was taken."""
        now, rate = self._clock(), self._size.per_minute / 60
        left, at = self._left.get(client, (float(self._size.burst), now))
        left = min(self._size.burst, left + rate * (now - at))
        taken = left >= 1
        self._left[client] = (left - taken, now)
        self._left.move_to_end(client)
        if len(self._left) > MOST_REMEMBERED:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / rate


class Traffic:
    """What is under way, and what each client has used. For one event loop, save `close`."""

    def __init__(self, limits: TrafficLimits, clock: Callable[[], float] = time.monotonic):
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._buckets = {
            kind: Buckets(size, clock)
            for kind, size in (("any", limits.requests), ("join", limits.joins), ("upload", limits.uploads))
            if size is not None
        }
        self.closed = False
        """Whether the server is on its way out."""

    @property
    def under_way(self) -> int:
        """Requests that have not been answered to their end."""
        return self._open.total()

    def close(self) -> None:
        """From now on nobody is let in."""
        self.closed = True

    def enter(self, client: str, kind: Kind) -> Refusal | None:
        """Counts a request in, which must `leave` later; or says why it has to wait."""
        if kind == "health":
            return None
        if self.closed:
            return Refusal(503, "The server is being restarted. Try again in a moment.", BUSY_SECONDS)
        if self._open.total() >= self._limits.connections:
            return Refusal(503, "Too many visitors are here at the moment. Try again soon.", BUSY_SECONDS)
        if self._open[client] >= self._limits.client_connections:
            told = "Too many requests of yours are under way. Close other tabs of this page, or wait."
            return Refusal(429, told, BUSY_SECONDS)
        for bucket in ("any", "join" if kind == "api" else kind):
            if bucket in self._buckets and (seconds := self._buckets[bucket].wait(client)):
                return Refusal(429, f"That was a lot at once. Try again in {ceil(seconds)} s.", ceil(seconds))
        self._open[client] += 1
        return None

    def leave(self, client: str, kind: Kind) -> None:
        """Counts a request out that was let in."""
        if kind == "health":
            return
        self._open[client] -= 1
        if self._open[client] <= 0:
            del self._open[client]
