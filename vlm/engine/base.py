"""What the façade wants of an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from ..answers import Completion, Generation, Request, Written


class GenerationListener(Protocol):
    """Follows an answer while it is being written; called in the thread that asks."""

    def heard(self, request: int, raw: str) -> None:
        """Take the raw text so far of the request at an index."""
        ...

    def wants_stop(self) -> bool:
        """Whether the answers shall end where they are."""
        ...


class Engine(Protocol):
    """Runs requests; safe to call from several threads."""

    @property
    def name(self) -> str:
        """The model's name, as answers and reports give it."""
        ...

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan."""
        ...

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests of any mix of tasks, in order.

        A listener follows the answers without altering them. When it wants to stop, each answer ends within
        a token or so, holds what was written so far, and is not `complete` unless it was before.
        """
        ...

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        """Go on with texts without a picture, in order.

        Raises:
            ValueError: a text is too long for the model.
        """
        ...

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """An engine that can tell how likely it finds an answer that is given to it."""

    def rank(self, request: Request, choices: Sequence[str]) -> list[float]:
        """Return for each choice how unlikely it is as the answer; the least is the best."""
        ...


def ranker_of(engine: Engine) -> Ranker | None:
    """Return the engine, or the one that it passes on to, if it can rank."""
    while isinstance(engine, EngineWrapper):
        engine = engine.inner
    return engine if isinstance(engine, Ranker) else None


class EngineWrapper:
    """An engine that passes everything on to another; subclasses change what they are for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def inner(self) -> Engine:
        """The engine that everything is passed on to."""
        return self._engine

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.name

    @property
    def plans(self) -> bool:
        """Whether the model has learnt to plan."""
        return self._engine.plans

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests."""
        return self._engine.generate(requests, listener)

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        """Continue texts."""
        return self._engine.complete(completions)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""
        return self._engine.stream(request)


__all__ = ["Engine", "EngineWrapper", "GenerationListener", "Ranker", "ranker_of"]
