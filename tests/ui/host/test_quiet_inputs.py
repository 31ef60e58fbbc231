"""What can't be read is told to who sent it, and to nobody else."""

import asyncio
from typing import Any

import gradio as gr
import pytest

from workbench.ui.host.quiet_inputs import WRONG, read_quietly


def refusal_of(values: list[Any]) -> gr.Error:
    """How a page of one list of fruits refuses some values."""
    with gr.Blocks(analytics_enabled=False) as page:
        fruit = gr.Dropdown(["apple", "pear"])
        gr.Button("Run").click(lambda value: None, fruit, None)
    read_quietly(page)
    with pytest.raises(gr.Error) as refused:
        asyncio.run(page.preprocess_data(page.fns[0], values, None))
    return refused.value


def test_too_few_values_are_refused_in_our_words() -> None:
    assert refusal_of([]).message == WRONG


@pytest.mark.parametrize("values", [["<b>secret</b>"], [{"secret": 1}], []])
def test_nothing_of_it_is_printed(values: list[Any]) -> None:
    error = refusal_of(values)
    assert not error.print_exception and error.__suppress_context__ and "<b>" not in error.message


def test_what_fits_is_read() -> None:
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button("Run").click(lambda value: None, gr.Textbox(), None)
    read_quietly(page)
    assert asyncio.run(page.preprocess_data(page.fns[0], ["apple"], None)) == ["apple"]
