"""Settings of every test: one thread, no network, no deadline for a generated example, Ctrl-C as usual."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from assistant.tests.postgresql import empty_postgresql, postgresql_url

# Tiny models are slowed down by a second thread. Set before torch is imported, which most tests do without.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("assistant", deadline=None)
# mutmut runs the same tests many times in one process, and must get the same result each time.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.differing_executors],
)
settings.load_profile("assistant")


# Under `nohup`, or a runner that ignores it, SIGINT stays ignored here and in every process that a test
# starts; a handler of our own goes back to the default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)


# What `--fast` leaves out: files that load models, or start processes, servers, a browser or a database.
_SLOW_FOLDERS = ("fuzz", "page", "parity")
_SLOW_IMPORTS = re.compile(
    r"^\s*(?:import|from) (?:torch|subprocess|socket|playwright|streamlit)\b"
    r"|^\s*from \S*\b(?:tiny|processes|terminal|model_server|engine\.language_model) import",
    re.MULTILINE,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`."""
    parser.addoption("--fast", action="store_true", help="leave out what takes long: models, servers, pages")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the slow files out; None leaves the decision to others."""
    if not config.getoption("fast"):
        return None
    if collection_path.is_dir():
        return collection_path.name in _SLOW_FOLDERS or None
    return bool(_SLOW_IMPORTS.search(collection_path.read_text(encoding="utf-8"))) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the browser's tests last: Playwright keeps an event loop running, in which no other can start."""
    items.sort(key=lambda item: "page" in item.path.parts)
    if config.getoption("fast"):
        items[:] = [it for it in items if not {"postgresql", "empty_postgresql"} & _needs(it)]


def _needs(item: pytest.Item) -> set[str]:
    """Return the fixtures of a test, and the kinds of them that it takes."""
    kinds = re.findall(r"\w+", item.name.partition("[")[2])
    return {*getattr(item, "fixturenames", ()), *kinds}


__all__ = ["empty_postgresql", "postgresql_url"]
