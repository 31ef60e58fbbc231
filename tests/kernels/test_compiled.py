"""Building the kernels: once, kept where possible, and without a compiler not at all."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import torch

from workbench.errors import BadRequest
from workbench.kernels import attention, compiled, int8, rows
from workbench.kernels.compiled import Kernels, build, cache_folder, kernels

needs_library = pytest.mark.skipif(kernels().library is None, reason="no C compiler here")


def compiler(folder: Path, body: str) -> str:
    """A stand-in for a C compiler: a shell script, which knows its version."""
    path = folder / "cc"
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def small_source(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions that do nothing, in place of the kernels: compiled at once."""
    folder = tmp_path_factory.mktemp("source")
    functions = [f"int {name}(void) {{ return 0; }}" for name in compiled.ARGUMENTS if name != "instructions"]
    (folder / "small.c").write_text("\n".join([*functions, 'const char *instructions(void) { return "small"; }']))
    monkeypatch.setattr(compiled, "SOURCE", folder)


@needs_library
@pytest.mark.usefixtures("small_source")
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
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("", "exit status"),
        (r"\377\376 error: \351", "error: "),
        (r"In file included from a.c:1\nb.h:2: error: gone\nnote: see there", "(b.h:2: error: gone)"),
        (r"something\nkilled", "(killed)"),
    ],
)
def test_the_note_tells_what_a_compiler_printed_last_or_called_an_error(
    printed: str, told: str, tmp_path: Path
) -> None:
    broken = compiler(tmp_path, f"printf '{printed}' >&2; exit 1")
    found = build(tmp_path / "cache", compilers=(broken,))
    assert found.library is None and told in found.note


def test_a_compiler_that_is_no_program_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "cc"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o755)
    found = build(tmp_path / "cache", compilers=(str(path),))
    assert found.library is None and "could not compile" in found.note


def test_a_compiler_that_never_answers_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "BUILD_SECONDS", 0.05)
    monkeypatch.setattr(compiled, "VARIANTS", ((),))
    slow = tmp_path / "cc"
    slow.write_text("#!/bin/sh\nexec sleep 5\n")
    slow.chmod(0o755)
    found = build(tmp_path / "cache", compilers=(str(slow),))
    assert found.library is None and "timed out" in found.note


def test_without_any_folder_for_files_pytorch_computes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*args: object, **options: object) -> None:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(compiled.tempfile, "TemporaryDirectory", nowhere)
    monkeypatch.setattr(compiled.tempfile, "mkstemp", nowhere)
    found = build(tmp_path / "cache", compilers=(compiler(tmp_path, "exit 0"),))
    assert found.library is None and "no usable temporary directory" in found.note


def test_without_a_home_pytorch_computes_and_the_note_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(environment: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(compiled, "cache_folder", homeless)
    found = kernels.__wrapped__()
    assert found.library is None and "XDG_CACHE_HOME" in found.note


def test_a_wrong_choice_of_kernels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_KERNELS", "fast")
    with pytest.raises(BadRequest, match="WORKBENCH_KERNELS"):
        kernels.__wrapped__()


@needs_library
@pytest.mark.parametrize("damage", ["cut short", "other bytes", "another library"])
@pytest.mark.usefixtures("small_source")
def test_a_damaged_file_is_compiled_anew_and_replaced(damage: str, tmp_path: Path) -> None:
    build(tmp_path)
    kept = next(tmp_path.iterdir())
    content = kept.read_bytes()
    kept.unlink()  # not written over: this process runs it
    if damage == "another library":
        empty = tmp_path / "empty.c"
        empty.write_text("int nothing;")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(tmp_path / "x"), str(empty)], check=True)
        empty.unlink()
        content = (tmp_path / "x").read_bytes()
        (tmp_path / "x").unlink()
        build_name = kept.stem.rpartition("-")[0]
        (tmp_path / f"{build_name}-{compiled._digest_of(content)}.so").write_bytes(content)
    else:
        kept.write_bytes(content[:5000] if damage == "cut short" else content[:5000] + b"?" + content[5001:])
    found = build(tmp_path)
    assert found.library is not None and not found.note
    assert len(list(tmp_path.iterdir())) == 1
    again = next(tmp_path.iterdir())
    assert again.stem.endswith(compiled._digest_of(again.read_bytes()))


@needs_library
@pytest.mark.usefixtures("small_source")
def test_a_folder_from_which_nothing_can_be_run_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = compiled._loaded

    def elsewhere(path: Path) -> Kernels:
        if path.is_relative_to(tmp_path):
            raise OSError("failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(compiled, "_loaded", elsewhere)
    found = build(tmp_path)
    assert found.library is not None and "failed to map segment" in found.note
    assert not list(tmp_path.iterdir())


@needs_library
@pytest.mark.usefixtures("small_source")
def test_other_kernels_and_stale_files_go_when_new_ones_are_kept(tmp_path: Path) -> None:
    for name in ("kernels-0123456789abcdef.so", "unfinished-old.so", "unfinished-new.so", "notes.txt"):
        (tmp_path / name).write_text("")
    os.utime(tmp_path / "unfinished-old.so", (0, 0))
    build(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 3 and {"unfinished-new.so", "notes.txt"} < left


@needs_library
@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no modes here")
@pytest.mark.parametrize("writable", ["file", "folder"])
@pytest.mark.usefixtures("small_source")
def test_what_others_can_write_to_is_not_run(writable: str, tmp_path: Path) -> None:
    build(tmp_path)
    kept = next(tmp_path.iterdir())
    before = kept.stat().st_mtime_ns
    (kept if writable == "file" else tmp_path).chmod(0o770)
    assert build(tmp_path).library is not None
    again = next(tmp_path.iterdir())
    assert again.stat().st_mtime_ns != before
    assert stat.S_IMODE(again.stat().st_mode) == stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@needs_library
@pytest.mark.usefixtures("small_source")
def test_where_nothing_can_be_kept_it_compiles_for_this_process_and_says_so(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    found = build(in_the_way / "cache")
    assert found.library is not None
    assert "could not be kept" in found.note


@needs_library
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
@pytest.mark.usefixtures("small_source")
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
    draw = torch.Generator().manual_seed(0)
    x, weight = torch.randn(5, 300, generator=draw), torch.randn(37, 300, generator=draw)
    integers, scales = (weight * 40).round().clamp(-127, 127).to(torch.int8), torch.ones(37)
    cached = [torch.randn(2, 9, 300, generator=draw) for _ in range(5)]
    queries = x.view(5, 1, 300).expand(5, 2, 300)

    def computed() -> list[torch.Tensor]:
        return [
            int8.int8_linear(x, integers, scales),
            rows.row_linear(x, weight),
            attention.attend_rows(queries, cached, cached),
        ]

    expected = computed()
    monkeypatch.setattr(compiled, "VARIANTS", (("--no-such-flag",), variant))
    other = build(tmp_path)
    assert other.library is not None and "one core" in other.instructions
    for module in (int8, rows, attention):
        monkeypatch.setattr(module, "kernels", lambda: other)
    found = computed()
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)


@needs_library
def test_another_way_of_compiling_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiled._digest("cc")
    monkeypatch.setattr(compiled, "VARIANTS", (("-march=native",),))
    assert compiled._digest("cc") != before


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "gptj-workbench"
    assert cache_folder({}).is_absolute()
