"""An answer on the terminal while it is being written."""

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
    from ...agent.turn import StepResult


class LiveAnswer:
    """Follows a turn and shows its words so far, which vanish once it is done; can be told to stop it."""

    def __init__(self, shown: Live) -> None:
        self._shown = shown
        self._said: dict[int, str] = {}
        self._plan: Plan | None = None
        self.stopping = False

    def planned(self, plan: Plan) -> None:
        """Show that work is going on."""
        self._plan = plan
        self._show()

    def heard(self, step: int, raw: str) -> None:
        """Show what can be said of a step that is not done yet."""
        if self._plan:
            self._said[step] = compose_unfinished(self._plan.steps[step], parse(raw))
            self._show()

    def finished(self, step: int, result: StepResult) -> None:
        """Show what a step came to."""
        self._said[step] = result.text
        self._show()

    def wants_stop(self) -> bool:
        """Return whether it was told to stop."""
        return self.stopping

    def _show(self) -> None:
        self._shown.update(Text(" ".join(filter(None, self._said.values())) or "…"), refresh=True)


@contextmanager
def live_answer(quiet: bool = False) -> Iterator[LiveAnswer | None]:
    """Show an answer while it is written where a person reads along: not in a pipe or a file."""
    if quiet or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield None
        return
    console = Console(stderr=True)
    with Live(console=console, transient=True, auto_refresh=False, redirect_stdout=False) as shown:
        yield LiveAnswer(shown)


@contextmanager
def stopped_by_ctrl_c(answer: LiveAnswer | None) -> Iterator[None]:
    """Let the first Ctrl-C stop an answer and the second one, as ever, the program."""

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


__all__ = ["LiveAnswer", "live_answer", "stopped_by_ctrl_c"]
