"""A head's folder: where one may stand, and that a kill at any moment loses nothing."""

from pathlib import Path

import pytest

from tests.loading.saved_heads import checkpoint, saved
from workbench.errors import BadRequest
from workbench.loading.heads import check_head_folder


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """A checkpoint."""
    return checkpoint(tmp_path / "trunk")


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def everything(folder: Path) -> list[Path]:
    """All paths in a folder."""
    return sorted(folder.rglob("*"))


def fail(*_: object) -> None:
    """As a full disk does."""
    raise OSError("disk full")


@pytest.mark.parametrize("name", ["mood", "deep/down/mood", "taken"])
def test_a_folder_that_can_be_written_passes_and_nothing_is_left_behind(trunk: Path, tmp_path: Path, name: str) -> None:
    (saved(tmp_path / "taken", trunk) / "training-log.jsonl").touch()
    before = everything(tmp_path)
    check_head_folder(tmp_path / name)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", [".", "..", "/", "", "heads/..", "heads/../.."])
def test_a_folder_without_a_name_of_its_own_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "here" / "heads").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(BadRequest, match=r"no name of its own.*new folder"):
        check_head_folder(Path(name))


def test_the_folder_in_which_the_program_runs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRequest, match="no name of its own"):
        check_head_folder(tmp_path)


@pytest.mark.parametrize("name", ["file/mood", "file/deep/mood", "x" * 250, "x" * 5000, "a\0b", "loop/mood"])
def test_a_place_that_cannot_be_written_is_refused_and_nothing_is_left_behind(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = everything(tmp_path)
    with pytest.raises(BadRequest, match=r"can't be written.*Choose another folder"):
        check_head_folder(tmp_path / name)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("place", ["the folder", "its parent"])
def test_a_folder_without_the_right_to_write_is_refused(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    folder = saved(tmp_path / "mood", trunk)
    probe = "TemporaryFile" if place == "the folder" else "TemporaryDirectory"

    def denied(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(f"workbench.loading.head_folder.tempfile.{probe}", denied)
    with pytest.raises(BadRequest, match=r"mood can't be written \(Permission denied\)"):
        check_head_folder(folder)


def test_other_files_beside_a_head_are_left_alone(trunk: Path, tmp_path: Path) -> None:
    (saved(tmp_path / "mood", trunk) / "notes.txt").write_text("mine")
    with pytest.raises(BadRequest, match=r"other files \(notes\.txt\)"):
        check_head_folder(tmp_path / "mood")


def test_a_head_that_a_kill_left_aside_is_put_back_with_its_training(trunk: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "mood", trunk)
    (folder / "training-state.pt").write_bytes(b"step 7")
    before = files(folder)
    folder.rename(tmp_path / ".mood.old")
    saved(tmp_path / "other", trunk).rename(tmp_path / ".mood.part")
    check_head_folder(folder)
    assert files(folder) == before and not (tmp_path / ".mood.old").exists()


def test_a_head_that_was_replaced_before_the_kill_stays(trunk: Path, tmp_path: Path) -> None:
    saved(tmp_path / ".mood.old", trunk, name="old")
    folder = saved(tmp_path / "new", trunk).rename(tmp_path / "mood")
    before = files(folder)
    check_head_folder(folder)
    assert files(folder) == before


def test_the_next_save_finds_a_head_that_a_kill_left_aside(
    trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "mood", trunk)
    before = files(folder)
    folder.rename(tmp_path / ".mood.old")
    (tmp_path / ".mood.part").mkdir()
    monkeypatch.setattr("workbench.loading.heads.write_card", fail)
    with pytest.raises(OSError, match="disk full"):
        saved(folder, trunk)
    assert files(folder) == before


@pytest.mark.parametrize("name", ["thesis.txt", "head.safetensors", "README.md", "model.safetensors"])
def test_a_folder_with_other_files_is_left_alone(trunk: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine")
    with pytest.raises(BadRequest, match=f"{name}.*new folder"):
        saved(tmp_path / "mine", trunk)
    assert files(tmp_path / "mine") == {name: b"mine"}


def test_a_file_or_a_link_in_the_folders_place_is_left_alone(trunk: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(saved(tmp_path / "mood", trunk))
    for name in ("file", "link"):
        with pytest.raises(BadRequest, match="not a folder of its own"):
            saved(tmp_path / name, trunk)
