"""The settings of the Generate tab: one seed for all sides, and what shapes the text of each."""

import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.text.requests import Generate
from workbench.ui.components import QUIET
from workbench.ui.generate import controls
from workbench.ui.links.saved_presets import saved_presets
from workbench.ui.sides.asking_sides import SideSettings, connect_settings, side_settings
from workbench.ui.sides.sides import LETTERS, Sides

Updates = dict[Any, Any]

_SEEDS = 2**31
"""New seeds are below this: short enough to read, and exact in a browser's numbers."""


@dataclass(frozen=True)
class Shaping:
    """The controls of one side."""

    preset: gr.Radio
    knobs: dict[str, gr.Slider]
    """By their names in Generate and Sampling."""
    stop_texts: gr.Textbox
    banned: gr.Textbox

    def inputs(self) -> set[Any]:
        """All of them."""
        return set(self.parts())

    def parts(self) -> list[Any]:
        """All of them, in the same order for every side."""
        return [self.preset, *self.knobs.values(), self.stop_texts, self.banned]

    def settings(self, values: Updates) -> dict[str, Any]:
        """What they ask for, by the names of a request."""
        knobs = {name: values[slider] for name, slider in self.knobs.items()}
        texts = {"stop": values[self.stop_texts], "banned": values[self.banned]}
        return knobs | {name: controls.text_lines(text or "") for name, text in texts.items()}


@dataclass(frozen=True)
class GenerateSettings:
    """All the settings of the tab."""

    seed: gr.Number
    new_seed: gr.Checkbox
    another_each: gr.Checkbox
    """Whether each side gets a seed of its own."""
    sides: SideSettings[Shaping]

    def inputs(self) -> set[Any]:
        """All of them."""
        return {self.seed, self.new_seed, self.another_each} | self.sides.inputs()

    def requests(self, prompt: str, count: int, values: Updates) -> list[Generate]:
        """What each of the sides in use is asked.

        Raises:
            BadRequest: a value out of its range; where there are several sides the message names the one.
        """
        seeds = self._seeds(count, values)
        found = []
        for index, seed in enumerate(seeds):
            try:
                settings = self.sides.of(index, values).settings(values)
                found.append(controls.build_request(prompt, settings | {"seed": seed}))
            except BadRequest as error:
                if count == 1:
                    raise
                raise BadRequest(f"Side {LETTERS[index]}: {error}") from error
        return found

    def _seeds(self, count: int, values: Updates) -> list[Any]:
        """A seed a side. Settled here, once: a branch of a text asks for the same seed again."""
        given = None if values[self.new_seed] else values[self.seed]
        first = secrets.randbelow(_SEEDS) if given is None else given
        if not values[self.another_each]:
            return [first] * count
        return [first + index for index in range(count)]


def settings_view(sides: Sides) -> GenerateSettings:
    """Draws the settings."""
    with gr.Row():
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed", min_width=120)
        new_seed = gr.Checkbox(True, label="New seed each time", elem_id="new-seed", min_width=120)
    another_each = gr.Checkbox(
        False, label="Another seed for each side", info="Else all sides draw by the same one.", visible=False,
        elem_id="another-seed",
    )  # fmt: skip
    sides.follow(1, another_each)
    return GenerateSettings(seed, new_seed, another_each, side_settings(sides, _shaping))


def drawn_anew(seed: float | None, is_new: bool) -> bool:
    """Whether the next text draws by a new seed, once a link was opened: its seed is to give its text again."""
    return is_new and not seed


def connect(sides: Sides, settings: GenerateSettings) -> None:
    """Presets move the sliders, a slider leaves its preset, and a side's own settings move with it."""
    for own in settings.sides.each:
        shaped = [own.knobs[knob.name] for knob in controls.PRESET_KNOBS]
        own.preset.input(controls.preset_values, own.preset, shaped, **QUIET)
        gr.on([slider.input for slider in shaped], None, None, own.preset, js="() => null", **QUIET)

    def taken(to: int, source: int, values: Updates, model: int) -> Updates:
        mine, theirs = settings.sides.each[to].parts(), settings.sides.each[source].parts()
        return {own: values[other] for own, other in zip(mine, theirs, strict=True)}

    connect_settings(sides, settings.sides, taken)


def _shaping(suffix: str) -> Shaping:
    """One side's controls; `suffix` ends the names of their elements."""
    preset = gr.Radio(list(controls.PRESETS), value="Balanced", label="Preset", elem_id=f"preset{suffix}")
    knobs = {knob.name: knob.slider() for knob in (*controls.LENGTH, *controls.SAMPLING)}
    for name, group in (("More filters and penalties", controls.FILTERS), ("Beam search", controls.BEAMS)):
        with gr.Accordion(name, open=False):
            knobs |= {knob.name: knob.slider() for knob in group}
    with gr.Accordion("Stopping and banning", open=False):
        knobs |= {knob.name: knob.slider() for knob in controls.STOPPING}
        info = "One a line; \\n stands for a line break."
        stop_texts = gr.Textbox(label="Stop texts", info="The text ends before any of these. " + info, lines=2)
        banned = gr.Textbox(label="Banned texts", info="Never written. " + info, lines=2)
    saved_presets({"preset": preset, **knobs, "stop": stop_texts, "banned": banned}, f"presets{suffix or '-a'}")
    return Shaping(preset, knobs, stop_texts, banned)
