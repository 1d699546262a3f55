"""An event loop in a thread of its own, for callers that are not coroutines."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

from .base import GenerationListener

# How often a waiting caller wakes up, in seconds.
POLL_SECONDS = 0.05

Value = TypeVar("Value")


class EventLoop:
    """Runs coroutines in a daemon thread, which ends when this is closed or no longer referenced."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name=name, daemon=True)
        self._thread.start()
        self._stop = weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)
        self._stop.atexit = False

    def submit(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        """Start a coroutine, and return its future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run a coroutine and return its result."""
        return self.submit(work).result()

    def wait(
        self,
        work: Future[Value],
        listener: GenerationListener | None,
        notify: Callable[[], None] = lambda: None,
    ) -> Value | None:
        """Wait for a result, calling `notify` meanwhile; return None if a listener stopped the work."""
        try:
            while not work.done():
                with suppress(TimeoutError):
                    work.exception(POLL_SECONDS)
                notify()
                if listener and not work.done() and listener.should_stop():
                    return None
            return work.result()
        except CancelledError:
            return None
        finally:
            work.cancel()

    def close(self) -> None:
        """End the thread; nothing can be run afterwards."""
        self._stop()
        self._thread.join()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
