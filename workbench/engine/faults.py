"""What reaches the asker when a step fails."""

from workbench.engine.served import is_out_of_memory
from workbench.errors import EngineRestarted, NotEnoughMemory

RESTARTED = "The engine {why} in the middle of the request, which was dropped; it goes on with the others. Ask again."


def as_shown(error: BaseException) -> Exception:
    """The error that reaches the asker: a failed allocation as NotEnoughMemory, what would end a thread as told."""
    if not isinstance(error, Exception):
        return EngineRestarted(RESTARTED.format(why=f"was broken off ({type(error).__name__})"))
    if not is_out_of_memory(error):
        return error
    shown = NotEnoughMemory(
        "The memory ran out while the request was computed, and the request was dropped. Make it shorter (prompt and "
        "new tokens), or run fewer streams or beams at a time; a smaller precision leaves more room as well."
    )
    # Without its traceback, whose frames would keep the step's tensors alive when memory is short.
    shown.__cause__ = error.with_traceback(None)
    return shown
