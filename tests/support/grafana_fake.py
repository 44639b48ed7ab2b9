"""A protocol fake of Grafana's HTTP API over real HTTP: folders, data sources, dashboards, annotations, and its moods.

Rules:
1. It keeps what it is told and answers as the API's documents say; no Grafana server can be had as a package.
2. `moods` are answers that come first, one a request, whatever is asked: what a proxy or a sick server says.
3. `lost` are methods and paths whose first request is taken in and answered 502, as by a proxy that gave up waiting.
"""

from __future__ import annotations

import json
import time
from collections import deque
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, NamedTuple, Self

TOKEN = "glsa_of_a_test"


class Mood(NamedTuple):
    """An answer out of turn."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    wait: float = 0.0
    location: str = ""


class GrafanaFake:
    """The server for the length of a `with` block."""

    def __init__(self) -> None:
        self.folders: dict[str, Any] = {}
        self.datasources: dict[str, Any] = {}
        self.dashboards: dict[str, Any] = {}
        self.annotations: list[Any] = []
        self.moods: deque[Mood] = deque()
        self.lost: set[str] = set()
        self.requests: list[str] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            def answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or b"null")
                fake.requests.append(f"{self.command} {self.path}")
                if fake.moods:
                    mood = fake.moods.popleft()
                elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    mood = Mood(401, b'{"message":"Invalid API key"}')
                else:
                    path = self.path.removeprefix("/grafana")
                    mood = fake.said(self.command, path, body)
                    if f"{self.command} {path}" in fake.lost:
                        fake.lost.remove(f"{self.command} {path}")
                        mood = Mood(502, b"<html>Bad Gateway</html>", "text/html")
                time.sleep(mood.wait)
                with suppress(ConnectionError):  # who asked may have given up meanwhile
                    self.say(mood)

            def say(self, mood: Mood) -> None:
                self.send_response(mood.status)
                self.send_header("Content-Type", mood.content_type)
                self.send_header("Content-Length", str(len(mood.body)))
                if mood.location:
                    self.send_header("Location", mood.location)
                self.end_headers()
                self.wfile.write(mood.body)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 -- the names that http.server asks for

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """Its address, with a path as behind a proxy."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/grafana"

    def said(self, method: str, path: str, body: Any) -> Mood:
        """What the API answers."""
        match method, path.removeprefix("/api").strip("/").split("/"):
            case "GET", ["health"]:
                return _ok({"version": "12.1.0", "database": "ok"})
            case "GET", ["folders", uid]:
                return _ok(self.folders[uid]) if uid in self.folders else _none()
            case "POST", ["folders"] if body["uid"] in self.folders:
                return Mood(412, b'{"message":"a folder with that uid already exists"}')
            case "POST", ["folders"]:
                self.folders[body["uid"]] = body
                return _ok(body)
            case "GET", ["datasources", "uid", uid]:
                known = self.datasources.get(uid)
                return _none() if known is None else _ok({"id": 1, "orgId": 1, "readOnly": False, **known})
            case "GET", ["dashboards", "uid", uid]:
                return _ok(self.shown(uid)) if uid in self.dashboards else _none()
            case "POST", ["datasources"] if body["uid"] in self.datasources:
                return Mood(409, b'{"message":"data source with the same name already exists"}')
            case ("POST", ["datasources"]) | ("PUT", ["datasources", "uid", _]):
                self.datasources[body["uid"]] = body
                return _ok({"datasource": body})
            case "POST", ["dashboards", "db"]:
                if body["folderUid"] not in self.folders:
                    return Mood(400, b'{"message":"folder not found"}')
                uid = body["dashboard"]["uid"]
                self.dashboards[uid] = body
                return _ok({"uid": uid, "url": f"/grafana/d/{uid}", "status": "success"})
            case "POST", ["annotations"]:
                self.annotations.append(body)
                return Mood(204)  # some versions and proxies say nothing
        return _none()

    def shown(self, uid: str) -> Any:
        """A dashboard as it is read again: with what Grafana writes into it, and where it lies."""
        kept = self.dashboards[uid]
        return {"dashboard": {**kept["dashboard"], "id": 7, "version": 3}, "meta": {"folderUid": kept["folderUid"]}}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _ok(body: object) -> Mood:
    return Mood(200, json.dumps(body).encode())


def _none() -> Mood:
    return Mood(404, b'{"message":"not found"}')
