"""Whether there is room for another run on the disk."""

import os
from contextlib import suppress

from workbench.errors import Busy
from workbench.settings import Settings


def check_room(settings: Settings) -> None:
    """Raises Busy where the runs that are kept take all that their profile gives them."""
    most = settings.profile.benchmarks.kept_bytes
    if most is None:
        return
    kept = 0
    for place, _, names in os.walk(settings.runs_folder):
        for name in names:
            with suppress(OSError):  # deleted meanwhile
                kept += os.lstat(os.path.join(place, name)).st_size
    if kept >= most:
        raise Busy(
            f"The runs that are kept here take {kept / 2**20:,.0f} MiB, and there is room for {most / 2**20:,.0f}. "
            "Whoever runs this page has to remove some; on your own machine there is no such limit."
        )
