"""The controls of a generation, their ranges and presets, and how their values become a request."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from workbench.engine.jobs import Beams, Sampling
from workbench.errors import BadRequest
from workbench.text.requests import Generate

ALTERNATIVES = 8
"""How many alternatives the token view shows for each token."""


@dataclass(frozen=True)
class Knob:
    """One number of a request, as a slider; `name` is its field in Generate or Sampling."""

    name: str
    label: str
    info: str
    default: float
    low: float
    high: float
    step: float = 0.05

    def slider(self) -> gr.Slider:
        """The control, to be called where it should stand on the page."""
        return gr.Slider(self.low, self.high, self.default, step=self.step, label=self.label, info=self.info)

    def moved(self, value: float) -> gr.Slider:
        """The update that puts the slider at a value, with room for it."""
        return gr.Slider(minimum=min(self.low, value), maximum=max(self.high, value), value=value)


LENGTH = (
    Knob(
        "max_new_tokens",
        "Length, at most",
        "New tokens, each about three quarters of a word. A text ends sooner where the model's context is full.",
        120,
        1,
        1024,
        1,
    ),
)
SAMPLING = (
    Knob("temperature", "Temperature", "0 always takes the likeliest token; above 1 takes risks.", 0.8, 0, 2),
    Knob("top_p", "Top-p", "Keeps the likeliest tokens that together reach this probability.", 0.95, 0.05, 1),
    Knob("top_k", "Top-k", "Keeps this many of the likeliest tokens; 0 keeps all.", 0, 0, 200, 1),
)
FILTERS = (
    Knob("min_p", "Min-p", "Drops tokens less likely than this share of the likeliest; 0 is off.", 0, 0, 0.5, 0.01),
    Knob("typical_p", "Typical-p", "Keeps tokens about as surprising as expected; 1 is off.", 1, 0.05, 1),
    Knob(
        "repetition_penalty",
        "Repetition penalty",
        "Makes tokens already in the text less likely; 1 is off.",
        1,
        1,
        2,
        0.01,
    ),
    Knob(
        "presence_penalty", "Presence penalty", "Subtracted once from every token already written; 0 is off.", 0, -2, 2
    ),
    Knob(
        "frequency_penalty",
        "Frequency penalty",
        "Subtracted once for each time a token was written; 0 is off.",
        0,
        -2,
        2,
    ),
)
BEAMS = (
    Knob("num_beams", "Beams", "Follows this many texts and keeps the likeliest; 1 is off.", 1, 1, 8, 1),
    Knob(
        "length_penalty", "Length penalty", "With beams: above 0 favours longer texts, below 0 shorter ones.", 1, -2, 2
    ),
)
STOPPING = (
    Knob("min_new_tokens", "Length, at least", "The text can't end before this many new tokens.", 0, 0, 512, 1),
)
KNOBS = {knob.name: knob for knob in (*LENGTH, *SAMPLING, *FILTERS, *BEAMS, *STOPPING)}

PRESETS: dict[str, dict[str, float]] = {
    "Greedy": {"temperature": 0.0, "top_p": 1.0},
    "Focused": {"temperature": 0.5, "top_p": 0.9},
    "Balanced": {},
    "Creative": {"temperature": 1.1, "top_p": 0.95, "min_p": 0.02},
    "Beam 4": {"temperature": 0.0, "top_p": 1.0, "num_beams": 4},
}
"""What each preset changes from the controls' defaults; everything that shapes the choice of tokens is reset."""

PRESET_KNOBS = (*SAMPLING, *FILTERS, *BEAMS)


def preset_values(name: str) -> list[float]:
    """The values of `PRESET_KNOBS` that a preset stands for."""
    return [PRESETS[name].get(knob.name, knob.default) for knob in PRESET_KNOBS]


def build_request(prompt: str, settings: Mapping[str, Any], forced: tuple[int, ...] = ()) -> Generate:
    """A request from plain values by their names in Generate and Sampling; what is not given has Generate's default.

    Raises:
        BadRequest: a name that is no setting, or a value that its setting can't have.
    """
    in_sampling = {field.name for field in fields(Sampling)}
    in_request = {field.name for field in fields(Generate)} - {"prompt", "sampling", "forced"}
    values = {name: _checked(name, value) for name, value in settings.items()}
    if unknown := sorted(values.keys() - in_sampling - in_request):
        raise BadRequest(
            f"There is no setting {unknown[0]!r}. There are: {', '.join(sorted(in_sampling | in_request))}."
        )
    sampling = Sampling(**{name: value for name, value in values.items() if name in in_sampling})
    rest = {"alternatives": ALTERNATIVES} | {name: value for name, value in values.items() if name in in_request}
    request = Generate(prompt=prompt, sampling=sampling, forced=forced, **rest)
    Beams(request.num_beams, request.length_penalty)  # refuses here what the engine would after the model's load
    return request


def text_lines(text: str) -> tuple[str, ...]:
    r"""The texts of a box that holds one a line; \n, \t and \\ stand for a line break, a tab and a backslash."""
    found = []
    for line in filter(None, text.split("\n")):
        pieces = line.split("\\\\")
        found.append("\\".join(piece.replace("\\n", "\n").replace("\\t", "\t") for piece in pieces))
    return tuple(found)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise BadRequest(f"{name} is {value!r}; it must be a list of texts.")
    return tuple(texts)


def _checked(name: str, value: Any) -> Any:
    """A control's value with the type of its field: sliders and JSON both send whole numbers as floats at times."""
    if name in ("stop", "banned"):
        return _texts(name, value)
    whole = (name in KNOBS and KNOBS[name].step == 1) or name in ("seed", "alternatives")
    if not whole or (value is None and name == "seed"):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value != int(value):
        raise BadRequest(f"{name} is {value!r}; it must be a whole number.")
    return int(value)
