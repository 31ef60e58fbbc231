"""The figures under a continuation."""

from workbench.text.requests import Generated
from workbench.ui.generate.figures import figures


def test_nothing_is_told_before_the_first_token() -> None:
    assert 'class="figures idle"' in figures() and "<dt>Speed</dt><dd>–</dd>" in figures()


def test_guessed_tokens_are_told_where_there_were_any() -> None:
    words = "12 of 40 tokens were copied from earlier in the text"
    assert words not in figures(Generated(finish_reason="length", completion_tokens=40, context_tokens=64))
    guessed = Generated(finish_reason="length", completion_tokens=40, context_tokens=64, accepted_tokens=12)
    assert words in figures(guessed)


def test_what_the_model_weighs_and_how_long_it_took_is_told() -> None:
    told = figures(Generated(finish_reason="stop", seconds=2.5, context_tokens=64), weights_bytes=7 * 2**20)
    assert "<dt>Took</dt><dd>2.5 s</dd>" in told and "<dt>Model in memory</dt><dd>7.0 MiB</dd>" in told
