"""How fast a loaded model writes, drawn as a share of what the machine's memory allows."""

from collections.abc import Mapping
from html import escape

from workbench.kernels.compiled import Kernels
from workbench.loading.loaded import LoadedModel
from workbench.speed import Speed, kernels_text, rate_text, tokens_text
from workbench.ui.bench import spec_name
from workbench.ui.parts import progress_bar

SMALL_BYTES = 2**28
"""A model of fewer bytes is over before the memory matters."""
SMALL_SHARE = 0.5
WORTH_TELLING = 1.2
"""How much faster several tokens a step must have been to be told."""
_HALF = "half of that, so up to twice the"
_LESS = {"float32": "a quarter of that, so up to four times the", "bfloat16": _HALF, "float16": _HALF}
"""What int8 reads of each precision's bytes."""


def machine_markup(read_bytes_per_second: float | None, threads: int, found: Kernels | None, limits: str = "") -> str:
    """What the machine's memory gives, and what computes here.

    Args:
        read_bytes_per_second: None: not measured yet.
        found: None: not looked at yet.
        limits: what a container holds back, in words.
    """
    if read_bytes_per_second is None:
        gives = "How fast this machine reads memory is not measured yet. Open this tab again while nobody computes."
    else:
        with_threads = "1 thread" if threads == 1 else f"{threads} threads"
        gives = f"This machine reads <b>{rate_text(read_bytes_per_second)}</b> from memory with {with_threads}."
    why = "A model reads all of its weights for every token, so on a CPU this is what limits it."
    told = "" if found is None else f"<span>{escape(kernels_text(found))}</span>"
    held = f"<span>{escape(limits)}</span>" if limits else ""
    return f'<p class="machine">{gives} {why}{told}{held}</p>'


def speed_markup(model: LoadedModel, speed: Speed, under_way: str = "", found: Kernels | None = None) -> str:
    """The piece of a model's card: the figure, the bar, why it is no more, what would be faster.

    Args:
        under_way: markup of a measurement that is being made, shown in place of the figure.
        found: what computes int8 and int4 here; None: not looked at yet.
    """
    name = escape(spec_name(model.spec))
    if under_way:
        stop = f'<button type="button" class="halt" aria-label="Stop measuring {name}">Stop</button>'
        return f'<section class="speed" aria-label="Speed">{under_way}{stop}</section>'
    again = "Measure" if speed.alone is None else "Measure again"
    button = f'<button type="button" class="measure" data-name="{name}" aria-label="{again}: {name}">{again}</button>'
    lines = "".join(f"<p>{line}</p>" for line in _reasons(model, speed, found) if line)
    head = f'<div class="speed-head">{_figure(speed)}{button}</div>'
    return f'<section class="speed" aria-label="Speed">{head}{lines}</section>'


def measuring_markup(done: int, tokens: int) -> str:
    """The progress of a measurement; no token done: it waits, or the prompt is read."""
    return progress_bar(f"Measuring: {done} of {tokens} tokens" if done else "Measuring", done / tokens or None)


def waiting_markup() -> str:
    """A measurement that somebody else's text holds up."""
    return progress_bar("Waiting until nobody else computes: both would be slower", None)


def plan_limits(reads: Mapping[str, int], read_bytes_per_second: float | None) -> dict[str, str]:
    """The limit in each precision, in words; empty where it is not known."""
    if read_bytes_per_second is None:
        return {}
    return {name: f"{tokens_text(read_bytes_per_second / size)}/s" for name, size in reads.items()}


def _figure(speed: Speed) -> str:
    """ "7.2 tokens/s of at most 9.1" over a bar of that share."""
    most, done, share = speed.most_tokens_per_second, speed.tokens_per_second, speed.share
    if done is None:
        bound = "" if most is None else f" at most <b>{tokens_text(most)}</b> tokens/s"
        return (
            f'<p class="speed-figure">Speed:{bound or " not measured yet"}{", not measured yet" if bound else ""}</p>'
        )
    bound = "" if most is None else f" of at most {tokens_text(most)}"
    bar = ""
    if share is not None:
        words = "as much as" if share >= 1 else f"{100 * share:.0f} % of what"
        filled = f'<i class="weights" style="width:{min(100.0, 100 * share):.1f}%"></i>'
        bar = f'<div class="bar thin" role="img" aria-label="{words} the memory allows">{filled}</div>'
    return f'<div class="speed-figure"><p><b>{tokens_text(done)} tokens/s</b>{bound}</p>{bar}</div>'


def _reasons(model: LoadedModel, speed: Speed, found: Kernels | None) -> list[str]:
    """What limits the model, what it does in company, and what would be faster."""
    return [_limit(speed), _company(speed), _advice(model, speed, found)]


def _limit(speed: Speed) -> str:
    rate, most = speed.read_bytes_per_second, speed.most_tokens_per_second
    if rate is None or most is None:
        return ""
    reads = f"Each token reads {_gigabytes(speed.read_bytes_per_token)}, so {rate_text(rate)} allow one text"
    limit = f"{reads} {tokens_text(most)} tokens/s"
    if speed.share is None:
        return f"{limit}."
    if speed.share >= 1:  # the two were not measured in the same moment
        return f"{limit}; this is as much as the memory allows."
    if speed.share < SMALL_SHARE and speed.read_bytes_per_token < SMALL_BYTES:
        return f"{limit}; but this model is so small that the work around each token takes longer than reading."
    return f"{limit}; this is {100 * speed.share:.0f} % of it."


def _company(speed: Speed) -> str:
    """Several texts share each reading of the weights, and so do guesses."""
    every, alone = speed.every, speed.tokens_per_second
    if every is None:
        return ""
    together = f"{tokens_text(every.tokens_per_second)} tokens/s"
    if every.streams > 1.5:
        return f"Lately {every.streams:.0f} texts at once, together {together}."
    helped = every.accepted and (alone is None or every.tokens_per_second > WORTH_TELLING * alone)
    return f"Lately {together} with what was found in the text before." if helped else ""


def _advice(model: LoadedModel, speed: Speed, found: Kernels | None) -> str:
    """Fewer bytes are faster only where the kernels that compute them are compiled."""
    if found is None or found.library is None:
        return ""
    held = {dtype for part in model.parts for dtype in part.dtype.split(" + ")}
    less = _LESS.get(held.pop()) if len(held) == 1 else None
    if less is None or not model.is_on_cpu or speed.read_bytes_per_token < SMALL_BYTES:
        return ""
    return f"In int8 it would read about {less} speed, and in int4 less still: plan it below."


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
