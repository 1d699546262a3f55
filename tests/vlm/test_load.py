"""The engine under load: 500 mixed requests of 32 askers, some of which give up or send nonsense."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from assistant.vlm.answers import Request
from assistant.vlm.engine import prefix_cache
from assistant.vlm.engine.batching import Row
from assistant.vlm.engine.local import LocalEngine
from assistant.vlm.errors import ImageError
from assistant.vlm.grounding import Box
from assistant.vlm.tasks import Task, Turn

from .load import ASKERS, REQUESTS, Impatient, broken_picture
from .tiny import picture, tiny_model, tiny_processor

GOOD = [
    Request(task, argument, image=picture(seed))
    for seed in range(6)
    for task, argument in ((Task.REFER, "the dog"), (Task.VQA, "what is it?"), (Task.REFER, "a man"))
] + [
    Request(Task.IDENTIFY, region=Box(1, 2, 30, 40), image=picture(3)),
    Request(Task.CAPTION, image=picture(0)),
    Request(None, "hello"),
    Request(None, "and now?", image=picture(1), history=(Turn("hello", "hi"),)),
]
TOO_LONG = Request(Task.VQA, "dog " * 500, image=picture(0))


def held() -> Counter[str]:
    """Return how many numbers the tensors hold, and how many rows are alive, once no thread decodes."""
    deadline = time.monotonic() + 20
    while any(thread.name == "decoder" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    gc.collect()
    alive: Counter[str] = Counter()
    for it in gc.get_objects():
        if issubclass(type(it), torch.Tensor):
            alive["numbers"] += it.numel()
        alive["rows"] += type(it) is Row
    return alive


@pytest.fixture(scope="module")
def expected() -> list[str]:
    """The answers to the good requests, each asked alone."""
    engine = LocalEngine("tiny", tiny_model(), tiny_processor())
    return [engine.generate([request])[0].raw for request in GOOD]


def test_500_requests_of_32_askers(expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_cache, "KEPT_TOKENS", 256)
    engine = LocalEngine("tiny", tiny_model(), tiny_processor())

    def ask(number: int) -> str:
        index = number % len(GOOD)
        request, answer = GOOD[index], expected[index]
        if number % 10 == 1:
            with pytest.raises(ValueError, match="shorten it"):
                engine.generate([TOO_LONG])
            return "too long"
        if number % 10 == 4:
            with pytest.raises(ImageError, match="incomplete or damaged"):
                engine.generate([Request(Task.CAPTION, image=broken_picture())])
            return "broken"
        if number % 10 == 6:
            stopped = engine.generate([request], Impatient())[0]
            assert answer.startswith(stopped.raw.rstrip("\ufffd"))
            return "stopped"
        if number % 10 == 8:
            stream: Any = engine.stream(request)
            assert answer.startswith(next(stream))
            stream.close()
            return "left"
        assert engine.generate([request])[0].raw == answer
        return "answered"

    def ask_all(numbers: range) -> Counter[str]:
        with ThreadPoolExecutor(ASKERS) as pool:
            return Counter(pool.map(ask, numbers))

    half = REQUESTS // 2
    outcomes = ask_all(range(half))
    before = held()
    outcomes += ask_all(range(half, REQUESTS))
    after = held()
    assert outcomes == {"answered": 300, "too long": 50, "broken": 50, "stopped": 50, "left": 50}
    # The thread that ended last may hold its row still.
    assert max(before["rows"], after["rows"]) <= 1
    assert not engine._decoder._waiting
    assert after["numbers"] < 1.1 * before["numbers"]
    assert [engine.generate([request])[0].raw for request in GOOD] == expected
