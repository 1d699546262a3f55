"""A scripted model for tests of everything above the engine; needs no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from assistant.vlm.answers import Completion, Continuation, Generation, Request
from assistant.vlm.engine.base import GenerationListener
from assistant.vlm.grounding import parse, with_scores
from assistant.vlm.tasks import Task

from ..plan_writer import PlanWriter

Answer = str | BaseException | Callable[[Request], str]

ANSWERS: dict[Task | None, Answer] = {
    Task.CAPTION: "a dog runs through the snow",
    Task.VQA: "brown",
    Task.REFER: "{<12><30><35><92>}",
    Task.DETECTION: "<p>dogs</p> {<0><10><20><30>}<delim>{<50><60><70><80>}",
    Task.GROUNDING: "<p>a dog</p>{<12><30><35><92>} in <p>the snow</p>{<0><50><100><100>}",
    Task.IDENTIFY: "brown dog",
    None: "Hello.",
}


class ScriptedEngine:
    """Answers each task with its raw text, or raises its exception; records every request.

    Every box gets `score`.
    """

    def __init__(
        self, answers: Mapping[Task | None, Answer] | None = None, score: float | None = 0.83
    ) -> None:
        self.answers: dict[Task | None, Answer] = {**ANSWERS, **(answers or {})}
        self.score = score
        self.seconds_per_word = 0.0  # with a listener
        self.requests: list[Request] = []

    plans = True

    @property
    def name(self) -> str:
        return "scripted"

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        return PlanWriter().complete(completions)

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        answers = [self._answer(request) for request in requests]
        if listener is None:
            return answers
        return [self._stream_words(index, answer, listener) for index, answer in enumerate(answers)]

    def stream(self, request: Request) -> Iterator[str]:
        yield from self._answer(request).raw.split(" ")

    def _answer(self, request: Request) -> Generation:
        self.requests.append(request)
        assert request.turns  # like a real engine: raises ValueError if the request has no prompt
        answer = self.answers[request.task]
        if isinstance(answer, BaseException):
            raise answer
        grounded = parse(answer(request) if callable(answer) else answer)
        return Generation(with_scores(grounded, [self.score] * len(grounded.boxes)), seconds=0.01)

    def _stream_words(self, index: int, answer: Generation, listener: GenerationListener) -> Generation:
        """Send the answer to the listener word by word until it stops."""
        words = answer.raw.split(" ")
        for count in range(1, len(words) + 1):
            if listener.should_stop():
                return Generation(parse(" ".join(words[: count - 1])), answer.seconds, complete=False)
            time.sleep(self.seconds_per_word)
            listener.on_text(index, " ".join(words[:count]))
        return answer
