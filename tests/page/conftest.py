"""The page with a scripted model: run in this process, or served to a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from PIL import Image, ImageDraw
from playwright.sync_api import Page
from streamlit.testing.v1 import AppTest

from assistant.storage import SessionStore
from assistant.tests.page.browsing import watched
from assistant.tests.ui.fakes import ScriptedEngine
from assistant.ui.commands.page import PAGE
from assistant.ui.page import conversation, resources
from assistant.vlm.vision_language_model import VisionLanguageModel

FLAGS = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")


def png(width: int = 1000, height: int = 800) -> bytes:
    """Return a grey picture with a red square on it."""
    image = Image.new("RGB", (width, height), "#667788")
    ImageDraw.Draw(image).rectangle((200, 160, 500, 480), outline="red", width=6)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def picture() -> bytes:
    return png()


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SessionStore]:
    """The page's store, opened by the test."""
    location = tmp_path / "sessions.db"
    monkeypatch.setenv("ASSISTANT_DB", str(location))
    with SessionStore.open(location) as opened:
        yield opened


@pytest.fixture
def open_page(
    store: SessionStore,  # noqa: ARG001 - sets where the page keeps sessions
    engine: ScriptedEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., AppTest]]:
    """Open the page as a new tab, at a session if one is named."""
    monkeypatch.setattr(resources, "load_model", lambda _: VisionLanguageModel(engine))
    monkeypatch.setattr(conversation, "POLL_SECONDS", 60)  # every run shows its answer
    st.cache_resource.clear()

    def open_tab(session_id: str | None = None) -> AppTest:
        tab = AppTest.from_file(str(PAGE), default_timeout=90)
        if session_id:
            tab.query_params["session"] = session_id
        return tab.run()

    yield open_tab
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's browser."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        warnings.warn("THE PAGE WAS NOT TESTED IN A BROWSER: install chromium", stacklevel=1)
        pytest.skip("THE PAGE WAS NOT TESTED IN A BROWSER: install chromium")
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], chromium: str) -> dict[str, Any]:
    return {
        **browser_type_launch_args,
        "executable_path": chromium,
        "chromium_sandbox": False,
        "args": list(FLAGS),
    }


class Served:
    """The page served by another process; its port and database outlive the process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._folder = folder
        self._environment = {"ASSISTANT_DB": str(folder / "sessions.db"), **environment}
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        script = Path(__file__).with_name("served.py")
        log = self._folder / "log"
        with log.open("wb") as output:
            self._server = subprocess.Popen(
                [sys.executable, str(script), str(self._port)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
            )
        _wait_until_served(self.address, self._server, log)

    def take(self, seconds: float) -> None:
        """Let the model take that long for each batch of tokens; an answer has two."""
        (self._folder / "seconds").write_text(str(seconds))

    def kill(self) -> None:
        """Kill it, like a power cut."""
        self._server.kill()
        self._server.wait(20)


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    chromium: str,  # noqa: ARG001 - without a browser nothing needs to be served
) -> Iterator[Served]:
    """The served page: every browser is a visitor of its own, and sessions may have links."""
    program = Served(tmp_path_factory.mktemp("page"), ASSISTANT_SESSIONS="separate", ASSISTANT_LINKS="1")
    program.start()
    yield program
    program.kill()


@pytest.fixture
def address(served: Served) -> str:
    """The address of the page."""
    return served.address


def _wait_until_served(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(log.read_text())


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    return {**browser_context_args, "reduced_motion": "reduce"}


@pytest.fixture
def tab(page: Page, address: str) -> Iterator[Page]:
    """A new session; fails on errors in the browser and on requests to other hosts."""
    yield from watched(page, address)
