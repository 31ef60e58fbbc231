"""The figures under a continuation."""

from workbench.text.requests import Generated
from workbench.ui.figures import figures


def test_nothing_is_told_before_the_first_token() -> None:
    assert figures()["state"] == "idle" and figures()["speed"] == "–" and figures()["lookup"] == ""


def test_guessed_tokens_are_told_where_there_were_any() -> None:
    done = Generated(finish_reason="length", completion_tokens=40, context_tokens=64)
    assert figures(done)["lookup"] == ""
    told = figures(Generated(finish_reason="length", completion_tokens=40, context_tokens=64, accepted_tokens=12))
    assert told["lookup"].startswith("12 of 40 tokens came from looking up the text before them")
