"""Servers to be asked: the workbench's own API with a tiny model, and one that does whatever a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.api.serving import running
from tests.evals.lm_eval_parity.tiny_model import TOKENIZER, tiny_network, write_model
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Sampling, Score
from workbench.loading.spec import ModelSpec
from workbench.manager import ModelManager
from workbench.settings import RemoteSettings
from workbench.text.language_model import LanguageModel

CONTEXT_TOKENS = 512
MODEL = "tiny"
Says = Callable[[dict[str, Any]], Any]


@contextmanager
def asking(address: str, folder: Path, seconds: float = 20.0, **settings: Any) -> Iterator[LanguageModel]:
    """The model of an address, leased from a manager of its own."""
    remote = RemoteSettings(tokenizers=(("", str(folder)),), seconds=seconds, **settings)
    manager = ModelManager(remote=remote)
    try:
        with manager.lease(ModelSpec(address)) as model:
            yield model
    finally:
        manager.close()


def tiny_folder(folder: Path) -> Path:
    """The tiny model's checkpoint, of which the tokenizer is read."""
    return write_model(folder, CONTEXT_TOKENS)


@dataclass
class Other:
    """A server of another make: knows prompts as texts or ids, `echo` and `logprobs` as far as it is told to."""

    takes_ids: bool = True
    echoes: bool = True
    tells: bool = True
    card: dict[str, Any] = field(default_factory=lambda: {"id": MODEL, "max_model_len": CONTEXT_TOKENS})
    instead: Says | None = None
    """Answers in its place; None of it: as ever."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: int = 0
    """Streams that were closed before their end."""
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(tiny_network(CONTEXT_TOKENS), TOKENIZER.size)

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/v1/completions", self._complete, methods=["POST"]),
            ]
        )

    async def _models(self, request: Request) -> Response:
        self.keys.append(request.headers.get("authorization", ""))
        return JSONResponse({"object": "list", "data": [self.card]})

    async def _complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        if self.instead is not None and (answer := self.instead(body)) is not None:
            return answer if isinstance(answer, Response) else JSONResponse(answer)
        if not self.takes_ids and not isinstance(body["prompt"], str):
            return JSONResponse({"detail": "prompt must be a string."}, 400)
        tokens = body["prompt"] if isinstance(body["prompt"], list) else TOKENIZER.encode(body["prompt"])
        choice = await asyncio.to_thread(self._choice, body, tuple(tokens))
        usage = {"prompt_tokens": len(tokens)}
        if body.get("stream"):
            return StreamingResponse(self._events(choice, usage), media_type="text/event-stream")
        return JSONResponse({"choices": [choice], "usage": usage})

    def _choice(self, body: dict[str, Any], prompt: tuple[int, ...]) -> dict[str, Any]:
        eos = frozenset({TOKENIZER.eos_id})
        sampling = Sampling(temperature=body.get("temperature", 1.0))
        job = Decode(prompt, body["max_tokens"], sampling=sampling, stop_tokens=eos, seed=body.get("seed", 0))
        decoded = self.engine.decode(job).result()
        tokens = [(token.id, token.logprob) for token in decoded.tokens]
        text = TOKENIZER.decode([token for token, _ in tokens])
        if body.get("echo") and self.echoes:
            (scored,) = self.engine.score(Score(prompt[:1], (prompt[1:],))).result()
            tokens = [(prompt[0], None), *((token.id, token.logprob) for token in scored.tokens), *tokens]
            text = TOKENIZER.decode(list(prompt)) + text
        told = None
        if self.tells and body.get("logprobs") is not None:
            texts = [TOKENIZER.decode([token]) for token, _ in tokens]
            told = {"tokens": texts, "token_logprobs": [logprob for _, logprob in tokens]}
            told["top_logprobs"] = [{one: logprob} for one, (_, logprob) in zip(texts, tokens, strict=True)]
        return {"index": 0, "text": text, "logprobs": told, "finish_reason": decoded.finish_reason}

    async def _events(self, choice: dict[str, Any], usage: dict[str, int]) -> AsyncIterator[str]:
        yield event({"choices": [choice], "usage": usage})
        yield "data: [DONE]\n\n"


def event(document: Any) -> str:
    """One of a stream."""
    return f"data: {json.dumps(document)}\n\n"


@contextmanager
def other(**how: Any) -> Iterator[tuple[Other, str]]:
    """A server of another make, and its address."""
    server = Other(**how)
    try:
        with running(server.application()) as url:
            yield server, f"{url}/v1#{MODEL}"
    finally:
        server.engine.close()
