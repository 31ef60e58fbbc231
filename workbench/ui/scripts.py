"""The page's own scripts and style sheets, which lie in the rooms of the page."""

from operator import attrgetter
from pathlib import Path

_FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """The scripts of these files, one after another, as a single one."""
    return "\n".join(_text(name) for name in names)


def styles() -> str:
    """Every style sheet, in the order of their names: each part of the page brings its own."""
    return "\n".join(path.read_text("utf-8") for path in sorted(_FOLDER.rglob("*.css"), key=attrgetter("name")))


def _text(name: str) -> str:
    (path,) = _FOLDER.rglob(name)
    return path.read_text(encoding="utf-8")
