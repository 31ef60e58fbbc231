"""The README tells the truth about the tree and the commands: `python -m tests.test_readme` writes the tree anew."""

import ast
import re
from pathlib import Path

from tests.test_layers import ROWS

ROOT = Path(__file__).parent.parent
COLUMN = 34
WITHOUT_CODE = {
    "demo": "The checkpoint that ships: configuration, weights, tokenizer, trained heads and cards",
    "shots": "Pictures of the page, made by tests/browser/screenshots.py",
    "rows": "The rows of the tasks that are of our own writing",
}


WITHOUT_MODULES = {"source": "The kernels in C"}


def summary(path: Path) -> str:
    """The first clause of a module's docstring, or of the comment that a file in C begins with."""
    source = path.read_text(encoding="utf-8")
    text = source.removeprefix("/*") if path.suffix in (".c", ".h") else ast.get_docstring(ast.parse(source)) or ""
    return re.split(r"[.;:](?:\s|$)", text.replace("\n", " "), maxsplit=1)[0].strip()


def tree() -> str:
    """One line a file of the app and the package; folders carry what their `__init__` says."""
    lines = [_line("app.py", summary(ROOT / "app.py"))]
    for folder in ("workbench", "tasks"):
        if (ROOT / folder).is_dir():
            lines += _folder(ROOT / folder, 0)
    return "\n".join(lines)


def _folder(folder: Path, depth: int) -> list[str]:
    about = {**WITHOUT_CODE, **WITHOUT_MODULES}.get(folder.name) or summary(folder / "__init__.py")
    lines = [_line("  " * depth + folder.name + "/", about)]
    if folder.name in WITHOUT_CODE:
        return lines
    files = [path for path in folder.iterdir() if path.suffix in (".py", ".c", ".h")]
    lines += [_line("  " * (depth + 1) + path.name, summary(path)) for path in sorted(files) if path.stem != "__init__"]
    for inner in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"):
        lines += _folder(inner, depth + 1)
    return lines


def _line(name: str, about: str) -> str:
    return f"{name:<{COLUMN}}{about}".rstrip()


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def between(start: str, end: str) -> str:
    return readme().split(start, 1)[1].split(end, 1)[0].strip().removeprefix("```").removesuffix("```").strip("\n")


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    assert between("<!-- tree -->", "<!-- end -->") == tree(), "run: python -m tests.test_readme"


def test_the_rows_in_the_readme_are_those_that_the_layers_are_held_to() -> None:
    told = dict(re.findall(r"^\| (\d+) \| (.*) \|$", readme(), re.MULTILINE))
    for module, row in ROWS.items():
        name = module.removeprefix("workbench.")
        path = ROOT / module.replace(".", "/")
        if path.is_dir() or path.with_suffix(".py").is_file():
            assert f"`{name}`" in told[str(row)] or f"`{name}.py`" in told[str(row)], f"row {row} lacks {name}"


def test_ci_runs_the_readmes_test_command() -> None:
    assert between("<!-- test command -->", "<!-- end -->").strip()
    assert "<!-- test command -->" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_every_picture_and_file_the_readme_links_exists() -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", readme()):
        assert (ROOT / link).exists(), link


def test_the_space_runs_the_gradio_that_requirements_ask_for() -> None:
    version = re.search(r"^sdk_version: (\d+)\.(\d+)", readme(), re.MULTILINE)
    floor = re.search(r"^gradio>=(\d+)\.(\d+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert version is not None
    assert floor is not None
    assert tuple(map(int, version.groups())) >= tuple(map(int, floor.groups()))
    description = re.search(r"^short_description: (.*)$", readme(), re.MULTILINE)
    assert description is not None
    assert len(description.group(1)) <= 60, "a Space refuses a longer one"


if __name__ == "__main__":
    start, end = "<!-- tree -->", "<!-- end -->"
    before, rest = readme().split(start, 1)
    (ROOT / "README.md").write_text(
        f"{before}{start}\n```\n{tree()}\n```\n{end}{rest.split(end, 1)[1]}", encoding="utf-8"
    )
