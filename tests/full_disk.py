"""A disk that has no room left, for one process."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def room_for(most_bytes: int) -> Iterator[None]:
    """No file grows beyond so many bytes: writing more fails as it does on a full disk."""
    resource = pytest.importorskip("resource", reason="the system has no limit for a file's size")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
