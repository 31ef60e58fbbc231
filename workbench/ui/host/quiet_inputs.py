"""What a visitor sends that can't be read is refused in words, and never stands in the log.

As it comes, Gradio prints the values of such a request with a traceback: prompts among them.
"""

import logging
from html import escape
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction

_log = logging.getLogger(__name__)
WRONG = "What was sent does not fit: the number or the kinds of its values are others. See the endpoint's description."


def read_quietly(page: gr.Blocks) -> None:
    """Makes the page so; to be called once it is built."""
    read = page.preprocess_data

    async def quiet(block_fn: BlockFunction, *arguments: Any, **named: Any) -> Any:
        try:
            return await read(block_fn, *arguments, **named)
        except gr.Error as error:  # of a component, about its value
            raise gr.Error(escape(str(error.message), quote=False), print_exception=False) from None
        except Exception as error:
            _log.info("the values for %s can't be read: %s", block_fn.api_name, type(error).__name__)
            raise gr.Error(WRONG, print_exception=False) from None

    page.preprocess_data = quiet  # type: ignore[method-assign]
