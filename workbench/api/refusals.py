"""What a caller is told when a request can't be served, in the form of OpenAI's errors."""

import logging
from typing import Any

from workbench.errors import (
    BadRequest,
    Busy,
    Cancelled,
    CannotLoad,
    CheckpointNotFound,
    NumericalFailure,
    WorkbenchError,
)

RETRY_SECONDS = 5
"""After a refusal for want of room."""

_log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that gets an error in place of an answer.

    Args:
        status: of the HTTP answer.
        message: what is wrong, why, and what to do.
        param: the field of the request that is wrong.
        code: OpenAI's word for it, where it has one.
    """

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def body(self) -> dict[str, Any]:
        """The JSON document."""
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(self.status)
        kind = kind or ("server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    @property
    def headers(self) -> dict[str, str]:
        """What stands beside it."""
        return {"Retry-After": str(RETRY_SECONDS)} if self.status in (429, 503) else {}


def refusal(error: Exception) -> Refused:
    """Any error as the caller sees it; one that nobody foresaw is logged, and named in general terms alone."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, Busy):
        return Refused(429, str(error), code="rate_limit_exceeded")
    if isinstance(error, BadRequest):
        return Refused(400, str(error))
    if isinstance(error, CheckpointNotFound):
        return Refused(404, str(error), "model", "model_not_found")
    if isinstance(error, (CannotLoad, Cancelled)):
        return Refused(503, str(error))
    if isinstance(error, (NumericalFailure, WorkbenchError)):
        return Refused(500, str(error))
    _log.error("an unexpected error reached the API", exc_info=error)
    return Refused(500, "The workbench failed in a way it did not foresee. The log says more; try again.")
