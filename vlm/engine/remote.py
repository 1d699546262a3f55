"""A model behind an address: whatever speaks the OpenAI chat API, or Moondream's own.

What the server writes is read in its dialect and comes out in our own language of boxes, `raw` included; the
server's own words go to the log.
"""

from __future__ import annotations

import asyncio
import base64
import io
import logging
import math
import queue
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from PIL import Image

from ..answers import Completion, Generation, Request, Written
from ..errors import AssistantError, ServerError
from ..grounding import GroundedText
from .address import Address, read_address
from .base import GenerationListener
from .dialects.base import BOX_TASKS, Dialect, Found, Reading, Size
from .dialects.plain import PLAIN
from .dialects.registry import dialect_named, dialect_of
from .dialects.translating import translated
from .patience import Patience
from .server import Said, Server
from .zoom import ZoomRefiner

logger = logging.getLogger(__name__)

# How many requests are at a server at once; a small one makes the others wait, in silence.
_AT_ONCE = 8
# How often a waiting asker looks up, and how often at most an answer that grows is read, in seconds.
_PATIENCE = 0.05
_JPEG_QUALITY = 92

Value = TypeVar("Value")


class RemoteEngine:
    """Asks a model server; small things are looked at again where the model is ours.

    The closer look was measured for models that see a picture at 224 or 448 pixels, as ours do. Others see
    more detail, the look was never measured on them, and it would cost three requests for one answer.
    """

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        """Take an address without asking there yet.

        Raises:
            AssistantError: there is no such dialect, the client is not installed, or a setting is wrong.
        """
        self._address = address
        self._dialect = dialect_named(address.dialect) if address.dialect else None
        if self._dialect is None and address.model:
            self._dialect = dialect_of(address.model)
        self._loop = _Loop()
        self._server = self._loop.run(_made(address, patience or Patience.from_environment()))
        self._room = self._loop.run(_semaphore(_AT_ONCE))
        self._once = _OneLook(self)
        self._zooming = ZoomRefiner(self._once)

    @classmethod
    def connect(cls, address: str, patience: Patience | None = None) -> RemoteEngine:
        """Return the engine for an address; a server that is not there yet is asked again with each request.

        Raises:
            AssistantError: it is no address, the client is not installed, or several models are served there
                and none is named.
        """
        wanted = patience or Patience.from_environment()
        engine = cls(read_address(address), wanted)
        engine._find_model(replace(wanted, attempts=1))
        return engine

    @property
    def name(self) -> str:
        """The address, with the model's name as soon as it is known."""
        return str(self._address)

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan: never, as a server cannot be held to a plan's form."""
        return False

    @property
    def dialect(self) -> Dialect:
        """How the model is asked and read; the plain one until it is known which model it is."""
        return self._dialect or PLAIN

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests, several at a time.

        Raises:
            ServerError: the server cannot be reached, refuses, or answers what is no answer.
            AssistantError: the model has no form for a task.
        """
        self._require_model(listener)
        engine = self._zooming if self.dialect.zooms else self._once
        return engine.generate(requests, listener)

    def complete(self, completions: Sequence[Completion]) -> list[Written]:  # noqa: ARG002
        """Refuse: a server cannot be held to the choices that a completion allows.

        Raises:
            ServerError: always.
        """
        raise ServerError(f"{self.name} answers questions alone: have nano plan")

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the answer piece by piece; one with boxes, which takes form at its end, in one piece."""
        self._require_model(None)
        return self._once.stream(request)

    def close(self) -> None:
        """Close every connection; the engine is not to be used again."""
        self._loop.run(self._server.close())
        self._loop.close()

    # --- which model ---------------------------------------------------------------------------------------

    def _find_model(self, patience: Patience) -> None:
        """Take the only model of the server; leave it open where the server does not tell."""
        if self._address.model or self.dialect.post:
            return
        try:
            self._choose(self._loop.run(_models(self._address, patience)))
        except ServerError:
            logger.info("%s does not tell its models yet", self._address.url, exc_info=True)

    def _require_model(self, listener: GenerationListener | None) -> None:
        if self._address.model or self.dialect.post:
            return
        names = self._loop.wait(self._loop.submit(self._server.models()), listener)
        if names is not None:
            self._choose(names)

    def _choose(self, names: Sequence[str]) -> None:
        if len(names) != 1:
            told = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            several = (
                f"serves several models: name one of {told}" if names else "does not name its model: name it"
            )
            raise AssistantError(f"{self._address.url} {several}, as {self._address.url}#NAME")
        self._dialect = self._dialect or dialect_of(names[0])
        self._address = replace(self._address, model=names[0])

    # --- asking --------------------------------------------------------------------------------------------

    def _prepared(self, request: Request) -> _Asked:
        """Return a request made ready to be sent.

        Raises:
            ValueError: the task lacks the argument or the region that it cannot do without.
            AssistantError: the model has no form for the task.
        """
        size = self.dialect.sizes(request.image.size) if request.image else (1, 1)
        return _Asked(request, self.dialect.ask(request, size), size)

    async def _answer(self, asked: _Asked, heard: queue.SimpleQueue[int], index: int) -> None:
        def hear(said: Said) -> None:
            asked.said = replace(said)
            heard.put(index)

        async with self._room:
            request = asked.request
            picture = await asyncio.to_thread(_data_url, request.image, asked.size) if request.image else ""
            if self.dialect.post is not None:
                asked.reading = await self.dialect.post(request, picture, self._server.post)
            else:
                hear(await self._server.chat(self._body(asked, picture), hear))
        asked.ended_at = time.perf_counter()
        logger.info("%s to %r: %s", self.name, asked.words, asked.reading or asked.said.text)

    def _body(self, asked: _Asked, picture: str) -> dict[str, Any]:
        dialect, request = self.dialect, asked.request
        body: dict[str, Any] = {
            "model": self._address.model,
            "messages": _messages(dialect, asked, picture),
            "max_tokens": dialect.max_tokens(request),
            "temperature": 0,
            **dialect.extras,
        }
        if request.task in BOX_TASKS:
            body["logprobs"] = True
        schema = dialect.schema(request) if dialect.schema else None
        if schema is not None:
            named = {"name": request.task or "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body


@dataclass
class _Asked:
    """A request on its way: its words, the size that its picture is sent in, and what came back so far."""

    request: Request
    words: str
    size: Size
    said: Said = field(default_factory=Said)
    reading: Reading | None = None
    ended_at: float | None = None


class _OneLook:
    """Asks the server once for each request."""

    def __init__(self, remote: RemoteEngine) -> None:
        self._remote = remote

    @property
    def name(self) -> str:
        return self._remote.name

    @property
    def plans(self) -> bool:
        return self._remote.plans

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        return self._remote.complete(completions)

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        start = time.perf_counter()
        answers = [self._remote._prepared(request) for request in requests]
        heard: queue.SimpleQueue[int] = queue.SimpleQueue()
        loop = self._remote._loop
        work = loop.submit(
            _together([self._remote._answer(asked, heard, at) for at, asked in enumerate(answers)])
        )

        def tell() -> None:
            for index in _distinct(heard):
                if listener:
                    listener.heard(index, self._read(answers[index]).raw)

        loop.wait(work, listener, tell)
        return [self._generation(asked, start) for asked in answers]

    def stream(self, request: Request) -> Iterator[str]:
        asked = self._remote._prepared(request)
        heard: queue.SimpleQueue[int] = queue.SimpleQueue()
        work = self._remote._loop.submit(self._remote._answer(asked, heard, 0))
        said = ""
        try:
            while not work.done() or not heard.empty():
                if not _distinct(heard, _PATIENCE) or (request.task in BOX_TASKS and not work.done()):
                    continue
                text = self._read(asked).raw
                if text.startswith(said) and text != said:
                    yield text[len(said) :]
                    said = text
            work.result()
            text = self._read(asked).raw
            if text != said:
                yield text[len(said) :]
        finally:
            work.cancel()

    def _read(self, asked: _Asked) -> GroundedText:
        """Return what an answer says so far, in our language."""
        reading = asked.reading
        if reading is None:
            reading = self._remote.dialect.read(asked.request, asked.said.text, asked.size)
        return translated(asked.request, reading, [_score(asked.said, one) for one in reading.found])

    def _generation(self, asked: _Asked, start: float) -> Generation:
        ended = asked.ended_at
        seconds = (ended or time.perf_counter()) - start
        complete = ended is not None and (asked.reading is not None or asked.said.complete)
        return Generation(self._read(asked), seconds, complete)


class _Loop:
    """An event loop in a thread of its own, which does not keep the program from ending."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="model-server", daemon=True).start()

    def submit(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        return self.submit(work).result()

    def wait(
        self, work: Future[Value], listener: GenerationListener | None, tell: Any = lambda: None
    ) -> Value | None:
        """Return what work comes to, or None where a listener wants it stopped, which ends it."""
        try:
            while not work.done():
                with suppress(TimeoutError):
                    work.exception(_PATIENCE)
                tell()
                if listener and not work.done() and listener.wants_stop():
                    return None
            return work.result()
        except CancelledError:
            return None
        finally:
            work.cancel()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _made(address: Address, patience: Patience) -> Server:
    return Server(address, patience)


async def _semaphore(room: int) -> asyncio.Semaphore:
    return asyncio.Semaphore(room)


async def _models(address: Address, patience: Patience) -> list[str]:
    server = Server(address, replace(patience, silence=min(patience.silence, patience.connect)))
    try:
        return await server.models()
    finally:
        await server.close()


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all, or give all up with the first that fails."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _distinct(heard: queue.SimpleQueue[int], seconds: float = 0.0) -> list[int]:
    """Return the indices of answers that have grown, after waiting at most so long for the first."""
    indices: dict[int, None] = {}
    try:
        while True:
            indices[heard.get(timeout=seconds) if seconds and not indices else heard.get_nowait()] = None
    except queue.Empty:
        return list(indices)


def _messages(dialect: Dialect, asked: _Asked, picture: str) -> list[dict[str, Any]]:
    """Return the conversation, the picture standing in its first turn."""
    turns = [*dialect.earlier(asked.request), (asked.words, None)]
    messages: list[dict[str, Any]] = []
    for index, (user, answer) in enumerate(turns):
        content: Any = user
        if picture and index == 0:
            image = {"type": "image_url", "image_url": {"url": picture}}
            content = [image, {"type": "text", "text": user}]
        messages.append({"role": "user", "content": content})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
    return messages


def _data_url(image: Image.Image, size: Size) -> str:
    """Return a picture as a JPEG in a data URL, in a size."""
    seen = image.convert("RGB")
    if seen.size != size:
        seen = seen.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    seen.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _score(said: Said, found: Found) -> float | None:
    """Return the geometric mean of the probabilities of the tokens that spell a box's digits.

    None where the server gives no probabilities, or its tokens are not those of its text.
    """
    if not said.tokens:
        return None
    start, end = (len(said.text[:place].encode(errors="replace")) for place in (found.start, found.end))
    spelt = b"".join(token for token, _ in said.tokens)
    if not spelt.startswith(said.text.encode(errors="replace")[:end]):
        return None
    logs, at = [], 0
    for token, log in said.tokens:
        inside = token[max(start - at, 0) : max(end - at, 0)]
        if any(48 <= sign <= 57 for sign in inside):
            logs.append(min(log, 0.0))
        at += len(token)
    return math.exp(sum(logs) / len(logs)) if logs else None


__all__ = ["RemoteEngine"]
