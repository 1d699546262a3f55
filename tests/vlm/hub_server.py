"""A local stand-in for the Hugging Face Hub, as far as its client fetches and pushes a model."""

from __future__ import annotations

import base64
import json
import threading
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def do_POST(self) -> None:
        hub, path = self.server.hub, urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._may():
            return
        if path == "/api/repos/create":
            given = json.loads(body)
            name = "/".join(filter(None, (given.get("organization"), given["name"])))
            name = name if "/" in name else f"me/{name}"
            hub.private[name] = given.get("visibility") == "private" or bool(given.get("private"))
            hub.repositories.setdefault(name, {})
            self._json({"url": f"{hub.address}/{name}", "name": name, "id": name})
        elif "/preupload/" in path:
            files = [
                {"path": it["path"], "uploadMode": "regular", "shouldIgnore": False}
                for it in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif "/commit/" in path:
            name = path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    hub.repositories[name][entry["value"]["path"]] = content
            self._json({"commitUrl": f"{hub.address}/{name}/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self._json({"error": f"not in this stand-in: {path}"}, 404)

    def _read(self) -> None:
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        hub.fetched.append(f"{self.command} {path}")
        if not self._may():
            return
        if path.startswith("/api/models/"):
            self._about(path.removeprefix("/api/models/"))
            return
        name, _, rest = path.strip("/").partition("/resolve/")
        content = hub.repositories.get(name, {}).get(rest.partition("/")[2])
        if content is None:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        else:
            self._send(content, 200, {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT})

    def _about(self, rest: str) -> None:
        hub = self.server.hub
        name = next((it for it in hub.repositories if rest == it or rest.startswith(f"{it}/")), None)
        if name is None:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        elif rest.removeprefix(name).startswith("/tree/"):
            files = hub.repositories[name].items()
            self._json(
                [
                    {"type": "file", "path": path, "size": len(it), "oid": sha1(it).hexdigest()}
                    for path, it in files
                ]
            )
        else:
            siblings = [{"rfilename": path} for path in hub.repositories[name]]
            self._json({"id": name, "sha": COMMIT, "siblings": siblings, "private": False})

    def _may(self) -> bool:
        wanted = self.server.hub.token
        if wanted is None or self.headers.get("Authorization") == f"Bearer {wanted}":
            return True
        self._json({"error": "Invalid username or password."}, 401)
        return False

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(
            json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})}
        )

    def _send(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: HubServer


class HubServer:
    """Holds repositories by name, each a mapping of paths to contents; with `token`, only for its bearer."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.fetched: list[str] = []
        self.token: str | None = None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Close the server; its port is free again."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
