"""Where checkpoints come from."""

import time
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from tests.loading.tiny import tiny_model
from workbench.errors import BadRequest, CannotLoad, CheckpointNotFound
from workbench.loading.load import save_pretrained
from workbench.loading.source import SMALL_FILES, holds_weights, resolve
from workbench.published import Tokenizer


def test_a_folder_is_itself(tmp_path):
    assert resolve(str(tmp_path)) == tmp_path
    assert resolve(tmp_path) == tmp_path


def test_a_file_is_refused_with_the_folder_to_give(tmp_path):
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(BadRequest, match=f"give the folder.*{tmp_path}"):
        resolve(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    "path", ["/no/such/folder", "./nothing", "justaname", "a/b/c", "../x/y", "C:\\models", "a/..", "a b/c"]
)
def test_what_is_neither_a_folder_nor_a_hub_id_is_said_so(path):
    with pytest.raises(CheckpointNotFound, match="no folder"):
        resolve(path)


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_no_name_at_all_is_refused(text):
    with pytest.raises(BadRequest):
        resolve(text)


def test_a_revision_that_is_none_is_refused():
    with pytest.raises(BadRequest, match="revision"):
        resolve("somebody/model", revision="../../etc")


def test_offline_an_id_that_is_not_cached_fails_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    started = time.perf_counter()
    with pytest.raises(CheckpointNotFound, match=r"somebody/model.*HF_HUB_OFFLINE"):
        resolve("somebody/model")
    assert time.perf_counter() - started < 2


def test_offline_a_cached_id_is_found(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, local_files_only, **__: str(tmp_path))
    save_pretrained(tiny_model(), tmp_path)
    assert resolve("somebody/model", revision="v1") == tmp_path


def test_offline_the_real_client_finds_a_whole_snapshot(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--somebody--model"
    snapshot = repository / "snapshots" / ("a" * 40)
    save_pretrained(tiny_model(), snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert resolve("somebody/model").samefile(snapshot)


@pytest.mark.parametrize("lacking", ["config.json", "model-00002-of-*"])
def test_a_partial_snapshot_is_not_taken_for_a_checkpoint_and_the_connection_is_named(monkeypatch, tmp_path, lacking):
    save_pretrained(tiny_model(), tmp_path, max_shard_bytes=20_000)
    next(tmp_path.glob(lacking)).unlink()
    hub = online(monkeypatch, Hub(["config.json", "model.safetensors"]))

    def broken_off(*_, local_files_only=False, **__):
        if not local_files_only:
            raise OSError("connection reset by peer")
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", broken_off)
    with pytest.raises(CheckpointNotFound, match=r"a part of somebody/model.*connection.*failed.*reset by peer"):
        resolve("somebody/model")
    assert len(hub.asked) == 1


def test_a_broken_off_download_falls_back_to_a_whole_snapshot(monkeypatch, tmp_path):
    save_pretrained(tiny_model(), tmp_path, max_shard_bytes=20_000)
    online(monkeypatch, Hub([], OSError("no route to host")))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(tmp_path))
    assert resolve("somebody/model") == tmp_path


def test_without_weights_only_the_small_files_are_fetched(monkeypatch):
    hub = online(monkeypatch, Hub(["config.json", "model.safetensors", "pytorch_model.bin"]))
    resolve("somebody/model", weights=False)
    assert hub.patterns == SMALL_FILES and not any("safetensors" in p or ".bin" in p for p in SMALL_FILES)


def test_the_published_tokenizer_fetches_no_weights(monkeypatch, tmp_path):
    hub = online(monkeypatch, Hub(["config.json", "tokenizer.json", "model.safetensors"]))
    with pytest.raises(CannotLoad):
        Tokenizer.from_pretrained("somebody/model")
    assert hub.patterns == SMALL_FILES


@pytest.mark.parametrize("name", ["~nosuchuser/x", "a" * 300, "a/" + "b" * 5000])
def test_a_name_that_no_folder_can_have_is_not_found(name):
    with pytest.raises(CheckpointNotFound, match="There is no folder"):
        resolve(name)


def test_weights_are_held_when_every_shard_is_there(tmp_path):
    assert not holds_weights(tmp_path)
    save_pretrained(tiny_model(), tmp_path, max_shard_bytes=20_000)
    assert holds_weights(tmp_path)
    next(tmp_path.glob("model-00002-of-*")).unlink()
    assert not holds_weights(tmp_path)


class Hub:
    """A Hub that holds one repository, and what was asked of it."""

    def __init__(self, files: list[str], error: Exception | None = None):
        self.files, self.error, self.asked = files, error, []

    def model_info(self, hub_id, revision=None, timeout=None):
        self.asked.append((hub_id, revision, timeout))
        if self.error:
            raise self.error
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in self.files])

    def snapshot_download(
        self, hub_id, revision=None, allow_patterns=None, local_files_only=False, ignore_patterns=None
    ):
        if local_files_only:
            raise LocalEntryNotFoundError("nothing is cached")
        self.patterns = allow_patterns
        return "/somewhere"


def online(monkeypatch, hub: Hub) -> Hub:
    """Puts this Hub in the real one's place."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def test_safetensors_are_preferred_and_pickles_left_on_the_hub(monkeypatch):
    hub = online(monkeypatch, Hub(["config.json", "model.safetensors", "pytorch_model.bin"]))
    assert str(resolve("somebody/model", "v1")) == "/somewhere"
    assert "model.safetensors" in hub.patterns and not any(".bin" in pattern for pattern in hub.patterns)
    assert hub.asked[0][:2] == ("somebody/model", "v1") and hub.asked[0][2] <= 10


def test_safetensors_in_a_sub_folder_do_not_count(monkeypatch):
    hub = online(monkeypatch, Hub(["config.json", "pytorch_model.bin", "onnx/model.safetensors"]))
    resolve("somebody/model")
    assert "pytorch_model.bin" in hub.patterns


def test_a_repository_without_safetensors_gives_its_pickles(monkeypatch):
    hub = online(monkeypatch, Hub(["config.json", "pytorch_model.bin"]))
    resolve("somebody/model")
    assert "pytorch_model.bin" in hub.patterns and not any("safetensors" in pattern for pattern in hub.patterns)


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["flax_model.msgpack", "tf_model.h5", "rust_model.ot"], "flax_model.msgpack"),
        (["flax_model-00001-of-00002.msgpack", "flax_model.msgpack.index.json"], "flax_model-*.msgpack"),
        (["tf_model.h5"], "tf_model.h5"),
        (["adapter_model.safetensors", "pytorch_model.bin", "flax_model.msgpack"], "pytorch_model.bin"),
    ],
)
def test_of_the_older_formats_only_the_first_there_is_is_fetched(monkeypatch, files, wanted):
    hub = online(monkeypatch, Hub(["config.json", *files]))
    resolve("somebody/model")
    weights = [pattern for pattern in hub.patterns if pattern not in SMALL_FILES]
    assert wanted in weights and len(weights) == 2


@pytest.mark.parametrize("error", [OSError("no route to host"), ValueError("bad id"), "http", "missing"])
def test_every_failure_of_the_hub_is_a_checkpoint_not_found(monkeypatch, error):
    if error == "http":
        error = RepositoryNotFoundError.__mro__[3]("connection refused")
    elif error == "missing":
        error = RepositoryNotFoundError("401 Client Error", response=SimpleNamespace(headers={}, request=None))
    online(monkeypatch, Hub([], error))
    with pytest.raises(CheckpointNotFound, match=r"somebody/model.*Check the id and the connection"):
        resolve("somebody/model")
