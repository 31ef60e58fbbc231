"""What a Space or `python app.py` runs: settings, the page, launch. Importing it builds the page and loads no model."""

import sys

from starlette.middleware import Middleware

from workbench.api.server import ApiBefore, build_api
from workbench.errors import WorkbenchError
from workbench.guard.clients import Traffic
from workbench.guard.guard import guard_before
from workbench.manager import ModelManager
from workbench.settings import read_settings
from workbench.ui.bench import Bench
from workbench.ui.web import build, launch

try:
    settings = read_settings()
except WorkbenchError as problem:
    sys.exit(str(problem))
bench = Bench(
    settings,
    ModelManager(settings.memory_bytes, settings.offload_folder, settings.max_streams, settings.heads_folder),
)
demo = build(bench)

if __name__ == "__main__":
    try:
        api = Middleware(ApiBefore, api=build_api(settings, bench.manager))
        launch(demo, bench, [guard_before(settings, Traffic(settings.profile.traffic)), api])
    except WorkbenchError as problem:
        sys.exit(str(problem))
