"""Who asks, and how much each may take."""

import pytest

from workbench.guard.clients import MOST_REMEMBERED, Buckets, client_of
from workbench.profiles import Bucket


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("peer, forwarded, proxies, client", [
    ("10.0.0.1", "", 0, "10.0.0.1"),
    ("10.0.0.1", "1.2.3.4", 0, "10.0.0.1"),
    ("10.0.0.1", "1.2.3.4", 1, "1.2.3.4"),
    ("10.0.0.1", "6.6.6.6, 1.2.3.4", 1, "1.2.3.4"),
    ("10.0.0.1", "6.6.6.6,1.2.3.4 , 10.9.9.9", 2, "1.2.3.4"),
    ("10.0.0.1", "1.2.3.4", 2, "1.2.3.4"),
    ("10.0.0.1", " , ", 1, "10.0.0.1"),
    ("10.0.0.1", "made up <b>", 1, "made up <b>"),
    ("::ffff:1.2.3.4", "", 0, "1.2.3.4"),
    ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
    (None, "", 0, "unknown"),
])  # fmt: skip
def test_a_client_is_whom_the_last_trusted_proxy_names(
    peer: str | None, forwarded: str, proxies: int, client: str
) -> None:
    assert client_of(peer, forwarded, proxies) == client


def test_the_addresses_of_one_ipv6_subscriber_are_one_client() -> None:
    assert client_of("2001:db8::1", "", 0) == client_of("2001:db8::ffff:1", "", 0)


def test_a_long_made_up_name_is_kept_short() -> None:
    assert len(client_of("10.0.0.1", "x" * 10_000, 1)) == 64


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(Bucket(burst=2, per_minute=30), clock)
    assert [buckets.wait("a") for _ in range(3)] == [0, 0, 2.0]
    clock.now += 2
    assert buckets.wait("a") == 0 and buckets.wait("a") > 0


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    clock = Clock()
    buckets = Buckets(Bucket(burst=2, per_minute=30), clock)
    buckets.wait("a")
    clock.now += 1000
    assert [buckets.wait("a") > 0 for _ in range(3)] == [False, False, True]


def test_a_refusal_takes_no_token() -> None:
    clock = Clock()
    buckets = Buckets(Bucket(burst=1, per_minute=60), clock)
    assert [buckets.wait("a") for _ in range(4)] == [0, 1, 1, 1]


def test_ever_new_clients_fill_no_memory() -> None:
    buckets = Buckets(Bucket(burst=1, per_minute=1), Clock())
    for number in range(MOST_REMEMBERED + 50):
        buckets.wait(str(number))
    assert len(buckets._left) == MOST_REMEMBERED
