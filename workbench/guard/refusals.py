"""Requests that are turned away, each with a reason a person can act on."""

import json
from dataclasses import dataclass, field

from starlette.types import Send

from workbench.api.refusals import Refused


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    message: str
    retry_seconds: int | None = None
    """After which it is worth another try."""
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, path: str) -> bytes:
        """The JSON document: on the API's paths in the form of OpenAI's errors, else as the page's client reads it."""
        if path.startswith("/v1"):
            return json.dumps(Refused(self.status, self.message).body).encode()
        return json.dumps({"detail": self.message}).encode()

    async def answer(self, send: Send, path: str) -> None:
        """Sends it; the connection ends, since the rest of the request is not read."""
        body = self.body(path)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "connection": "close",
            **({} if self.retry_seconds is None else {"retry-after": str(self.retry_seconds)}),
            **self.headers,
        }
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": pairs})
        await send({"type": "http.response.body", "body": body})
