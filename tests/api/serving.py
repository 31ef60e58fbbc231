"""A tiny model behind the API, served by uvicorn on a free port of this machine."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from tests.evals.lm_eval_parity.tiny_model import TOKENIZER, tiny_network
from workbench.api.server import Api
from workbench.engine.engine import Engine
from workbench.loading.spec import ModelSpec
from workbench.settings import Settings
from workbench.text.language_model import LanguageModel

NAME = "models/tiny"
CONTEXT_TOKENS = 512
PATIENCE_SECONDS = 10.0


class OneModel:
    """Stands in for the manager: one model, already in memory, and how many hold it."""

    def __init__(self, engine: Engine):
        self.model, self.leases = LanguageModel(engine, TOKENIZER, NAME), 0
        self._lock = threading.Lock()

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[LanguageModel]:
        with self._lock:
            self.leases += 1
        try:
            yield self.model
        finally:
            with self._lock:
                self.leases -= 1

    def loaded(self) -> list[Any]:
        return []

    def known(self) -> list[str]:
        return []

    def is_loaded(self, spec: ModelSpec) -> bool:
        return True


@dataclass
class Served:
    """A server and what stands behind it."""

    url: str
    api: Api
    manager: OneModel
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS * 3)

    @property
    def model(self) -> LanguageModel:
        return self.manager.model

    def post(self, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return self.client.post("/v1/completions", json={"model": NAME, **body}, headers=headers)

    def choice(self, **body: Any) -> dict[str, Any]:
        """The one choice of an answer."""
        answer = self.post(**body)
        assert answer.status_code == 200, answer.text
        (choice,) = answer.json()["choices"]
        return choice

    def chunks(self, **body: Any) -> list[dict[str, Any]]:
        """The documents of a stream, which must end as it should."""
        with self.client.stream("POST", "/v1/completions", json={"model": NAME, "stream": True, **body}) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
        assert lines.pop() == "[DONE]"
        return [json.loads(line) for line in lines]

    @property
    def at_rest(self) -> bool:
        """Whether nothing of any request is left: no job, no lease, no room, no thread."""
        threads = [thread.name for thread in threading.enumerate()]
        idle = self.model.engine._scheduler.idle
        return idle and not (
            self.manager.leases or self.api.room.taken or any("completion" in name for name in threads)
        )


@contextmanager
def served(threaded: bool = True, keys: tuple[str, ...] = (), context_tokens: int = CONTEXT_TOKENS) -> Iterator[Served]:
    """A server; not threaded: the model computes only where a test takes turns."""
    with Engine(tiny_network(context_tokens), TOKENIZER.size, threaded=threaded) as engine:
        manager = OneModel(engine)
        api = Api(Settings(model=NAME, api_keys=keys), manager)
        with running(api.application()) as url:
            yield Served(url, api, manager)


@contextmanager
def running(application: Any) -> Iterator[str]:
    """The address of an application that is being served."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            eventually(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until it holds."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.01)
