"""Show an answer on the terminal while the model writes it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ...agent.answer import compose_unfinished
from ...vlm.grounding import parse

if TYPE_CHECKING:
    from ...agent.plan import Plan
    from ...storage import StoredStep


class LiveAnswer:
    """A listener that shows a turn's text so far, clears it at the end, and can stop the turn."""

    def __init__(self, shown: Live) -> None:
        self._shown = shown
        self._texts: dict[int, str] = {}
        self._plan: Plan | None = None
        self.stopping = False

    def on_plan(self, plan: Plan) -> None:
        """Show that the turn has started."""
        self._plan = plan
        self._show()

    def on_text(self, step: int, raw: str) -> None:
        """Show the text of an unfinished step."""
        if self._plan:
            self._texts[step] = compose_unfinished(self._plan.steps[step], parse(raw))
            self._show()

    def on_step(self, step: int, result: StoredStep) -> None:
        """Show the text of a finished step."""
        self._texts[step] = result.text
        self._show()

    def should_stop(self) -> bool:
        """Return whether `stopping` was set."""
        return self.stopping

    def _show(self) -> None:
        self._shown.update(Text(" ".join(filter(None, self._texts.values())) or "…"), refresh=True)


@contextmanager
def live_answer(quiet: bool = False) -> Iterator[LiveAnswer | None]:
    """Show an answer while the model writes it; None if `quiet` or if output is not a terminal."""
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield None
        return
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as shown:
        yield LiveAnswer(shown)


@contextmanager
def stopped_by_ctrl_c(answer: LiveAnswer | None) -> Iterator[None]:
    """Let the first Ctrl-C stop the answer and the second one the program, as usual."""

    def stop(number: int, frame: FrameType | None) -> None:
        if answer is None or answer.stopping:
            signal.default_int_handler(number, frame)
        else:
            answer.stopping = True

    earlier = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
