"""How long a server is waited for, and when it is asked again."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import AssistantError, ServerError

TIMEOUT = "ASSISTANT_TIMEOUT"

Value = TypeVar("Value")


@dataclass(frozen=True)
class Patience:
    """Times in seconds: to reach a server, of its silence, of a whole answer, of the waits in between.

    A request is sent `attempts` times at most, with waits that double, up to `longest_wait`. A server that
    says how long to wait (Retry-After) is believed up to `longest_asked_wait`.
    """

    connect: float = 10.0
    silence: float = 180.0
    answer: float = 900.0
    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_asked_wait: float = 60.0

    @classmethod
    def from_environment(cls) -> Patience:
        """Return the usual patience, with the silence that ASSISTANT_TIMEOUT says.

        Raises:
            AssistantError: it says no number of seconds.
        """
        said = os.environ.get(TIMEOUT)
        if not said:
            return cls()
        try:
            seconds = float(said)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise AssistantError(f"{TIMEOUT} is {said!r}: give a number of seconds, such as 300")
        return cls(connect=min(cls.connect, seconds), silence=seconds, answer=max(cls.answer, 5 * seconds))

    def wait(self, attempt: int, error: TransientServerError, chance: float) -> float | None:
        """Return how long to wait after a failed attempt, counted from 1; None where to give up.

        `chance` (0..1) spreads those who failed together.
        """
        if attempt >= self.attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest_asked_wait else None
        longest: float = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        return longest * (0.5 + chance / 2)


class TransientServerError(ServerError):
    """What may be over when it is tried again; `retry_after` is the wait in seconds that is asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


async def persistently(patience: Patience, attempt: Callable[[], Awaitable[Value]]) -> Value:
    """Return what an attempt comes to, tried again while that makes sense.

    Raises:
        ServerError: the last attempt's, which says how often it was tried.
    """
    number = 1
    while True:
        try:
            return await attempt()
        except TransientServerError as error:
            wait = patience.wait(number, error, random.random())
            if wait is None:
                raise ServerError(_told(error, number)) from error
        await asyncio.sleep(wait)
        number += 1


def _told(error: TransientServerError, attempts: int) -> str:
    if error.retry_after is not None and attempts == 1:
        return f"{error}; it asks to wait {error.retry_after:.0f} s: try again then"
    return f"{error} (tried {attempts} times)" if attempts > 1 else str(error)


__all__ = ["TIMEOUT", "Patience", "TransientServerError", "persistently"]
