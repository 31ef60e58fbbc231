"""How much one engine takes on, and how long anything may take."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What an engine refuses or gives up; the defaults give up nothing."""

    waiting: int = 256
    """Jobs that wait for their turn before newcomers are refused."""
    wait_seconds: float = math.inf
    """A job that waited longer for its turn is given up."""
    run_seconds: float = math.inf
    """A job that has been computed for longer is given up."""
    step_seconds: float = math.inf
    """A step that takes longer hangs: what it computes is given up, and another thread goes on with the rest."""
