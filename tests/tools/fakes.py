"""A fake engine with fixed answers, and a scripted chat model that calls tools."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall

from assistant.vlm.answers import Completion, Continuation, Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.grounding import parse, with_scores
from assistant.vlm.tasks import Task

from ..plan_writer import PlanWriter

SAMPLES = Path(__file__).parents[2] / "ui" / "samples"

ANSWERS = {
    Task.CAPTION: "a cat on a rug",
    Task.VQA: "brown",
    Task.REFER: "{<10><20><50><100>}",
    Task.DETECTION: "<p>eyes</p> {<10><20><30><40>}<delim>{<50><20><70><40>}",
    Task.GROUNDING: "<p>a cat</p>{<0><0><100><100>} with <p>a nose</p>{<40><40><60><60>}",
    Task.IDENTIFY: "a tabby cat",
}


class FakeEngine:
    """Gives the same answer to each task, with a score of 0.83 to each box; records the requests."""

    name = "fake"
    plans = True

    def __init__(self, answers: dict[Task, str] | None = None, seconds: float = 0.0) -> None:
        self.answers = ANSWERS | (answers or {})
        self.requests: list[Request] = []
        self.failure: Exception | None = None
        self.partial_answers: tuple[str, ...] = ()
        self._seconds = seconds
        self._lock = threading.Lock()

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        if self.failure:
            raise self.failure
        for words in self.partial_answers if listener else ():
            listener.on_text(0, words)
        with self._lock:
            time.sleep(self._seconds)
            self.requests += requests
        return [self._answer(request) for request in requests]

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        return PlanWriter().complete(completions)

    def stream(self, request: Request) -> Iterator[str]:
        yield self._answer(request).raw

    def _answer(self, request: Request) -> Generation:
        grounded = parse(self.answers[request.task or Task.CAPTION])
        return Generation(with_scores(grounded, [0.83] * len(grounded.boxes)), 0.0)


class ScriptedModel(FakeMessagesListChatModel):
    """Answers with the messages of a script; accepts tools like a real model."""

    def bind_tools(self, *_: Any, **__: Any) -> ScriptedModel:
        return self


def calls(*wanted: tuple[str, dict[str, Any]]) -> AIMessage:
    """Return the message of a model that calls these tools at once."""
    made = [
        ToolCall(name=name, args=arguments, id=f"call-{number}", type="tool_call")
        for number, (name, arguments) in enumerate(wanted)
    ]
    return AIMessage("", tool_calls=made)


def script(*messages: BaseMessage) -> ScriptedModel:
    return ScriptedModel(responses=list(messages))
