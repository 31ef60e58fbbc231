"""A server that answers as the Hub does for one data set, and what `load_data` makes of it.

`python -m tests.evals.data.hub_server` runs in a process of its own: the Hub client reads its settings on import.
"""

import hashlib
import io
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow
import pyarrow.parquet

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ABOUT = r"/api/datasets/toys/Choices(?:/revision/[^/]+)?"


class Hub(BaseHTTPRequestHandler):
    """What of the Hub's API a data set of Parquet files needs."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """Answers every kind of request."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        url = urlsplit(self.path)
        self.asked.append(self.path)
        if re.fullmatch(ABOUT, url.path):
            listed = [{"rfilename": name} for name in self.files]
            self._json({"_id": "1", "id": "toys/Choices", "sha": COMMIT, "tags": [], "siblings": listed})
        elif url.path.startswith("/api/datasets/toys/Choices/paths-info/"):
            paths = json.loads(body)["paths"] if body.startswith("{") else parse_qs(body)["paths"]
            self._json([self._entry(name) for name in paths if name in self.files])
        elif found := re.fullmatch(r"/api/datasets/toys/Choices/tree/[^/]+/?(.*)", url.path):
            self._json(self._tree(found[1], parse_qs(url.query).get("recursive") == ["True"]))
        elif found := re.fullmatch(r"/datasets/toys/Choices/resolve/[^/]+/(.*)", url.path):
            self._file(found[1])
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_POST = do_GET

    def _file(self, name: str) -> None:
        if name not in self.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        content = self.files[name]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        if part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(part[1]), int(part[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{min(last, len(content) - 1)}/{len(content)}"
            self._send(206, content[first : last + 1], headers)
        else:
            self._send(200, content, headers)

    def _tree(self, below: str, recursive: bool) -> list[dict[str, Any]]:
        """The data set's folders, and the files in them or in the one that is asked for."""
        folders = sorted({name.rpartition("/")[0] for name in self.files})
        names = [name for name in self.files if recursive or name.rpartition("/")[0] == below]
        listed = [] if below else [{"type": "directory", "oid": "d" * 40, "size": 0, "path": one} for one in folders]
        return listed + [self._entry(name) for name in names if name.startswith(below)]

    def _entry(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        return {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """The rows as a Parquet file."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def main() -> None:
    """Loads the data set in every way, and prints what came of it."""
    rows = [{"id": f"q{one}", "goal": f"Goal {one}", "sol1": "a", "sol2": "b", "label": one % 2} for one in range(50)]
    Hub.files = {
        "data/train-00000-of-00001.parquet": parquet(rows[::-1]),
        "data/validation-00000-of-00001.parquet": parquet(rows),
    }
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"

    import dataclasses

    from tests.evals.data.toy_task import TASK
    from workbench.evals.data.hub_data import cache_folder
    from workbench.evals.data.sources import load_data
    from workbench.evals.data.tables import LOCAL

    def told(limit: int | None, revision: str | None = None) -> dict[str, Any]:
        source = dataclasses.replace(TASK.source, revision=revision) if TASK.source else None
        data = load_data(dataclasses.replace(TASK, source=source), None, limit, LOCAL)
        cached = cache_folder("toys/Choices") is not None
        return {
            "rows": len(data.rows),
            "revision": data.origin["revision"],
            "shots": len(data.shot_rows),
            "cached": cached,
        }

    found: dict[str, Any] = {"streamed": told(3), "downloaded": told(None)}
    before = len(Hub.asked)
    told(None, COMMIT)
    found["requests of a pinned commit in the cache"] = len(Hub.asked) - before
    server.shutdown()
    server.server_close()
    found["after the hub is gone"] = told(None)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
