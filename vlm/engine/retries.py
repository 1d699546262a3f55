"""Timeouts and retries of requests to a server."""

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
class RetryPolicy:
    """Limits in seconds: of connecting, of the silence between chunks, of a whole answer, of waits.

    A request is sent at most `attempts` times, with waits that double up to `longest_wait`. A server's
    Retry-After is followed up to `longest_asked_wait`.
    """

    connect: float = 10.0
    silence: float = 180.0
    answer: float = 900.0
    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_asked_wait: float = 60.0

    @classmethod
    def from_environment(cls) -> RetryPolicy:
        """Return the default policy, with ASSISTANT_TIMEOUT as its `silence`.

        Raises:
            AssistantError: the variable is not a positive number of seconds.
        """
        value = os.environ.get(TIMEOUT)
        if not value:
            return cls()
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            raise AssistantError(f"{TIMEOUT} is {value!r}: give a number of seconds, such as 300")
        return cls(connect=min(cls.connect, seconds), silence=seconds, answer=max(cls.answer, 5 * seconds))

    def wait(self, attempt: int, error: TransientServerError, chance: float) -> float | None:
        """Return the wait after a failed attempt, counted from 1; None to give up.

        `chance` (0..1) is the jitter, which spreads clients that failed together.
        """
        if attempt >= self.attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.longest_asked_wait else None
        longest: float = min(self.first_wait * 2.0 ** (attempt - 1), self.longest_wait)
        return longest * (0.5 + chance / 2)


class TransientServerError(ServerError):
    """An error that a retry may resolve; `retry_after` is the wait in seconds that the server asks for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


async def with_retries(policy: RetryPolicy, attempt: Callable[[], Awaitable[Value]]) -> Value:
    """Return the result of an attempt, retried after transient errors.

    Raises:
        ServerError: the last attempt's error, with the number of attempts.
    """
    number = 1
    while True:
        try:
            return await attempt()
        except TransientServerError as error:
            wait = policy.wait(number, error, random.random())
            if wait is None:
                raise ServerError(_message(error, number)) from error
        await asyncio.sleep(wait)
        number += 1


def _message(error: TransientServerError, attempts: int) -> str:
    if error.retry_after is not None and attempts == 1:
        return f"{error}; try again in {error.retry_after:.0f} s"
    return f"{error} (tried {attempts} times)" if attempts > 1 else str(error)
