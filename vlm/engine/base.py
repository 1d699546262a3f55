"""What the façade wants of an engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ..answers import Generation, Request


class Engine(Protocol):
    """Runs requests; safe to call from several threads."""

    @property
    def name(self) -> str:
        """The model's name, as answers and reports give it."""
        ...

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answer requests of any mix of tasks, in order."""
        ...

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""
        ...


__all__ = ["Engine"]
