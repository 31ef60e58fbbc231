"""The page's named endpoints, with plain values in and out, for gradio_client and plain HTTP."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from html import escape
from typing import Any

import gradio as gr
from gradio.events import api

from workbench.manager import ModelSpec
from workbench.ui.bench import Bench
from workbench.ui.controls import build_request
from workbench.ui.parts import error_text
from workbench.ui.streams import paced
from workbench.ui.token_view import result_of, token_record


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
        first); settings holds any other setting of a request by its name, such as top_p, top_k or num_beams.
        """
        named = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed, "stop": stop or []}
        try:
            request = build_request(prompt, named | (settings or {}))
            with (
                bench.manager.lease(asked_spec(bench, model, precision)) as lm,
                closing(paced(lm, request)) as snapshots,
            ):
                for snapshot in snapshots:
                    tokens = [token_record(token) for token in snapshot.tokens]
                    yield snapshot.text, {"text": snapshot.text, "tokens": tokens} | result_of(snapshot)
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
            return asdict(bench.manager.plan(asked_spec(bench, model, precision), streams, context))
        except Exception as error:
            raise page_error(error) from error

    api(plan, api_name="plan", concurrency_limit=4)


def asked_spec(bench: Bench, model: str, precision: str) -> ModelSpec:
    """The model that an endpoint's caller means; empty names stand for the one served first."""
    first = bench.first_spec()
    name = model.strip() or first.checkpoint
    return ModelSpec(
        checkpoint=name, precision=precision.strip() or (first.precision if name == first.checkpoint else None)
    )


def page_error(error: Exception) -> gr.Error:
    """An error that the caller is told about: Gradio shows its text as markup, so it is escaped."""
    return gr.Error(escape(error_text(error), quote=False), print_exception=False)
