"""Data sets of the Hugging Face Hub, at one commit, from the local cache wherever that has them."""

import importlib
import os
import re
import socket
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, overload
from urllib.parse import urlsplit
from urllib.request import getproxies

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.task import Source

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT = re.compile(r"[0-9a-f]{40}")
PROBE_SECONDS = 0.7
ASK_SECONDS = 5.0
MISSING = (OSError, ValueError, LookupError)
"""What the library raises where its cache lacks a data set, or holds a part of it."""
FAILED: tuple[type[Exception], ...] = (*MISSING, RuntimeError, *HfHubHTTPError.__bases__)  # type: ignore[assignment]
"""What it raises where a data set can't be fetched or read."""


class HubData:
    """A data set at one commit.

    Args:
        source: where it is.
        otherwise: what else a person may do, as the end of a sentence.

    Raises:
        BadRequest: no name of a data set, or it is neither in the cache nor to be had; said within a second without a
            network.
    """

    def __init__(self, source: Source, otherwise: str):
        self._source, self._otherwise = source, otherwise
        if not HUB_ID.fullmatch(source.path) or ".." in source.path:
            raise BadRequest(f"A data set of the Hub is named org/name; got {source.path!r}.")
        if cache_folder(source.path) is None and self._offline:
            raise self._refused(self._offline)
        # Over a second to import, and only now is it sure to be of use.
        self._datasets = importlib.import_module("datasets")
        self._cache = importlib.import_module("datasets.packaged_modules.cache.cache").Cache
        self.revision: str = source.revision or self._newest()
        """The commit that is used."""

    def rows(self, split: str, limit: int | None) -> tuple[Row, ...]:
        """The rows of a split, or the first so many of them, which are fetched alone.

        Raises:
            BadRequest: they are neither in the cache nor to be had.
        """
        found = self._cached_rows(split, limit)
        if found is None and self._offline:
            raise self._refused(self._offline)
        if found is None:
            found = self._fetched_rows(split, limit)
        return tuple(Row(one, index, f"{self._source.path}, row {index}") for index, one in enumerate(found))

    @cached_property
    def _offline(self) -> str | None:
        return why_offline()

    def _newest(self) -> str:
        """The newest commit; where the Hub does not tell, of those in the cache."""
        reason = self._offline
        if reason is None:
            try:
                return huggingface_hub.HfApi().dataset_info(self._source.path, timeout=ASK_SECONDS).sha or "main"
            except FAILED as error:
                reason = _first_line(error)
        cached = self._cached()
        if cached is None:
            raise self._refused(reason)
        return Path(cached.cache_dir).name

    def _cached(self, revision: str = "*") -> Any:
        """The library's builder for a commit in its cache, or for the newest there; None: it is not there."""
        source, folder = self._source, cache_folder(self._source.path)
        try:
            places = [] if folder is None else folder.glob(f"{source.name or '*'}/*/{revision}")
            whole = (place for place in places if COMMIT.fullmatch(place.name))
            newest = max(whole, key=lambda place: place.stat().st_mtime, default=None)
            if newest is None:
                return None
            config, version, commit = newest.parts[-3:]
            name = source.path.split("/")[1]
            return self._cache(dataset_name=name, repo_id=source.path, config_name=config, version=version, hash=commit)
        except MISSING:
            return None

    def _cached_rows(self, split: str, limit: int | None) -> list[dict[str, Any]] | None:
        builder = self._cached(self.revision)
        try:
            return None if builder is None else list(islice(builder.as_dataset(split=split), limit))
        except MISSING:
            return None

    def _fetched_rows(self, split: str, limit: int | None) -> list[dict[str, Any]]:
        source, failed = self._source, (*FAILED, self._datasets.exceptions.DatasetsError)
        try:
            # One bounded question first: the library would try again and again without a word.
            huggingface_hub.HfApi().dataset_info(source.path, revision=self.revision, timeout=ASK_SECONDS)
            found = self._datasets.load_dataset(
                source.path, source.name, revision=self.revision, split=split, streaming=limit is not None
            )
            return list(islice(found, limit))
        except failed as error:
            raise self._refused(_first_line(error)) from error

    def _refused(self, reason: str) -> BadRequest:
        source = self._source
        named = f"{source.path} ({source.name})" if source.name else source.path
        return BadRequest(
            f"The data set {named} is not in the local cache, and the Hub did not give it ({reason}). Try again with a "
            f"connection, {self._otherwise}."
        )


class LaterRows(Sequence[Row]):
    """Rows that are fetched when the first of them, or their number, is asked for."""

    def __init__(self, fetch: Callable[[], tuple[Row, ...]]):
        self._fetch = fetch

    @cached_property
    def _rows(self) -> tuple[Row, ...]:
        return self._fetch()

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """A row, or several."""
        return self._rows[index]

    def __len__(self) -> int:
        """Their number."""
        return len(self._rows)


def cache_folder(hub_id: str) -> Path | None:
    """Where the cache of the library `datasets` has anything of a data set; None: nowhere."""
    cache = Path(os.environ.get("HF_DATASETS_CACHE", Path(constants.HF_HOME, "datasets"))).expanduser()
    try:
        named = (folder for folder in cache.iterdir() if _folded(folder.name) == _folded(hub_id.replace("/", "___")))
        return next(named, None)
    except OSError:
        return None


def why_offline() -> str | None:
    """Why the Hub can't be reached, found within a second; None: it can."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    endpoint = urlsplit(constants.ENDPOINT)
    proxy = getproxies().get(endpoint.scheme)
    asked = urlsplit(proxy if proxy is None or "//" in proxy else f"//{proxy}") if proxy else endpoint
    port = asked.port or (80 if asked.scheme == "http" else 443)
    reached: list[str | None] = []

    def probe() -> None:
        try:
            socket.create_connection((asked.hostname or "", port), timeout=PROBE_SECONDS).close()
            reached.append(None)
        except OSError as error:
            reached.append(error.strerror or str(error))

    # In a thread, for the look-up of a name heeds no time limit.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    problem = reached[0] if reached else "no answer"
    return None if problem is None else f"{asked.hostname} can't be reached: {problem}"


def _folded(name: str) -> str:
    """A folder's name without what the library changes of a data set's: capitals and underscores."""
    return name.replace("_", "").lower()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
