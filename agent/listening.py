"""Following a turn while it is worked at, and ending it early."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from .plan import Plan

if TYPE_CHECKING:
    from .turn import StepResult

logger = logging.getLogger(__name__)


class TurnListener(Protocol):
    """Is told of a turn as it goes on; steps are counted from 0."""

    def planned(self, plan: Plan) -> None:
        """Hear what is going to be done."""
        ...

    def heard(self, step: int, raw: str) -> None:
        """Hear all that the model has written for a step so far, markup included."""
        ...

    def finished(self, step: int, result: StepResult) -> None:
        """Hear what a step came to."""
        ...

    def wants_stop(self) -> bool:
        """Return whether the turn is to end here, with what has been said so far."""
        ...


class GuardedListener:
    """A listener whose exceptions do not lose the turn that it listens to.

    After an error of its own it is told nothing more, and the turn goes on. What is no error but an
    interruption (Ctrl-C, a page that is drawn anew) ends the turn; `raise_interruption` raises it again once
    the turn is kept.
    """

    def __init__(self, listener: TurnListener) -> None:
        self._listener = listener
        self._deaf = False
        self._interruption: BaseException | None = None

    def planned(self, plan: Plan) -> None:
        """Pass the plan on."""
        self._guard(lambda: self._listener.planned(plan))

    def heard(self, step: int, raw: str) -> None:
        """Pass on what the model has written."""
        self._guard(lambda: self._listener.heard(step, raw))

    def finished(self, step: int, result: StepResult) -> None:
        """Pass a step's result on."""
        self._guard(lambda: self._listener.finished(step, result))

    def wants_stop(self) -> bool:
        """Return whether the listener wants the turn to end, or was interrupted."""
        return bool(self._guard(self._listener.wants_stop)) or self._interruption is not None

    def raise_interruption(self) -> None:
        """Raise what interrupted the listener, if anything did."""
        if self._interruption is not None:
            raise self._interruption

    def _guard(self, call: Callable[[], bool | None]) -> bool | None:
        if self._deaf:
            return None
        try:
            return call()
        except Exception:
            logger.exception("a listener failed and is told nothing more of its turn")
        except BaseException as interruption:  # raised again by `raise_interruption`
            self._interruption = interruption
        self._deaf = True
        return None


__all__ = ["GuardedListener", "TurnListener"]
