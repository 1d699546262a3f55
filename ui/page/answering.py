"""Answer a question in a background thread that the page polls.

Clicks and a closed tab therefore lose no answer, and a stopped one keeps its text so far. This module does
not depend on Streamlit.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

from assistant.agent.listening import TurnListener
from assistant.agent.plan import Plan
from assistant.storage import StoredStep, StoredTurn
from assistant.vlm.grounding import GroundedPhrase, parse
from assistant.vlm.tasks import Task

logger = logging.getLogger(__name__)

# Other tasks may zoom in and write boxes relative to a crop.
_WHOLE_IMAGE_TASKS = (Task.DETECTION, Task.GROUNDING)

# An unfinished tag or box at the end of the text so far.
_UNFINISHED_MARKUP = re.compile(r"(?:\{[^}]*|<[^>]*)\Z")

# Of all visitors.
_in_flight: set[Answering] = set()


def in_flight() -> int:
    """Return the number of running answers, of all visitors."""
    return len(_in_flight)


@contextmanager
def _counted(answering: Answering) -> Iterator[None]:
    _in_flight.add(answering)
    try:
        yield
    finally:
        _in_flight.discard(answering)


class Answering:
    """Runs `ask` with itself as the listener and reports progress; thread-safe."""

    def __init__(self, ask: Callable[[TurnListener], StoredTurn]) -> None:
        self.plan: Plan | None = None
        """The plan of the turn, None until the planner is done."""
        self._texts: dict[int, str] = {}
        self._phrases: dict[int, tuple[GroundedPhrase, ...]] = {}
        self._stop = threading.Event()
        self._outcome: Future[StoredTurn] = Future()
        threading.Thread(target=self._run, args=(ask,), daemon=True).start()

    def _run(self, ask: Callable[[TurnListener], StoredTurn]) -> None:
        try:
            with _counted(self):
                turn = ask(self)
        except BaseException as error:  # `outcome` raises it
            logger.info("no answer", extra={"reason": type(error).__name__})
            self._outcome.set_exception(error)
        else:
            logger.info("answered", extra=_facts(turn))
            self._outcome.set_result(turn)

    # --- for the page --------------------------------------------------------------------------------------

    @property
    def words(self) -> str:
        """The text so far, without markup."""
        return " ".join(filter(None, self._texts.copy().values()))

    @property
    def phrases(self) -> tuple[GroundedPhrase, ...]:
        """The phrases found in the whole image so far, one box each."""
        phrases = [phrase for found in self._phrases.copy().values() for phrase in found]
        return tuple(replace(phrase, boxes=(box,)) for phrase in phrases for box in phrase.boxes)

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the answer and keep its text so far."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` and return whether the answer is done."""
        try:
            self._outcome.exception(seconds)
        except TimeoutError:
            return False
        return True

    def outcome(self) -> StoredTurn:
        """Return the stored turn, or raise the error that ended it."""
        return self._outcome.result()

    def made_session(self) -> str | None:
        """Wait for the end and return the session of the stored turn, None if the turn failed."""
        return None if self._outcome.exception() else self._outcome.result().session_id

    # --- as a listener -------------------------------------------------------------------------------------

    def on_plan(self, plan: Plan) -> None:
        """Record the plan."""
        self.plan = plan

    def on_text(self, step: int, raw: str) -> None:
        """Record the text and boxes of an unfinished step."""
        so_far = parse(_UNFINISHED_MARKUP.sub("", raw))
        self._texts[step] = so_far.text.strip()
        if (
            self.plan
            and self.plan.steps[step].task in _WHOLE_IMAGE_TASKS
            and not self.plan.steps[step].region
        ):
            self._phrases[step] = tuple(phrase for phrase in so_far.phrases if phrase.boxes)

    def on_step(self, step: int, result: StoredStep) -> None:
        """Record the text of a finished step."""
        self._texts[step] = result.text

    def should_stop(self) -> bool:
        """Return whether `stop` was called."""
        return self.is_stopping


def _facts(turn: StoredTurn) -> dict[str, object]:
    """Return the fields of a turn for the log, without any text of people or models."""
    return {
        "session": turn.session_id,
        "turn": turn.number,
        "model": turn.model,
        "seconds": round(turn.seconds, 3),
        "tasks": [step.name for step in turn.steps],
        "stopped": turn.stopped,
    }
