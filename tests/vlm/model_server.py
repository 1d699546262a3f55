"""A real local HTTP server that speaks the OpenAI chat API as correctly or incorrectly as a test asks."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from PIL import Image

Body = dict[str, Any]
Answer = Callable[["Handler", Body], None]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests, the next behaviour of the script first."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.seen.append((self.path, dict(self.headers), {}))
        if owner.at_models is not None:
            owner.at_models(self, {})
        else:
            self.send({"object": "list", "data": [{"id": name, "object": "model"} for name in owner.models]})

    def do_POST(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner.seen.append((self.path, dict(self.headers), body))
        with owner.counting:
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
            behaviour = owner.script.popleft() if owner.script else owner.usually
        try:
            behaviour(self, body)
        except (BrokenPipeError, ConnectionResetError):
            owner.left.set()
        finally:
            with owner.counting:
                owner.at_once -= 1

    def send(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, setting in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, setting)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def event(self, value: Any) -> None:
        data = value if isinstance(value, str) else json.dumps(value)
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: ModelServer


class ModelServer:
    """Serves `models`; each chat request takes a behaviour off `script`, and `usually` when that is empty."""

    def __init__(self, *models: str, usually: Answer | None = None) -> None:
        self.models = models or ("qwen3-vl-4b",)
        self.usually: Answer = usually or says("a dog")
        self.script: deque[Answer] = deque()
        self.at_models: Answer | None = None
        self.seen: list[tuple[str, dict[str, str], Body]] = []
        self.left = threading.Event()
        """Set when a client disconnected before the answer's end."""
        self.counting = threading.Lock()
        self.at_once = self.most_at_once = 0
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def chats(self) -> list[Body]:
        """The bodies of the chat requests."""
        return [body for path, _, body in self.seen if path.endswith("/chat/completions")]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def question(body: Body) -> str:
    """Return the text of the last turn of a chat request."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else str(content[-1]["text"])


def picture(body: Body) -> Image.Image:
    """Return the image of a chat request as the server gets it."""
    (part,) = [part for part in body["messages"][0]["content"] if part["type"] == "image_url"]
    return Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2])))


def pieces(text: str) -> list[str]:
    """Return text in tokens of about the length that a model's have; each digit is one."""
    return re.findall(r"\s?[^\W\d]+|\d|\s|[^\w\s]", text) or [""]


def says(
    text: str | Callable[[Body], str],
    *,
    finish: str = "stop",
    delay: float = 0.0,
    probability: float | None = None,
    streams: bool = True,
) -> Answer:
    """Say a text, in a stream if one is wanted; each token has a `probability` if that is asked for."""

    def answer(handler: Handler, body: Body) -> None:
        answered = text(body) if callable(text) else text
        wanted = probability is not None and body.get("logprobs")
        if not (streams and body.get("stream")):
            time.sleep(delay)
            tokens = _logprobs(pieces(answered), probability) if wanted else None
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": answered},
                "finish_reason": finish,
            }
            handler.send({"id": "1", "object": "chat.completion", "choices": [choice | {"logprobs": tokens}]})
            return
        handler.begin_stream()
        handler.event(_chunk({"role": "assistant", "content": ""}))
        for piece in pieces(answered):
            time.sleep(delay)
            handler.event(_chunk({"content": piece}, _logprobs([piece], probability) if wanted else None))
        handler.event(_chunk({}, finish=finish))
        handler.event("[DONE]")

    return answer


def _chunk(delta: Body, logprobs: Body | None = None, finish: str | None = None) -> Body:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    return {"id": "1", "object": "chat.completion.chunk", "choices": [choice]}


def _logprobs(tokens: list[str], probability: float | None) -> Body:
    from math import log

    log_of = log(probability or 1.0)
    return {
        "content": [
            {"token": token, "logprob": log_of, "bytes": list(token.encode()), "top_logprobs": []}
            for token in tokens
        ]
    }


def fails(status: int, message: str = "no", param: str | None = None, **headers: str) -> Answer:
    """Fail as OpenAI does; underscores in header names become dashes."""

    def answer(handler: Handler, _: Body) -> None:
        error = {"error": {"message": message, "type": "error", "param": param, "code": None}}
        handler.send(error, status, {name.replace("_", "-"): value for name, value in headers.items()})

    return answer


def drops(after: str = "") -> Answer:
    """Send the beginning of an answer and drop the connection."""

    def answer(handler: Handler, _: Body) -> None:
        if after:
            handler.send_response(200)
            handler.send_header("Content-Type", "text/event-stream")
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            event = f"data: {json.dumps(_chunk({'content': after}))}\n\n".encode()
            handler.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            handler.wfile.flush()
            time.sleep(0.05)
        handler.close_connection = True
        with suppress(OSError):
            handler.connection.shutdown(2)

    return answer


def sends(content: bytes, kind: str = "text/html", status: int = 200) -> Answer:
    """Send a body that is not an answer."""
    return lambda handler, _: handler.send(content, status, {"Content-Type": kind})


def streams(*events: Any) -> Answer:
    """Send these events, and no more."""

    def answer(handler: Handler, _: Body) -> None:
        handler.begin_stream()
        for value in events:
            handler.event(value)

    return answer


def is_silent(seconds: float = 30.0) -> Answer:
    """Send nothing, until the client disconnects or for some seconds."""

    def answer(handler: Handler, _: Body) -> None:
        handler.connection.settimeout(seconds)
        with suppress(OSError):
            if handler.connection.recv(1) == b"":
                handler.server.owner.left.set()
        handler.close_connection = True

    return answer


def goes_on_and_on(word: str = "dog ") -> Answer:
    """Stream until the client disconnects."""

    def answer(handler: Handler, _: Body) -> None:
        handler.begin_stream()
        while True:
            handler.event(_chunk({"content": word}))
            time.sleep(0.01)

    return answer
