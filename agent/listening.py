"""Follow a turn while it runs, and stop it early."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from ..storage import StoredStep
from .plan import Plan

logger = logging.getLogger(__name__)


class TurnListener(Protocol):
    """Receives the events of a running turn; steps count from 0."""

    def on_plan(self, plan: Plan) -> None:
        """Receive the plan."""
        ...

    def on_text(self, step: int, raw: str) -> None:
        """Receive everything that the model has written for a step so far, markup included."""
        ...

    def on_step(self, step: int, result: StoredStep) -> None:
        """Receive the result of a step."""
        ...

    def should_stop(self) -> bool:
        """Return whether to stop the turn now and keep the partial answer."""
        ...


class GuardedListener:
    """Wraps a listener so that its exceptions do not lose the turn.

    After an error the listener receives no more events, and the turn continues. An interruption (Ctrl-C, a
    rerun of the page) stops the turn; `raise_interruption` raises it again after the turn is saved.
    """

    def __init__(self, listener: TurnListener) -> None:
        self._listener = listener
        self._failed = False
        self._interruption: BaseException | None = None

    def on_plan(self, plan: Plan) -> None:
        """Forward the plan."""
        self._guard(lambda: self._listener.on_plan(plan))

    def on_text(self, step: int, raw: str) -> None:
        """Forward the text so far."""
        self._guard(lambda: self._listener.on_text(step, raw))

    def on_step(self, step: int, result: StoredStep) -> None:
        """Forward a step's result."""
        self._guard(lambda: self._listener.on_step(step, result))

    def should_stop(self) -> bool:
        """Return whether the listener wants to stop or was interrupted."""
        return bool(self._guard(self._listener.should_stop)) or self._interruption is not None

    def raise_interruption(self) -> None:
        """Raise the interruption that the listener caught, if any."""
        if self._interruption is not None:
            raise self._interruption

    def _guard(self, call: Callable[[], bool | None]) -> bool | None:
        if self._failed:
            return None
        try:
            return call()
        except Exception:
            logger.exception("a listener failed and receives no more events of this turn")
        except BaseException as interruption:  # raised again by `raise_interruption`
            self._interruption = interruption
        self._failed = True
        return None
