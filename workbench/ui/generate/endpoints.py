"""The page's named endpoints, with plain values in and out, for gradio_client and plain HTTP."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from html import escape
from typing import Any

import gradio as gr
from gradio.events import api

from workbench.engine.jobs import check_whole
from workbench.errors import BadRequest
from workbench.manager import ModelSpec
from workbench.text.requests import TokenText
from workbench.ui.bench import Bench, asked_spec
from workbench.ui.generate.controls import build_request
from workbench.ui.generate.streams import paced
from workbench.ui.lens.lens import result_of, token_record, unchanged
from workbench.ui.parts import error_text


def generate_endpoint(bench: Bench) -> None:
    """Registers /generate."""

    def generate(
        prompt: str,
        max_new_tokens: int = 64,
        temperature: float = 1.0,
        seed: int | None = None,
        stop: list[str] | None = None,
        model: str = "",
        precision: str = "",
        settings: dict[str, Any] | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Streams a continuation: the text so far, and its details (tokens with alternatives, timings, seed).

        temperature 0 is greedy; seed None draws one and reports it; model is a checkpoint (empty: the one served
        first; on a public address one that is loaded or known here); settings holds any other setting of a request
        by its name, such as top_p, top_k or num_beams.
        """
        named = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed, "stop": stop or []}
        records = Records()
        try:
            request = build_request(prompt, named | settings_by_name(settings))
            spec = served_spec(bench, model, precision)
            with bench.manager.lease(spec) as lm, closing(paced(lm, request)) as snapshots:
                for snapshot in snapshots:
                    details = {"text": snapshot.text, "tokens": records.of(snapshot.tokens)} | result_of(snapshot)
                    yield snapshot.text, details
        except Exception as error:
            raise page_error(error) from error

    api(generate, api_name="generate", concurrency_limit=None)


def plan_endpoint(bench: Bench) -> None:
    """Registers /plan."""

    def plan(model: str = "", precision: str = "", streams: int = 1, context: int | None = None) -> dict[str, Any]:
        """The memory that a model needs and whether this machine has it; nothing is loaded for it.

        context is in tokens, None is the model's own.
        """
        try:
            check_whole("streams", streams, 1, 2**20)
            if context is not None:
                check_whole("context", context, 1, 2**31)
            return asdict(bench.manager.plan(served_spec(bench, model, precision), streams, context))
        except Exception as error:
            raise page_error(error) from error

    api(plan, api_name="plan", concurrency_limit=4)


class Records:
    """The tokens of a growing text as plain data; each record is made once, and Gradio sends only what is new."""

    def __init__(self) -> None:
        self._tokens: list[TokenText] = []
        self._records: list[dict[str, Any]] = []

    def of(self, tokens: list[TokenText]) -> list[dict[str, Any]]:
        """The records of a snapshot's tokens, in a list of its own; the records in it are shared."""
        kept = unchanged(self._tokens, tokens)
        self._records[kept:] = [token_record(token) for token in tokens[kept:]]
        self._tokens = tokens
        return list(self._records)


def served_spec(bench: Bench, model: Any, precision: Any) -> ModelSpec:
    """The model that an endpoint's caller means; empty names stand for the one served first.

    Raises:
        BadRequest: a name is no text, or the page is public and the model neither loaded nor known here.
    """
    first = bench.first_spec()
    unnamed = model is None or (isinstance(model, str) and not model.strip())
    spec = asked_spec(first.checkpoint if unnamed else model, None, precision)
    if spec.checkpoint == first.checkpoint and spec.precision is None:
        spec = first
    here = dict.fromkeys(known.checkpoint for known in bench.specs().values() if known.revision is None)
    if not bench.settings.serves_locally and spec.checkpoint not in here:
        raise BadRequest(
            f"The model {spec.checkpoint!r} is not served here. There are: {', '.join(here)}. Any other model can be "
            "named only where the workbench serves its own machine alone."
        )
    return spec


def settings_by_name(settings: Any) -> dict[str, Any]:
    """A caller's further settings, in a dictionary of their own.

    Raises:
        BadRequest: they are no object.
    """
    if settings is not None and not isinstance(settings, dict):
        raise BadRequest(
            f'settings is {settings!r}; it must be an object of names and values, such as {{"top_p": 0.9}}.'
        )
    return dict(settings or {})


def page_error(error: Exception) -> gr.Error:
    """An error that the caller is told about: Gradio shows its text as markup, so it is escaped."""
    return gr.Error(escape(error_text(error), quote=False), print_exception=False)
