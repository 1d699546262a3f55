"""A question on its way to an answer, in a thread of its own.

The page looks in from time to time. So whatever is clicked meanwhile, or a tab that is closed, loses no
answer, and stopping one keeps what was said. Nothing here knows the page.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from assistant.agent.listening import TurnListener
from assistant.agent.plan import Plan
from assistant.agent.turn import StepResult, TurnResult
from assistant.storage import StoredTurn
from assistant.vlm.grounding import GroundedPhrase, parse
from assistant.vlm.tasks import Task

# Others may look at a part of the picture again, and write the boxes of that.
_OF_THE_WHOLE = (Task.DETECTION, Task.GROUNDING)

Outcome = tuple[StoredTurn, TurnResult]

# The beginning of a tag or of a box, at the end of what has been written so far.
_HALF_WRITTEN = re.compile(r"(?:\{[^}]*|<[^>]*)\Z")


class Answering:
    """Runs `ask`, which is given this as its listener, and tells how far it is; safe between threads."""

    def __init__(self, ask: Callable[[TurnListener], Outcome]) -> None:
        self.plan: Plan | None = None
        """What is being done, None until it is planned."""
        self._said: dict[int, str] = {}
        self._found: dict[int, tuple[GroundedPhrase, ...]] = {}
        self._stop = threading.Event()
        self._outcome: Future[Outcome] = Future()
        threading.Thread(target=self._run, args=(ask,), daemon=True).start()

    def _run(self, ask: Callable[[TurnListener], Outcome]) -> None:
        try:
            self._outcome.set_result(ask(self))
        except BaseException as error:  # whoever wants the outcome gets it
            self._outcome.set_exception(error)

    # --- for the page --------------------------------------------------------------------------------------

    @property
    def words(self) -> str:
        """What has been said so far, without markup."""
        return " ".join(filter(None, self._said.copy().values()))

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """What has been found in the whole picture so far, a box each."""
        phrases = [phrase for found in self._found.copy().values() for phrase in found]
        return tuple(replace(phrase, boxes=(box,)) for phrase in phrases for box in phrase.boxes)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End it with what has been said so far."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Return whether it is done, after at most so many seconds."""
        try:
            self._outcome.exception(seconds)
        except TimeoutError:
            return False
        return True

    def outcome(self) -> Outcome:
        """Return the kept turn and how it came about, or raise what went wrong."""
        return self._outcome.result()

    def made_session(self) -> str | None:
        """Wait for the end and return the session of the kept turn, or None where nothing was kept."""
        return None if self._outcome.exception() else self._outcome.result()[0].session_id

    # --- as a listener -------------------------------------------------------------------------------------

    def planned(self, plan: Plan) -> None:
        """Note what is being done."""
        self.plan = plan

    def heard(self, step: int, raw: str) -> None:
        """Note the words of a step that is not done yet."""
        so_far = parse(_HALF_WRITTEN.sub("", raw))
        self._said[step] = so_far.text.strip()
        if self.plan and self.plan.steps[step].task in _OF_THE_WHOLE and not self.plan.steps[step].region:
            self._found[step] = tuple(phrase for phrase in so_far.phrases if phrase.boxes)

    def finished(self, step: int, result: StepResult) -> None:
        """Note what a step came to."""
        self._said[step] = result.text

    def wants_stop(self) -> bool:
        """Return whether it was told to stop."""
        return self.is_stopping


__all__ = ["Answering", "Outcome"]
