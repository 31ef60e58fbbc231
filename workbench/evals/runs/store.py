"""All runs in a folder."""

from collections.abc import Sequence
from pathlib import Path

from workbench.errors import BadRequest
from workbench.evals.runs.files import RUN_FILE
from workbench.evals.runs.run import Run


class RunStore:
    """The runs that stand in a folder, each in a folder of its own; read anew at every question."""

    def __init__(self, folder: Path):
        self.folder = folder

    def runs(self, task: str | None = None) -> list[Run]:
        """Those that can be read, the newest first; of one task alone where it is named."""
        found = [run for run in map(_run_or_none, self._folders()) if run is not None]
        return [run for run in sorted(found, key=_began, reverse=True) if task in (None, run.task)]

    def damaged(self) -> dict[str, str]:
        """What can't be read, with the reason, by the folders' names."""
        found: dict[str, str] = {}
        for folder in self._folders():
            try:
                Run.open(folder)
            except BadRequest as error:
                found[folder.name] = str(error)
        return found

    def find(self, name_or_folder: str) -> Run:
        """The run that a folder's path, its name in the store, or the name's beginning means.

        Raises:
            BadRequest: there is none, several begin so, or it is damaged.
        """
        given = Path(name_or_folder)
        for folder in (given, self.folder / given.name):
            if (folder / RUN_FILE).is_file():
                return Run.open(folder)
        meant = [folder for folder in self._folders() if folder.name.startswith(name_or_folder)]
        if len(meant) == 1 and name_or_folder:
            return Run.open(meant[0])
        raise BadRequest(f"There is no run {name_or_folder!r}{_offer(meant or self._folders(), self.folder)}")

    def _folders(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if (path / RUN_FILE).is_file())
        except OSError:
            return []


def _offer(folders: Sequence[Path], home: Path) -> str:
    names = ", ".join(folder.name for folder in folders[:10])
    if names:
        return f". In {home} there are: {names}."
    return f", and the folder {home} holds none. `python -m workbench evaluate` makes one."


def _run_or_none(folder: Path) -> Run | None:
    try:
        return Run.open(folder)
    except BadRequest:
        return None


def _began(run: Run) -> tuple[str, str]:
    return run.cost.began, run.name
