"""Settings of every test: one thread, no network, no deadline for a generated example, Ctrl-C as usual."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

from assistant.tests.postgresql import empty_postgresql, postgresql_url

# Tiny models are slowed down by a second thread. Set before torch is imported, which most tests do without.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("assistant", deadline=None)
settings.load_profile("assistant")


# Under `nohup`, or a runner that ignores it, SIGINT stays ignored here and in every process that a test
# starts; a handler of our own goes back to the default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser's tests last: Playwright keeps an event loop running, in which no other can start."""
    items.sort(key=lambda item: "page" in item.path.parts)


__all__ = ["empty_postgresql", "postgresql_url"]
