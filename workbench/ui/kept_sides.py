"""What the Classify and the Answer tab keep in the page's address: their texts, and each side's settings."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol, TypeVar

import gradio as gr

from workbench.manager import ModelSpec
from workbench.ui.asking_sides import Settings, SideSettings
from workbench.ui.bench import Bench, Page
from workbench.ui.head_choice import LANGUAGE_MODEL, Kind, fitting_heads


class Named(Settings, Protocol):
    """A side's settings, by their names in a link."""

    def named(self) -> dict[str, Any]:
        """The controls, the method among them."""
        ...


Own = TypeVar("Own", bound=Named)


def keep_sides(
    page: Page, tab: str, texts: Mapping[str, Any], settings: SideSettings[Own], run: gr.Button, kind: Kind
) -> None:
    """Puts a tab's controls into the address; the first text names a run in the history."""
    parts = dict(texts)
    for side, own in zip(page.sides.all, settings.each, strict=True):
        before = f"{side.letter.lower()}." if side.index else ""
        if side.index:
            parts[f"{before}as_a"] = settings.as_a[side.index - 1]
        parts |= {before + name: part for name, part in own.named().items()}

    def methods(bench: Bench, spec: ModelSpec) -> Collection[str]:
        return [LANGUAGE_MODEL, *fitting_heads(bench, spec, kind)]

    known = {name: methods for name in parts if name.endswith("method")}
    page.address.keeps(tab, parts, runs=[run], title=next(iter(texts)), known=known)
