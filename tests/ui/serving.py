"""A page that is served as app.py serves it: behind the guard."""

from collections.abc import Sequence
from typing import Any

from starlette.middleware import Middleware

from workbench.guard.clients import Traffic
from workbench.guard.guard import guard_before
from workbench.settings import Settings
from workbench.ui.web import launch_options


def behind_the_guard(page: Any, settings: Settings | None = None, between: Sequence[Middleware] = ()) -> str:
    """Serves a page on a free port of this machine, with what stands between it and the guard; gives its address."""
    settings = settings or Settings()
    guard = guard_before(settings, Traffic(settings.profile.traffic))
    _, url, _ = page.launch(
        server_name="127.0.0.1",
        prevent_thread_lock=True,
        app_kwargs={"middleware": [guard, *between]},
        **launch_options(settings.profile, settings.mcp),
    )
    return str(url)
