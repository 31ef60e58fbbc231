"""The whole server in this process, on a tiny random model: what a check looks into, and mutants reach."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import gradio as gr
import httpx
import torch
from starlette.middleware import Middleware

from tests.text.tiny import TOKENIZER, tiny_network
from tests.ui.serving import behind_the_guard
from workbench.api.server import ApiBefore, build_api
from workbench.gptj.model import GPTJModel
from workbench.loading.load import save_pretrained
from workbench.settings import Settings
from workbench.text.language_model import LanguageModel
from workbench.ui.bench import Bench, manager_of
from workbench.ui.host.temporary import VARIABLE
from workbench.ui.web import build

PATIENCE_SECONDS = 60.0
PROXIES = 1
"""So that a check can be many visitors: each says in X-Forwarded-For who it is."""


@dataclass
class Here:
    """The server."""

    url: str
    home: Path
    bench: Bench
    page: gr.Blocks
    model: LanguageModel
    name: str
    """What the API calls the model."""

    def client(self, visitor: int = 0, seconds: float = 60.0) -> httpx.Client:
        """Somebody's browser."""
        return httpx.Client(base_url=self.url, timeout=seconds, trust_env=False, headers=visitor_headers(visitor))

    @property
    def waiting(self) -> int:
        """Requests that wait for the model."""
        return len(self.model.engine._scheduler._waiting)

    def at_rest(self, seconds: float) -> bool:
        """Whether the engine has nothing to do within so many seconds."""
        until = time.monotonic() + seconds
        while not self.model.engine._scheduler.idle:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True


def visitors_client(here: Here, at_a_time: int) -> httpx.AsyncClient:
    """The browsers of many visitors, who say in each request's headers who they are."""
    # The server closes a connection that was idle for five seconds: one that is older is not used again.
    limits = httpx.Limits(max_connections=at_a_time, keepalive_expiry=1.0)
    return httpx.AsyncClient(base_url=here.url, timeout=PATIENCE_SECONDS, trust_env=False, limits=limits)


def asked_text(prompt: str, tokens: int, seed: int = 1) -> dict[str, list[object]]:
    """What the page's endpoint /generate is called with."""
    return {"data": [prompt, tokens, 1.0, seed, [], "", "", {}]}


def visitor_headers(visitor: int) -> dict[str, str]:
    """By which the guard tells visitors apart."""
    return {"x-forwarded-for": f"10.{visitor >> 16 & 255}.{visitor >> 8 & 255}.{visitor & 255}"}


@contextmanager
def served_here(profile: str = "public", context_tokens: int = 256, step_seconds: float = 0.0) -> Iterator[Here]:
    """The server, its model loaded.

    Args:
        step_seconds: that each pass through the model takes longer, so that what is asked for lasts.
    """
    forward = GPTJModel.forward

    def slow(*arguments: object, **named: object) -> object:
        time.sleep(step_seconds)
        return forward(*arguments, **named)  # type: ignore[arg-type]

    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.object(GPTJModel, "forward", slow),
        mock.patch.dict(os.environ, {VARIABLE: f"{home}/temporary"}),
    ):
        folder = _write_checkpoint(Path(home, "tiny"), context_tokens)
        settings = Settings(
            model=str(folder),
            runs_folder=Path(home, "runs"),
            heads_folder=Path(home, "heads"),
            profile_name=profile,
            hosts=("127.0.0.1",),
            proxies=PROXIES,
        )
        bench = Bench(settings, manager_of(settings))
        page = build(bench)
        try:
            with bench.manager.lease(bench.first_spec()) as model:
                api = Middleware(ApiBefore, api=build_api(settings, bench.manager))
                url = behind_the_guard(page, settings, [api])
                yield Here(url, Path(home), bench, page, model, str(folder))
        finally:
            page.close(verbose=False)
            bench.manager.close()


def _write_checkpoint(folder: Path, context_tokens: int) -> Path:
    """A model whose texts end by their length alone."""
    network = tiny_network(0, context_tokens)
    with torch.no_grad():
        network.lm_head.bias[TOKENIZER.eos_id] = -1e4
    save_pretrained(network, folder)
    TOKENIZER.save(folder)
    return folder
