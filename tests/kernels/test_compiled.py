"""Building the kernels: once, kept where possible, and without a compiler not at all."""

import os
import stat
from pathlib import Path

import pytest

from workbench.kernels import compiled
from workbench.kernels.compiled import build, cache_folder, kernels

needs_library = pytest.mark.skipif(kernels().library is None, reason="no C compiler here")


def compiler(folder: Path, body: str) -> str:
    """A stand-in for a C compiler: a shell script."""
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@needs_library
def test_what_was_compiled_is_kept_and_used_again(tmp_path: Path) -> None:
    first = build(tmp_path / "cache")
    kept = list((tmp_path / "cache").iterdir())
    before = kept[0].stat().st_mtime_ns
    assert first.library is not None and not first.note
    assert build(tmp_path / "cache").instructions == first.instructions
    assert list((tmp_path / "cache").iterdir()) == kept and kept[0].stat().st_mtime_ns == before


def test_without_a_compiler_pytorch_computes_and_the_note_says_what_to_install(tmp_path: Path) -> None:
    found = build(tmp_path, compilers=("no-such-compiler",))
    assert (found.library, found.instructions) == (None, "PyTorch")
    assert "Install gcc or clang" in found.note


def test_a_compiler_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = compiler(tmp_path, 'echo "fatal error: stdint.h: No such file" >&2; exit 1')
    found = build(tmp_path / "cache", compilers=(broken,))
    assert found.library is None
    assert "stdint.h" in found.note
    assert not list((tmp_path / "cache").iterdir())


def test_a_compiler_that_makes_nonsense_is_no_crash(tmp_path: Path) -> None:
    nonsense = compiler(tmp_path, 'for last; do [ "$before" = -o ] && echo nonsense > "$last"; before=$last; done')
    found = build(tmp_path / "cache", compilers=(nonsense,))
    assert found.library is None and "could not compile" in found.note


@needs_library
def test_where_nothing_can_be_kept_it_compiles_for_this_process_and_says_so(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    found = build(in_the_way / "cache")
    assert found.library is not None
    assert "could not be kept" in found.note


@needs_library
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_somebody_elses_file_is_not_run(tmp_path: Path) -> None:
    build(tmp_path)
    kept = next(tmp_path.iterdir())
    os.chown(kept, 12345, 12345)
    assert build(tmp_path).library is not None
    assert kept.stat().st_uid == os.getuid()


@needs_library
@pytest.mark.parametrize("variant", [("-march=native",), ()])
def test_it_computes_without_openmp_or_a_known_machine(
    variant: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "VARIANTS", (("--no-such-flag",), variant))
    assert build(tmp_path).library is not None


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "gptj-workbench"
    assert cache_folder({}).is_absolute()
