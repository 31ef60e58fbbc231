"""What the Classify and the Answer tab keep in the page's address: their texts, and each side's settings."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from workbench.manager import ModelSpec
from workbench.ui.bench import Bench, Page
from workbench.ui.head_choice import LANGUAGE_MODEL, Kind, fitting_heads
from workbench.ui.links.address import Kept
from workbench.ui.sides.asking_sides import Settings, SideSettings


class Named(Settings, Protocol):
    """A side's settings, by their names in a link."""

    def named(self) -> dict[str, Any]:
        """The controls, the method among them."""
        ...


Own = TypeVar("Own", bound=Named)


def keep_sides(page: Page, kept: Kept, settings: SideSettings[Own], kind: Kind) -> None:
    """Puts a tab's texts and each side's settings into the address.

    Args:
        kept: the tab with its texts alone.
        kind: of the heads that a method can be.
    """
    parts = dict(kept.parts)
    for side, own in zip(page.sides.all, settings.each, strict=True):
        before = f"{side.letter.lower()}." if side.index else ""
        if side.index:
            parts[f"{before}as_a"] = settings.as_a[side.index - 1]
        parts |= {before + name: part for name, part in own.named().items()}

    def methods(bench: Bench, spec: ModelSpec) -> Collection[str]:
        return [LANGUAGE_MODEL, *fitting_heads(bench, spec, kind)]

    known = {name: methods for name in parts if name.endswith("method")}
    page.address.keeps(replace(kept, parts=parts, known=known))
