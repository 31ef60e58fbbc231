"""The line in the page's head: which models are ready, which one is loading, or why there is none."""

from html import escape

from workbench.loading.load import LoadProgress
from workbench.loading.parts import Part
from workbench.manager import LoadedModel, ModelSpec
from workbench.ui.bench import Bench, spec_name
from workbench.ui.parts import bytes_text, count_text, progress_bar


def ready_line(bench: Bench) -> str:
    """The loaded models, or what to do when there are none."""
    loaded = bench.manager.loaded()
    if not loaded:
        return _line("none", "<b>No model is loaded.</b> It loads with the first text, or on the Models tab.")
    names = ", ".join(f"<b>{escape(spec_name(model.spec))}</b>" for model in loaded)
    facts = "all ready" if len(loaded) > 1 else _facts(loaded[0])
    return _line("ready", f"{names} <span>{escape(facts)}</span>")


def opening_line() -> str:
    """A page that has just opened: what is loaded is not asked yet."""
    return _line("none", "Asking the server which models are loaded and ready to be used …")


def loading_line(spec: ModelSpec, step: LoadProgress | None) -> str:
    """A load under way; None before its first tensor."""
    return _line("loading", load_bar(spec, step))


def load_bar(spec: ModelSpec, step: LoadProgress | None) -> str:
    """The progress of a load, tensor by tensor."""
    if step is None:
        return progress_bar(f"Loading {spec_name(spec)}", None)
    words = (
        f"Loading {spec_name(spec)}: {step.tensors_done} of {step.tensors_total} tensors, {bytes_text(step.bytes_done)}"
    )
    return progress_bar(words, step.bytes_done / max(1, step.bytes_total))


def main_part(model: LoadedModel) -> Part:
    """The largest part of a model: its dtype and device stand for the whole where there is no room for more."""
    return max(model.parts, key=lambda part: part.bytes)


def _facts(model: LoadedModel) -> str:
    if model.served_by:
        return f"served by {model.served_by}"
    part = main_part(model)
    return (
        f"{count_text(model.parameters)} parameters in {part.dtype} on {part.device}, {bytes_text(model.weights_bytes)}"
    )


def _line(state: str, markup: str) -> str:
    dot = '<span class="dot" aria-hidden="true"></span>'
    return f'<div class="model-line {state}" role="status">{dot}<div>{markup}</div></div>'
