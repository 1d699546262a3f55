"""The interface of an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from ..answers import Completion, Continuation, Generation, Request


class GenerationListener(Protocol):
    """Receives answers as they are generated, in the caller's thread."""

    def on_text(self, request: int, raw: str) -> None:
        """Receive the raw text so far of the request at an index."""

    def should_stop(self) -> bool:
        """Return whether to stop generating."""


class StopOnly:
    """Forwards a listener's wish to stop, but no text."""

    def __init__(self, listener: GenerationListener) -> None:
        self._listener = listener

    def on_text(self, request: int, raw: str) -> None:
        """Drop the text."""

    def should_stop(self) -> bool:
        """Return whether to stop generating."""
        return self._listener.should_stop()


class Engine(Protocol):
    """Runs requests; safe to call from several threads."""

    @property
    def name(self) -> str:
        """The model's name, as shown in answers and reports."""

    @property
    def plans(self) -> bool:
        """Whether the model was trained to plan."""

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests, whose tasks may differ, in order.

        A listener does not change the answers. When it asks to stop, each answer ends within a token or so,
        keeps its text so far, and is not `complete` unless it already was.
        """

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Continue texts, without an image, in order.

        Raises:
            ValueError: a text is too long for the model.
        """

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""


@runtime_checkable
class Ranker(Protocol):
    """An engine that can rank given answers."""

    def rank(self, request: Request, choices: Sequence[str]) -> list[float]:
        """Return a cost for each choice as the answer; the lowest is the best."""


def ranker_of(engine: Engine) -> Ranker | None:
    """Return the engine, or the one that it wraps, if it can rank."""
    while isinstance(engine, EngineWrapper):
        engine = engine.inner
    return engine if isinstance(engine, Ranker) else None


class EngineWrapper:
    """An engine that forwards every call to another; subclasses override what they change."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def inner(self) -> Engine:
        """The wrapped engine."""
        return self._engine

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    @property
    def plans(self) -> bool:
        """Whether the model was trained to plan."""
        return self._engine.plans

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests."""
        return self._engine.generate(requests, listener)

    def complete(self, completions: Sequence[Completion]) -> list[Continuation]:
        """Continue texts."""
        return self._engine.complete(completions)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""
        return self._engine.stream(request)
