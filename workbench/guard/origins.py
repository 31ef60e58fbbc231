"""Which names the server answers to, and which websites may send it something.

A page on this machine trusts whoever calls, because it is its owner. But a website that is open in the owner's browser
can call it too: by a form or a script that sends blindly (told by its Origin), or under a name of its own that it lets
point to this machine (told by its Host).
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from workbench.guard.refusals import Refusal
from workbench.settings import is_loopback

_HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")
_READING = ("GET", "HEAD")


def refused_origin(method: str, headers: Mapping[str, str], hosts: Collection[str], local: bool) -> Refusal | None:
    """Why a request must not be answered, going by who sent it; None: it may.

    Args:
        headers: by their names in small letters.
        hosts: names the server answers to beside its machine's own; in public, where there are none, to any.
        local: whether callers are trusted because they sit on this machine.
    """
    host = headers.get("host", "")
    if (local or hosts) and not _is_ours(host, hosts):
        told = f"This server does not answer to the name {host[:100]!r}. Its owner can allow it by WORKBENCH_HOSTS."
        return Refusal(421, told)
    if method in _READING or not local:
        return None
    origin = headers.get("origin")
    foreign = urlsplit(origin).netloc.lower() != host.lower() if origin is not None else False
    if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return Refusal(403, "Another website sent this request. It is not answered: only this page itself may send.")
    return None


def _is_ours(host: str, hosts: Collection[str]) -> bool:
    found = _HOST.fullmatch(host.lower())
    return found is not None and (is_loopback(found["name"]) or found["name"] in hosts)
