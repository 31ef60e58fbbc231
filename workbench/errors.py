"""The errors a person may see, each saying what happened, why, and what to do.

WorkbenchError
├── CannotLoad
│   ├── CheckpointNotFound    no such folder, or the Hub can't be reached
│   ├── BadCheckpoint         a file is broken, incomplete, malicious or of another architecture
│   ├── NotEnoughMemory       the plan does not fit this machine, or its memory ran out
│   ├── MissingDependency     an optional package is not installed
│   └── RemoteFailure         a server elsewhere is down, slow or answers nonsense
├── BadRequest                a setting or a text that can't be served
│   ├── TooLong               more tokens than the model's context
│   └── Busy                  the model is leased or the queue is full; try again
├── NumericalFailure          the model produced NaN or infinite logits
├── NotSaved                  a result can't be written: the disk is full, or the folder became read-only
└── Cancelled                 the person (or a closed browser) stopped it
    ├── DeadlinePassed        it waited or took longer than a request may
    └── EngineRestarted       it was under way when the engine had to begin anew
"""


class WorkbenchError(Exception):
    """The root: a message fit to be shown as it is."""


class CannotLoad(WorkbenchError):
    """A checkpoint can't become a model."""


class CheckpointNotFound(CannotLoad):
    """There is no such folder, or the Hub did not give the files."""


class BadCheckpoint(CannotLoad):
    """A checkpoint file is not what it should be.

    Args:
        file: the file's name, as the person knows it.
        reason: what is wrong, one clause.
        hint: what to do; empty when the reason says it.
    """

    def __init__(self, file: str, reason: str, hint: str = ""):
        self.file, self.reason, self.hint = file, reason, hint
        super().__init__(f"{file}: {reason}." + (f" {hint}" if hint else ""))


class NotEnoughMemory(CannotLoad):
    """The memory plan does not fit, or the memory ran out in the middle of a request."""


class MissingDependency(CannotLoad):
    """An optional package is needed and not installed."""


class RemoteFailure(CannotLoad):
    """A server that has a model elsewhere did not answer as it should."""


class BadRequest(WorkbenchError):
    """A request that can't be served as it is."""


class TooLong(BadRequest):
    """A request with more tokens than the model's context."""


class Busy(BadRequest):
    """Something is in use or full at the moment.

    Args:
        ahead: requests that wait already.
    """

    def __init__(self, message: str, ahead: int = 0):
        super().__init__(message)
        self.ahead = ahead


class NumericalFailure(WorkbenchError):
    """The model's logits were NaN or infinite."""


class NotSaved(WorkbenchError):
    """A result could not be written where it belongs."""


class Cancelled(WorkbenchError):
    """The request was stopped before it was done."""


class DeadlinePassed(Cancelled):
    """The request waited or took longer than it may."""


class EngineRestarted(Cancelled):
    """The engine had to begin anew while the request was under way."""
