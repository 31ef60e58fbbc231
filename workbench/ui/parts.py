"""Small pieces of markup and words that several tabs show; every text from outside is escaped here."""

import logging
from collections.abc import Iterator
from html import escape
from typing import Any

from workbench.errors import WorkbenchError

_log = logging.getLogger(__name__)


def bytes_text(count: int) -> str:
    """A size for people: 11.3 GiB, 27.4 MiB, 512 B."""
    value, units = float(count), ["TiB", "GiB", "MiB", "KiB", "B"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop()
    return f"{value:.{0 if units[-1] == 'B' else 1}f} {units[-1]}"


def count_text(count: int) -> str:
    """A number of parameters for people: 6.05 B, 7.2 M, 820 K."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def seconds_text(seconds: float) -> str:
    """A duration for people: 85 ms, 1.2 s, 3 min 20 s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def notice(kind: str, title: str, text: str = "") -> str:
    """A framed message; `kind` is "error", "good", "bad" or "plain", `title` and `text` may hold anything."""
    words = f"<p>{escape(text)}</p>" if text else ""
    role = "alert" if kind == "error" else "status"
    return f'<div class="notice {kind}" role="{role}"><strong>{escape(title)}</strong>{words}</div>'


def error_text(error: Exception) -> str:
    """What a person is told: our own errors speak for themselves, any other is logged and named in general terms."""
    if isinstance(error, WorkbenchError):
        return str(error)
    _log.error("an unexpected error reached the page", exc_info=error)
    return "The workbench failed in a way it did not foresee. What was loaded still serves; the log says more."


def error_notice(error: Exception, title: str = "That did not work") -> str:
    """A framed message for an exception."""
    return notice("error", title, error_text(error))


def told(steps: Iterator[dict[Any, Any]], place: Any, title: str = "That did not work") -> Iterator[dict[Any, Any]]:
    """Updates of a page, and where they fail a last one that says so at `place`: nothing may leave a page hanging."""
    try:
        yield from steps
    except Exception as error:  # the page is where every error ends; error_text logs the unforeseen
        yield {place: error_notice(error, title)}


def chip(text: str, kind: str = "") -> str:
    """A short fact in a rounded frame."""
    return f'<span class="chip {kind}">{escape(text)}</span>'


def progress_bar(label: str, share: float | None) -> str:
    """A labelled bar; `share` is 0..1, None moves without an end."""
    width = "" if share is None else f' style="width:{100 * share:.1f}%"'
    value = "" if share is None else f' aria-valuenow="{100 * share:.0f}"'
    return (
        f'<div class="progress{" waiting" if share is None else ""}"><div class="progress-label">{escape(label)}</div>'
        f'<div class="progress-track" role="progressbar" aria-label="{escape(label)}" '
        f'aria-valuemin="0" aria-valuemax="100"{value}>'
        f"<div{width}></div></div></div>"
    )
