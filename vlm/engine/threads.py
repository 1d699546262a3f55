"""Threads that compute in parallel without slowing one another or other programs down.

OpenMP keeps worker threads for every thread that ever computed in parallel. Once there are more of them than
cores, all sleep at the end of every parallel section, and a token takes hundreds of sections.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import ParamSpec, TypeVar

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def spin_briefly() -> None:
    """Make OpenMP's workers spin for 0.1 ms between sections; call it before torch is imported.

    This is enough between the sections of one token. By default they spin for 3 ms, which on a busy machine
    takes time from the threads that they wait for. `GOMP_SPINCOUNT` overrides it.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def own_thread(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Run a function in a thread of its own, which ends with it together with its workers."""

    @wraps(function)
    def run(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Result:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(function, *arguments, **options).result()

    return run
