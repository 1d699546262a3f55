"""A model on a server that speaks the OpenAI chat API, or Moondream's own.

The dialect reads the server's text, and answers come out in our own box format, `raw` included; the server's
original text goes to the log.
"""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..answers import Completion, Continuation, Generation, Request
from ..errors import AssistantError, ServerError
from ..generation_options import GenerationOptions
from ..grounding import GroundedText
from ..pictures import as_seen
from ..tasks import BOX_TASKS
from .address import Address, read_address
from .base import EngineWrapper, GenerationListener
from .dialects.base import Dialect, LabelledBox, Reading, Size
from .dialects.plain import PLAIN
from .dialects.registry import dialect_named, dialect_of
from .dialects.translation import to_grounded_text
from .event_loop import POLL_SECONDS, EventLoop
from .image_urls import data_url
from .retries import RetryPolicy
from .server import Server, ServerReply
from .zoom import ZoomRefiner

logger = logging.getLogger(__name__)

# The most requests sent to a server at once; a small server queues some of them.
_MAX_CONCURRENT = 8


class RemoteEngine:
    """Asks a model server; zooms in on small referents if the model is ours.

    Zooming was measured for models that see an image at 224 to 448 pixels, as ours do. Others see more
    detail, zooming was never measured on them, and it would cost three requests for one answer.
    """

    def __init__(self, address: Address, policy: RetryPolicy | None = None, *, zoom: bool = True) -> None:
        """Prepare for an address, without contacting it yet; with `zoom`, a model of ours zooms in.

        Raises:
            AssistantError: the dialect does not exist, the client is not installed, or a setting is wrong.
        """
        self._address = address
        self._dialect = dialect_named(address.dialect) if address.dialect else None
        if self._dialect is None and address.model:
            self._dialect = dialect_of(address.model)
        self._loop = EventLoop("model-server")
        self._server = Server(address, policy or RetryPolicy.from_environment())
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)
        self._single_pass = _SinglePass(self)
        self._zooming = ZoomRefiner(self._single_pass) if zoom else self._single_pass

    @classmethod
    def connect(cls, address: str, policy: RetryPolicy | None = None, *, zoom: bool = True) -> RemoteEngine:
        """Return the engine for an address; if the server is not up yet, each request tries again.

        Raises:
            AssistantError: the address is invalid, the client is not installed, or the server has several
                models and the address names none.
        """
        policy = policy or RetryPolicy.from_environment()
        engine = cls(read_address(address), policy, zoom=zoom)
        engine._find_model(replace(policy, attempts=1))
        return engine

    @property
    def name(self) -> str:
        """The address, with the model's name once it is known."""
        return str(self._address)

    @property
    def plans(self) -> bool:
        """Whether the model can plan: no, as a server cannot be constrained to a plan's format."""
        return False

    @property
    def dialect(self) -> Dialect:
        """The model's dialect; the plain one until the model is known."""
        return self._dialect or PLAIN

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests, several at a time.

        Raises:
            ServerError: the server cannot be reached, refuses, or answers something unusable.
            AssistantError: the model has no form for a task.
        """
        self._require_model(listener)
        engine = self._zooming if self.dialect.zooms else self._single_pass
        return engine.generate(requests, listener)

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:  # noqa: ARG002
        """Refuse: a server cannot be constrained to the choices that a completion allows.

        Raises:
            ServerError: always.
        """
        raise ServerError(f"{self.name} only answers questions: let nano plan")

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the answer piece by piece; an answer with boxes, readable only at its end, in one piece."""
        self._require_model(None)
        return self._single_pass.stream(request)

    def close(self) -> None:
        """Close every connection; the engine cannot be used afterwards."""
        self._loop.run(self._server.close())
        self._loop.close()

    # --- which model ---------------------------------------------------------------------------------------

    def _find_model(self, policy: RetryPolicy) -> None:
        """Choose the server's only model; leave it open if the server does not answer yet."""
        if self._address.model or self.dialect.post:
            return
        try:
            self._choose(self._loop.run(_models(self._address, policy)))
        except ServerError:
            logger.info("%s does not list its models yet", self._address.url, exc_info=True)

    def _require_model(self, listener: GenerationListener | None) -> None:
        if self._address.model or self.dialect.post:
            return
        names = self._loop.wait(self._loop.submit(self._server.models()), listener)
        if names is not None:
            self._choose(names)

    def _choose(self, names: Sequence[str]) -> None:
        if len(names) != 1:
            listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
            several = (
                f"serves several models: name one of {listed}"
                if names
                else "does not name its model: name it"
            )
            raise AssistantError(f"{self._address.url} {several}, as {self._address.url}#NAME")
        self._dialect = self._dialect or dialect_of(names[0])
        self._address = replace(self._address, model=names[0])

    # --- asking --------------------------------------------------------------------------------------------

    def _prepare(self, request: Request) -> _PendingRequest:
        """Prepare a request to be sent.

        Raises:
            ValueError: the task's argument or region is missing.
            AssistantError: the model has no form for the task, or the image cannot be read.
        """
        if request.adapter:
            raise AssistantError(
                f"{self.name} has no adapters of ours: name its model for {request.adapter!r}"
            )
        if request.image:
            request = replace(request, image=as_seen(request.image))
        size = self.dialect.sizes(request.image.size) if request.image else (1, 1)
        return _PendingRequest(request, self.dialect.ask(request, size), size)

    async def _answer(self, pending: _PendingRequest, updates: queue.SimpleQueue[int], index: int) -> None:
        def on_update(reply: ServerReply) -> None:
            pending.reply = replace(reply)
            updates.put(index)

        async with self._slots:
            request, image = pending.request, ""
            if request.image:
                lossless = self.dialect.lossless
                image = await asyncio.to_thread(data_url, request.image, pending.size, lossless=lossless)
            if self.dialect.post is not None:
                pending.reading = await self.dialect.post(request, image, self._server.post)
            else:
                on_update(await self._server.chat(self._body(pending, image), on_update))
        pending.ended_at = time.perf_counter()
        logger.debug("%s to %r: %s", self.name, pending.prompt, pending.reading or pending.reply.text)

    def _body(self, pending: _PendingRequest, image: str) -> dict[str, Any]:
        dialect, request = self.dialect, pending.request
        body: dict[str, Any] = {
            "model": self._address.model,
            "messages": _messages(dialect, pending, image),
            "max_tokens": dialect.max_tokens(request),
            "temperature": 0,
            **dialect.extras,
            **_options(request.options),
        }
        if request.task in BOX_TASKS:
            body["logprobs"] = True
        schema = dialect.schema(request) if dialect.schema else None
        if schema is not None:
            named = {"name": request.task or "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body


@dataclass
class _PendingRequest:
    """A request in flight: its prompt, the size that its image is sent in, and the reply so far."""

    request: Request
    prompt: str
    size: Size
    reply: ServerReply = field(default_factory=ServerReply)
    reading: Reading | None = None
    ended_at: float | None = None


class _SinglePass(EngineWrapper):
    """Sends each request to the server once."""

    def __init__(self, remote: RemoteEngine) -> None:
        super().__init__(remote)
        self._remote = remote

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        start = time.perf_counter()
        pending = [self._remote._prepare(request) for request in requests]
        updates: queue.SimpleQueue[int] = queue.SimpleQueue()
        loop = self._remote._loop
        work = loop.submit(
            _run_all([self._remote._answer(one, updates, index) for index, one in enumerate(pending)])
        )

        def notify() -> None:
            for index in _drain(updates):
                if listener:
                    listener.on_text(index, self._read(pending[index]).raw)

        loop.wait(work, listener, notify)
        return [self._generation(one, start) for one in pending]

    def stream(self, request: Request) -> Iterator[str]:
        pending = self._remote._prepare(request)
        updates: queue.SimpleQueue[int] = queue.SimpleQueue()
        work = self._remote._loop.submit(self._remote._answer(pending, updates, 0))
        sent = ""
        try:
            while not work.done() or not updates.empty():
                if not _drain(updates, POLL_SECONDS) or (request.task in BOX_TASKS and not work.done()):
                    continue
                text = self._read(pending).raw
                if text.startswith(sent) and text != sent:
                    yield text[len(sent) :]
                    sent = text
            work.result()
            text = self._read(pending).raw
            if text != sent:
                yield text[len(sent) :]
        finally:
            work.cancel()

    def _read(self, pending: _PendingRequest) -> GroundedText:
        """Return the answer so far, in our own format."""
        reading = pending.reading
        if reading is None:
            reading = self._remote.dialect.read(pending.request, pending.reply.text, pending.size)
        scores = [_score(pending.reply, found) for found in reading.found]
        return to_grounded_text(pending.request, reading, scores)

    def _generation(self, pending: _PendingRequest, start: float) -> Generation:
        ended = pending.ended_at
        seconds = (ended or time.perf_counter()) - start
        complete = ended is not None and (pending.reading is not None or pending.reply.complete)
        return Generation(self._read(pending), seconds, complete)


async def _models(address: Address, policy: RetryPolicy) -> list[str]:
    server = Server(address, replace(policy, silence=min(policy.silence, policy.connect)))
    try:
        return await server.models()
    finally:
        await server.close()


async def _run_all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all concurrently; cancel the others when one fails."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _drain(updates: queue.SimpleQueue[int], seconds: float = 0.0) -> list[int]:
    """Return the indices of answers that have grown; wait at most `seconds` for the first."""
    indices: dict[int, None] = {}
    try:
        while True:
            indices[updates.get(timeout=seconds) if seconds and not indices else updates.get_nowait()] = None
    except queue.Empty:
        return list(indices)


def _options(options: GenerationOptions) -> dict[str, Any]:
    """Return the options in the names of the chat API, and of vLLM for what the API lacks.

    Raises:
        AssistantError: there are several beams, which the chat API does not know.
    """
    given: dict[str, Any] = options.given()
    if given.pop("beams", 1) > 1:
        raise AssistantError("a server answers with one beam: leave --beams out")
    length = given.pop("max_new_tokens", None)
    return given if length is None else given | {"max_tokens": length}


def _messages(dialect: Dialect, pending: _PendingRequest, image_url: str) -> list[dict[str, Any]]:
    """Return the conversation, with the image in its first turn."""
    turns = [*dialect.earlier(pending.request), (pending.prompt, None)]
    messages: list[dict[str, Any]] = []
    for index, (user, answer) in enumerate(turns):
        content: Any = user
        if image_url and index == 0:
            image = {"type": "image_url", "image_url": {"url": image_url}}
            content = [image, {"type": "text", "text": user}]
        messages.append({"role": "user", "content": content})
        if answer is not None:
            messages.append({"role": "assistant", "content": answer})
    return messages


def _score(reply: ServerReply, found: LabelledBox) -> float | None:
    """Return the geometric mean of the probabilities of the tokens that spell a box's digits.

    None if the server sends no probabilities, or tokens that do not spell its text.
    """
    if not reply.tokens:
        return None
    start, end = (len(reply.text[:place].encode(errors="replace")) for place in (found.start, found.end))
    spelled = b"".join(token for token, _ in reply.tokens)
    if not spelled.startswith(reply.text.encode(errors="replace")[:end]):
        return None
    logs, offset = [], 0
    for token, log in reply.tokens:
        inside = token[max(start - offset, 0) : max(end - offset, 0)]
        if any(48 <= byte <= 57 for byte in inside):
            logs.append(min(log, 0.0))
        offset += len(token)
    score = math.exp(sum(logs) / len(logs)) if logs else math.nan
    return None if math.isnan(score) else score  # JSON as Python reads it may hold NaN
