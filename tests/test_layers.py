"""The house's rules that a machine can hold: which way imports go, no cycles, sizes, docstrings."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([ROOT / "app.py", *(ROOT / "workbench").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")])
LONGEST_FILE = 300
LONGEST_FUNCTION = 40

ROWS = {
    "workbench.__main__": 12,
    "workbench.twins": 12,  # so that nothing else can import them
    "app": 11,
    "workbench.cli": 11,
    "workbench.commands": 10,
    "workbench.console": 9,
    "workbench.guard": 10,
    "workbench.ui": 9,
    "workbench.api": 9,
    "workbench.evaluating": 8,
    "workbench.agreement": 8,
    "workbench.comparing": 8,
    "workbench.speed": 8,
    "workbench.precision_sides": 8,
    "workbench.manager": 7,
    "workbench.opening": 6,
    "workbench.training": 7,
    "tasks": 7,
    "workbench.text.language_model": 5,
    "workbench.text.reading": 5,
    "workbench.text.pairs": 5,
    "workbench.text.transcript": 5,
    "workbench.text.spans": 5,
    "workbench.published": 5,
    "workbench.residents": 5,
    "workbench.evals": 5,
    "workbench.remote": 4,
    "workbench.text.allowed": 5,
    "workbench.text.requests": 4,
    "workbench.text.pending": 4,
    "workbench.engine": 3,
    "workbench.loading": 3,
    "workbench.gptj": 2,
    "workbench.kernels": 2,
    "workbench.text": 2,
    "workbench.settings": 1,
    "workbench.profiles": 0,
    "workbench.terminal": 1,
    "workbench.collect": 1,
    "workbench.errors": 0,
    "workbench": 0,
}
"""A file imports only from rows below its own, or from its own room; the longest name that fits counts."""

ONLY_IN = {
    "gradio": ("workbench/ui/", "app.py"),
    "bitsandbytes": ("workbench/loading/precisions/", "workbench/training/optimizers.py"),
    "datasets": ("workbench/evals/data/hub_data.py", "workbench/evals/evaluate_metrics.py"),
    "evaluate": ("workbench/evals/evaluate_metrics.py",),
    "transformers": (),
    "jax": ("workbench/twins/",),
    "flax": ("workbench/twins/",),
    "tensorflow": ("workbench/twins/",),
    "keras": ("workbench/twins/",),
}
"""Packages that only these places may import; an empty tuple: nobody."""

NO_TORCH = (
    "workbench/evals/",
    "tasks/",
    "workbench/errors.py",
    "workbench/settings.py",
    "workbench/profiles.py",
    "workbench/collect.py",
)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def row_of(module: str) -> int:
    while module not in ROWS:
        module = module.rpartition(".")[0]
        if not module:
            raise KeyError("no row")
    return ROWS[module]


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def is_ours(module: str) -> bool:
    return module.split(".")[0] in ("workbench", "tasks", "app")


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Each import of a tree with the module it names; `import_module("x")` counts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((node, name if is_module(name) else node.module) for name in names)
        elif isinstance(node, ast.Call) and ast.unparse(node).startswith("importlib.import_module('"):
            yield node, ast.literal_eval(node.args[0])


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


@by_file
def test_a_file_imports_only_from_rows_below_its_own(path: Path) -> None:
    here = name_of(path)
    if here == "workbench":
        return  # the lazy front door names what it hands out
    for node, there in imports(tree_of(path)):
        if is_ours(there):
            allowed = row_of(there) < row_of(here) or (
                room_of(there) == room_of(here) and row_of(there) <= row_of(here)
            )
            assert allowed, f"line {node.lineno}: {here} (row {row_of(here)}) imports {there} (row {row_of(there)})"


@by_file
def test_packages_stay_in_their_rooms(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    for node, there in imports(tree_of(path)):
        package = there.split(".")[0]
        if package in ONLY_IN:
            assert place.startswith(ONLY_IN[package]), f"line {node.lineno}: {package} may not be imported in {place}"
        if package == "torch":
            assert not place.startswith(NO_TORCH), f"line {node.lineno}: {place} must do without torch"
        if place.startswith("workbench/gptj/"):
            known = package in sys.stdlib_module_names or package == "torch" or there.startswith("workbench.gptj")
            assert known, f"line {node.lineno}: the network needs torch and nothing else, not {there}"
        if place.startswith("workbench/engine/"):
            assert not there.startswith("workbench.text"), f"line {node.lineno}: the engine never sees text"


@by_file
def test_no_import_hides_in_a_function(path: Path) -> None:
    for function in ast.walk(tree_of(path)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            hidden = [node for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom))]
            assert not hidden, f"line {hidden[0].lineno}: {ast.unparse(hidden[0])} inside {function.name}"


def test_no_import_cycles() -> None:
    edges = {name_of(path): {there for _, there in imports(tree_of(path)) if is_ours(there)} for path in FILES}
    edges["workbench"] = set()
    settled: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in settled:
            for there in edges.get(module, ()):
                visit(there, (*way, module))
            settled.add(module)

    for module in edges:
        visit(module, ())


@by_file
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{lines} lines: which room is missing?"
    for function in ast.walk(tree_of(path)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= LONGEST_FUNCTION, f"{function.name}: {length} lines of code"


@by_file
def test_everything_public_says_what_it_is(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the module has no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            assert node.name.startswith("_") or ast.get_docstring(node), f"class {node.name} has no docstring"
            members = [
                part for part in node.body if isinstance(part, ast.FunctionDef) and not node.name.startswith("_")
            ]
        else:
            members = (
                [part for part in getattr(node, "body", []) if isinstance(part, ast.FunctionDef)]
                if node is tree
                else []
            )
        for function in members:
            assert function.name.startswith("_") or ast.get_docstring(function), f"{function.name} has no docstring"


def test_folders_hold_only_a_docstring_in_their_init() -> None:
    for path in FILES:
        if path.name == "__init__.py" and name_of(path) != "workbench":
            assert len(tree_of(path).body) == 1, f"{path.relative_to(ROOT)} holds code"
