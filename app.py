"""What a Space or `python app.py` runs: settings, the page, launch. Importing it builds the page and loads no model."""

import os
import sys

from starlette.middleware import Middleware

from workbench.api.server import ApiBefore, build_api
from workbench.errors import WorkbenchError
from workbench.guard.clients import Traffic
from workbench.guard.guard import guard_before
from workbench.settings import read_settings
from workbench.ui.bench import Bench, manager_of
from workbench.ui.host.temporary import keep_small, remove, temporary_folder
from workbench.ui.host.watchdog import Watchdog
from workbench.ui.web import build, launch

try:
    settings = read_settings()
except WorkbenchError as problem:
    sys.exit(str(problem))
temporary = temporary_folder()
bench = Bench(
    settings,
    manager_of(settings),
)
demo = build(bench)

if __name__ == "__main__":
    traffic, watchdog = Traffic(settings.profile.traffic), Watchdog(demo)
    api = build_api(settings, bench.manager, lambda: watchdog.why_dead)
    keep_small(temporary, settings.profile.disk)
    try:
        launch(demo, bench, traffic, watchdog, [guard_before(settings, traffic), Middleware(ApiBefore, api=api)])
    except WorkbenchError as problem:
        sys.exit(str(problem))
    remove(temporary)
    os._exit(0)  # everything is said and written: threads that still compute, and their libraries, are not waited for
