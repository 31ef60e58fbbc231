"""The page's own scripts and style sheets, which lie beside this file."""

from pathlib import Path

_FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """The scripts of these files, one after another, as a single one."""
    return "\n".join(_text(name) for name in names)


def styles() -> str:
    """Every style sheet, in the order of their names: each part of the page brings its own."""
    return "\n".join(_text(path.name) for path in sorted(_FOLDER.glob("*.css")))


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
