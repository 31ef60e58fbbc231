"""How a model that is served elsewhere is named: http://host:8000/v1#model."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from workbench.errors import BadRequest

SCHEMES = ("http", "https")
VERSION = "/v1"
EXAMPLE = "http://localhost:8000/v1#EleutherAI/gpt-j-6b"
_LONGEST = 1_000


@dataclass(frozen=True)
class RemoteName:
    """A server, and a model on it."""

    origin: str
    """"http://host:8000"."""
    path: str
    """Where the API's paths begin: "/v1"."""
    model: str = ""
    """Empty: the only one that the server has."""

    @property
    def base(self) -> str:
        """What the API's paths are put behind."""
        return self.origin + self.path

    def __str__(self) -> str:
        return self.base + (f"#{self.model}" if self.model else "")


def is_remote(checkpoint: str) -> bool:
    """Whether a checkpoint's name is the address of a server."""
    return checkpoint.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def remote_name(checkpoint: str) -> RemoteName:
    """The server and the model that a name means, in one spelling.

    Raises:
        BadRequest: it is no such address; one with a user or a query is refused, since names stand in links and runs.
    """
    try:
        parts = urlsplit(checkpoint.strip())
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _refused(checkpoint, str(error)) from error
    if parts.scheme not in SCHEMES or not host or len(checkpoint) > _LONGEST:
        raise _refused(checkpoint, "it names no host")
    if parts.username is not None or parts.password is not None or parts.query:
        raise BadRequest(
            f"The address of {host} holds a user, a password or a query. Leave them out: names are shown in links and "
            "runs. A key belongs into WORKBENCH_REMOTE_KEYS."
        )
    shown = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/") or VERSION
    return RemoteName(f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}", path, parts.fragment.strip())


def _refused(checkpoint: str, reason: str) -> BadRequest:
    return BadRequest(f"{checkpoint[:100]!r} is no address of a server: {reason}. Write it like {EXAMPLE}.")
