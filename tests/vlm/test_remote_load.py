"""A model's server under load: 500 mixed requests of 32 askers, some of which give up or send nonsense."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from assistant.vlm.answers import Request
from assistant.vlm.engine import remote
from assistant.vlm.engine.remote import RemoteEngine
from assistant.vlm.engine.retries import RetryPolicy
from assistant.vlm.engine.server import Server, ServerReply
from assistant.vlm.errors import ImageError, ServerError
from assistant.vlm.tasks import Task, Turn

from .load import ASKERS, REQUESTS, Impatient, broken_picture
from .model_server import Body, Handler, ModelServer, fails, goes_on_and_on, picture, question, says

QUICK = RetryPolicy(connect=20, silence=60, answer=120, first_wait=0.01, longest_wait=0.02)
GREYS = range(0, 250, 50)


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (320, 240), (level, level, level))


def level_of(image: Image.Image) -> int:
    """Return the level of a grey image after JPEG."""
    return round(image.convert("L").getpixel((9, 9)) / 50) * 50  # type: ignore[operator]


GOOD = [
    *((Request(Task.VQA, "it", image=grey(level)), f"grey {level}") for level in GREYS),
    *(
        (Request(Task.REFER, "it", image=grey(level)), f"{{<{level // 10}><10><{level // 10 + 50}><90>}}")
        for level in GREYS
    ),
    (Request(None, "hello"), "you said hello"),
    (Request(None, "and now?", image=grey(50), history=(Turn("hello", "hi"),)), "grey 50"),
]
"""Requests with their right answers, which depend on both question and image."""


def _reply(body: Body) -> str:
    words = question(body)
    if isinstance(body["messages"][0]["content"], str):
        return f"you said {words}"
    level = level_of(picture(body))
    box = f'[{{"bbox_2d": [{level}, 100, {level + 500}, 900], "label": "it"}}]'
    return box if "bbox_2d" in words else f"grey {level}"


def behave() -> Callable[[Handler, Body], None]:
    """Answer rightly, refuse what is too long, go on where asked to, and be busy for each ninth request."""
    count = itertools.count()

    def answer(handler: Handler, body: Body) -> None:
        words = question(body)
        if "too long" in words:
            fails(400, "this model's maximum context length is 2048 tokens")(handler, body)
        elif "go on" in words:
            goes_on_and_on()(handler, body)
        elif next(count) % 9 == 0:
            fails(429, "busy", Retry_After="0")(handler, body)
        else:
            says(_reply)(handler, body)

    return answer


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(usually=behave()) as served:
        yield served


def ask(engine: RemoteEngine, number: int) -> str:
    """Ask one of the questions, and return what came of it."""
    request, right = GOOD[number % len(GOOD)]
    match number % 10:
        case 1:
            with pytest.raises(ServerError, match="maximum context length"):
                engine.generate([Request(None, "too long " * 500)])
            return "too long"
        case 4:
            with pytest.raises(ImageError, match="incomplete or damaged"):
                engine.generate([Request(Task.CAPTION, image=broken_picture())])
            return "broken"
        case 6:
            (stopped,) = engine.generate([Request(None, "go on")], Impatient())
            assert stopped.raw.startswith("dog")
            assert not stopped.complete
            return "stopped"
        case 8:
            stream: Any = engine.stream(Request(None, "go on"))
            assert next(stream).startswith("dog")
            stream.close()
            return "left"
        case _:
            (answer,) = engine.generate([request])
            assert answer.raw == right
            return "answered"


def engine_threads() -> list[threading.Thread]:
    return [it for it in threading.enumerate() if it.name.startswith(("model-server", "asyncio_"))]


def settle(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def requests_alive() -> int:
    gc.collect()
    return sum(type(it) is remote._PendingRequest for it in gc.get_objects())


class Chats:
    """Counts the chats in flight in the client: a server is late to notice that a caller is gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at_once = self.most_at_once = 0
        chat = Server.chat

        async def counted(*arguments: Any) -> ServerReply:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                return await chat(*arguments)
            finally:
                self.at_once -= 1

        monkeypatch.setattr(Server, "chat", counted)


def test_500_requests_of_32_askers(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    before, chats = set(engine_threads()), Chats(monkeypatch)
    engine = RemoteEngine.connect(server.address, QUICK)
    outcomes: Counter[str] = Counter()
    threads, alive = [], []
    for half in (range(REQUESTS // 2), range(REQUESTS // 2, REQUESTS)):
        with ThreadPoolExecutor(ASKERS) as pool:
            outcomes += Counter(pool.map(lambda number: ask(engine, number), half))
        settle(lambda: server.at_once == 0)
        threads.append(len(set(engine_threads()) - before))
        alive.append(requests_alive())
    assert outcomes == {"answered": 300, "too long": 50, "broken": 50, "stopped": 50, "left": 50}
    assert 1 < chats.most_at_once <= remote._MAX_CONCURRENT < ASKERS
    assert engine._slots._value == remote._MAX_CONCURRENT
    assert max(alive) <= 1  # the one that ended last may still be on its way out
    assert threads[1] <= threads[0] + 1
    engine.close()
    assert set(engine_threads()) <= before


def test_an_engine_that_nobody_uses_any_more_ends_its_thread(server: ModelServer) -> None:
    before = set(engine_threads())
    engine = RemoteEngine.connect(server.address, QUICK)
    engine.generate([Request(Task.VQA, "it", image=grey(50))])
    assert set(engine_threads()) > before
    del engine
    gc.collect()
    settle(lambda: set(engine_threads()) <= before)
