"""Progress of a tool call: the answer while the model generates it.

LangChain's callbacks receive it as the custom event `EVENT` (`on_custom_event`, `astream_events`), and a
LangGraph graph streams it in mode `custom`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import dispatch_custom_event
from langchain_core.runnables import RunnableConfig, ensure_config

from ..vlm.answers import Generation, Request
from ..vlm.engine.base import Engine, EngineWrapper, GenerationListener
from ..vlm.grounding import parse

EVENT = "assistant_progress"
"""The name of the custom event; its data, also in a graph's stream, is `{"tool": name, "text": so far}`."""

SHOULD_STOP = "should_stop"
"""The key in `config["configurable"]` of a function that returns whether to stop generating."""


class Progress:
    """Reports the progress of one call; a `GenerationListener`."""

    def __init__(self, tool: str, config: RunnableConfig) -> None:
        self._tool = tool
        self._should_stop = config.get("configurable", {}).get(SHOULD_STOP)
        self._write = _stream_writer()

    def report(self, text: str) -> None:
        """Report the text so far; an empty text means that the call has started."""
        event = {"tool": self._tool, "text": text}
        if getattr(ensure_config().get("callbacks"), "handlers", None):
            dispatch_custom_event(EVENT, event)
        if self._write is not None:
            self._write(event)

    def on_text(self, request: int, raw: str) -> None:  # noqa: ARG002
        """Report the model's text so far, without markup."""
        self.report(parse(raw).text)

    def should_stop(self) -> bool:
        """Return whether the caller no longer wants the answer."""
        return self._should_stop is not None and bool(self._should_stop())


class ObservedEngine(EngineWrapper):
    """An engine that reports its answers to a default listener."""

    def __init__(self, engine: Engine, listener: GenerationListener) -> None:
        super().__init__(engine)
        self._listener = listener

    def generate(
        self, requests: Sequence[Request], listener: GenerationListener | None = None
    ) -> list[Generation]:
        """Answer requests, reporting to `listener` or else to the default one."""
        return self._engine.generate(requests, listener or self._listener)


def _stream_writer() -> Callable[[Any], None] | None:
    """Return the stream writer of the running graph, None without one."""
    if (langgraph := sys.modules.get("langgraph.config")) is None:
        return None
    try:
        writer: Callable[[Any], None] = langgraph.get_stream_writer()
    except (RuntimeError, KeyError):  # not called by a graph
        return None
    return writer
