"""Builds the page from its tabs and launches it; every Gradio option stands here, once."""

import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from workbench.errors import BadRequest, MissingDependency, WorkbenchError
from workbench.manager import LoadedModel
from workbench.profiles import LOCAL, Profile
from workbench.settings import Settings
from workbench.ui.bench import Bench, Page
from workbench.ui.components import box, html
from workbench.ui.generate.streams import load_steps
from workbench.ui.host.ending import Door, end, wait_for_the_end
from workbench.ui.host.quiet_inputs import read_quietly
from workbench.ui.host.shared_page import shared_markup
from workbench.ui.host.steady_queue import steady
from workbench.ui.host.temporary import VARIABLE
from workbench.ui.host.watchdog import Watchdog
from workbench.ui.links import address_bar
from workbench.ui.page_head import page_head
from workbench.ui.parts import error_notice, told
from workbench.ui.scripts import styles
from workbench.ui.sides import sides_bar
from workbench.ui.status import loading_line, opening_line, ready_line
from workbench.ui.tabs import answer, benchmark, classify, generate, models, precision, runs, train
from workbench.ui.theme import workbench_theme

_log = logging.getLogger(__name__)

TABS = (generate.TAB, classify.TAB, answer.TAB, benchmark.TAB, runs.TAB, precision.TAB, train.TAB, models.TAB)
"""The tabs, in the page's order."""

_PRIVATE = ("/etc", "/proc", "/sys", "/dev", "/root", "/home")
_NOT_LOADED = "The first model is not loaded"


def build(bench: Bench) -> gr.Blocks:
    """The page. Nothing is loaded for it: a visitor sees it at once, with the state of the first model."""
    with gr.Blocks(title="GPT-J Workbench", analytics_enabled=False, delete_cache=(300, 3600)) as page:
        head = page_head()
        opening = box("link-notice")
        status = gr.HTML(opening_line(), apply_default_css=False, elem_id="model-status")
        if limits := shared_markup(bench.settings):
            html(limits, elem_id="shared-page")
        opened_run = gr.Textbox("", visible=False)
        sides = sides_bar.sides_bar(bench)
        containers = {}
        with gr.Tabs() as tabs:
            shared = Page(bench, page, status, tabs, opened_run, sides)
            for tab in TABS:
                with gr.Tab(tab.name, id=tab.name) as container:
                    containers[tab.name] = container
                    tab.build(shared, container)
        sides_bar.connect(shared)
        address_bar.connect(shared, head, opening, containers)

        def opened() -> Iterator[dict[Any, Any]]:
            yield from told(_opened(bench, status), status, _NOT_LOADED)

        page.load(opened, None, [status], show_progress="hidden", concurrency_limit=None, api_visibility="private")
    waiting = bench.settings.profile.waiting_events
    page.queue(max_size=waiting, api_open=False, default_concurrency_limit=4, status_update_rate=2.0)
    steady(page)
    read_quietly(page)
    return page


def launch_options(profile: Profile = LOCAL, mcp: bool = False) -> dict[str, Any]:
    """What `launch` gets besides the address: our look, no telemetry, no history, nothing from outside.

    Raises:
        MissingDependency: MCP is switched on, and its package is not there.
    """
    if mcp and find_spec("mcp") is None:
        raise MissingDependency(
            'WORKBENCH_MCP is set, and the package for it is not installed: pip install "gradio[mcp]". Or unset it.'
        )
    return {
        "allowed_paths": [],
        "auth": None,
        "debug": False,
        "inbrowser": False,
        "theme": workbench_theme(),
        "css": styles(),
        "show_error": False,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": ["api"],
        "mcp_server": mcp,
        "ssr_mode": False,
        "pwa": False,
        "share": False,
        "max_file_size": profile.files.bytes,
        "state_session_capacity": profile.sessions,
        "strict_cors": True,
        "quiet": True,
    }


def launch(page: gr.Blocks, bench: Bench, door: Door, watchdog: Watchdog, before: Sequence[Middleware] = ()) -> None:
    """Serves the page until the process is asked to end; the first model loads meanwhile.

    Args:
        door: lets requests in.
        watchdog: of this page.
        before: what requests pass before they reach the page, the door among it.

    Raises:
        BadRequest: the address can't be served.
    """
    settings = bench.settings
    address = f"{settings.host}:{settings.port}"
    threading.Thread(target=_warm, args=(bench,), name="first model", daemon=True).start()
    try:
        page.launch(
            server_name=settings.host,
            server_port=settings.port,
            prevent_thread_lock=True,
            blocked_paths=_private(settings),
            app_kwargs={
                "middleware": list(before),
                "lifespan": watchdog.beating,
                "docs_url": None,
                "redoc_url": None,
                "openapi_url": None,
            },
            **launch_options(settings.profile, settings.mcp),
        )
    except OSError as error:
        raise BadRequest(f"{address} can't be served: {error}. Set GRADIO_SERVER_PORT to a free port.") from error
    print(f"GPT-J Workbench is open at http://{address}", flush=True)
    watchdog.start()
    wait_for_the_end()
    print("GPT-J Workbench ends: nobody new is let in, and what runs has a moment.", flush=True)
    end(page, bench, door)


def _private(settings: Settings) -> list[str]:
    """Folders of which no file is ever served, whatever asks for it; never one that the temporary folder is in."""
    kept = [settings.runs_folder, settings.heads_folder, *map(Path, _PRIVATE), *filter(None, [settings.offload_folder])]
    temporary = Path(os.environ.get(VARIABLE) or tempfile.gettempdir()).resolve()
    return [str(path) for path in (one.resolve() for one in kept) if not temporary.is_relative_to(path)]


def _warm(bench: Bench) -> None:
    try:
        bench.manager.load(bench.first_spec())
    except WorkbenchError as error:
        bench.first_load.error = error
        _log.warning("the first model is not loaded: %s", error)
    finally:
        bench.first_load.over = True


def _opened(bench: Bench, status: gr.HTML) -> Iterator[dict[Any, Any]]:
    """A page that opens: says how far the first model is, and loads it if nobody tried yet."""
    spec, first = bench.first_spec(), bench.first_load
    if not first.over and not bench.is_loaded(spec):
        for step in load_steps(bench.manager, spec):
            if not isinstance(step, LoadedModel):
                yield {status: loading_line(spec, step)}
    first.over = True
    if first.error is not None and not bench.manager.loaded():
        yield {status: error_notice(first.error, _NOT_LOADED)}
    else:
        yield {status: ready_line(bench)}
