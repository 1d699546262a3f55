"""What a tool tells while it works: the answer as it is being written.

It reaches whoever follows the run: LangChain's callbacks as a custom event `EVENT` (`on_custom_event`,
`astream_events`), and a LangGraph graph's stream of mode `custom`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import dispatch_custom_event
from langchain_core.runnables import ensure_config

from ..vlm.answers import Completion, Generation, Request, Written
from ..vlm.engine.base import Engine, GenerationListener
from ..vlm.grounding import parse

EVENT = "assistant_progress"
"""The name of the custom event; its data, and what a graph streams, is `{"tool": name, "text": so far}`."""


class Progress:
    """Tells of one call as it goes on; a `GenerationListener`."""

    def __init__(self, tool: str) -> None:
        self._tool = tool
        self._write = _stream_writer()

    def tell(self, text: str) -> None:
        """Tell the words so far; none means that the work has begun."""
        event = {"tool": self._tool, "text": text}
        if getattr(ensure_config().get("callbacks"), "handlers", None):
            dispatch_custom_event(EVENT, event)
        if self._write is not None:
            self._write(event)

    def heard(self, request: int, raw: str) -> None:  # noqa: ARG002
        """Tell what the model has written so far, without its markup."""
        self.tell(parse(raw).text)

    def wants_stop(self) -> bool:
        """Never: whoever wants no answer any more does not wait for it."""
        return False


class Followed:
    """An engine whose answers are all told to one listener."""

    def __init__(self, engine: Engine, listener: GenerationListener) -> None:
        self._engine = engine
        self._listener = listener

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
        """Answer requests, and have them followed by the one who asks, or by this engine's listener."""
        return self._engine.generate(requests, listener or self._listener)

    def complete(self, completions: Sequence[Completion]) -> list[Written]:
        """Go on with texts."""
        return self._engine.complete(completions)

    def stream(self, request: Request) -> Iterator[str]:
        """Yield the raw answer piece by piece."""
        return self._engine.stream(request)


def _stream_writer() -> Callable[[Any], None] | None:
    """Return what writes to the stream of the graph that runs, None where none does."""
    if (langgraph := sys.modules.get("langgraph.config")) is None:
        return None
    try:
        writer: Callable[[Any], None] = langgraph.get_stream_writer()
    except (RuntimeError, KeyError):  # called by no graph
        return None
    return writer


__all__ = ["EVENT", "Followed", "Progress"]
