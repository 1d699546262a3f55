"""How quick the page is in a browser.

    python benchmarks/page.py --out benchmarks/results/page.json

It needs Chromium, pytest-playwright and the default model. Measured, with the model in memory: from going to
an address to a page drawn whole (a new session, and one with a picture, an answer and its box), and from
pressing Enter to an answer drawn with its box; and how many frames a second are drawn while a picture of 24
megapixels is zoomed.
"""

from __future__ import annotations

import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

from figures import arguments, publish
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

REPEATS = 5
# How long anything may take; loading a model that must be fetched takes longest.
SECONDS = 600
QUESTION = "Where is the cat?"


def main() -> None:
    """Measure, print and keep."""
    options = arguments(__doc__).parse_args()
    with browsed() as (browser, address):
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        begin(page, address)
        picture(page, "Cat")
        ask(page, QUESTION, 1)  # from here on the model is in memory
        session = page.url
        figures = {
            "first_page_seconds": measured(lambda: begin(page, address)),
            "session_seconds": measured(lambda: reopen(page, session)),
            "answer_seconds": measured(lambda: ask_in_new_session(page, address)),
            "zoom_frames_per_second": zoom(page, address),
        }
    publish({"repeats": REPEATS, **figures}, options.out)


def measured(do: Callable[[], float | None]) -> dict[str, float]:
    """Return the median and the longest of some repeats; `do` may tell the seconds itself."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        told = do()
        times.append(time.perf_counter() - start if told is None else told)
    return {"median": round(statistics.median(times), 2), "longest": round(max(times), 2)}


# --- using the page --------------------------------------------------------------------------------------


@contextmanager
def browsed() -> Iterator[tuple[Browser, str]]:
    """Serve the page with a database of its own, and give a browser and the page's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from assistant.ui.cli import main; main()", "ui", "--no-browser"]
        server = subprocess.Popen([*command, f"--port={port}", f"--db={folder}/sessions.db"])
        try:
            _wait(port)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), chromium_sandbox=False
                )
                expect.set_options(timeout=SECONDS * 1000)
                yield browser, f"http://127.0.0.1:{port}"
                browser.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def _wait(port: int) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.25)
    raise SystemExit("the page is not served")


def begin(page: Page, address: str) -> None:
    """Go to a new session, until all of it is drawn."""
    page.goto(address)
    expect(page.get_by_role("button", name="Rocket", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stChatInput")).to_be_visible()
    settled(page)


def picture(page: Page, name: str) -> None:
    """Take a sample photo."""
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("application")).to_be_visible()
    settled(page)


def ask(page: Page, message: str, number: int) -> None:
    """Ask, and wait for the answer of turn `number`."""
    field = page.get_by_test_id("stChatInput").locator("textarea")
    expect(field).to_be_enabled()
    field.fill(message)
    while field.input_value():  # nothing is sent while the page is being drawn
        field.press("Enter")
        page.wait_for_timeout(100)
    expect(page.get_by_test_id("stFeedback")).to_have_count(number)
    settled(page)


def ask_in_new_session(page: Page, address: str) -> float:
    """Ask in a new session, and return how many seconds the answer took to be drawn."""
    begin(page, address)
    picture(page, "Cat")
    start = time.perf_counter()
    ask(page, QUESTION, 1)
    expect(page.locator(".box")).to_have_count(1)
    return time.perf_counter() - start


def reopen(page: Page, session: str) -> None:
    """Go to a session by its address, until its answer and its boxes are drawn."""
    page.goto(session)
    expect(page.get_by_test_id("stFeedback")).to_be_visible()
    expect(page.locator(".box")).to_have_count(1)
    settled(page)


def zoom(page: Page, address: str) -> float:
    """Zoom a picture of 24 megapixels nearer and away for some seconds; return the frames drawn a second."""
    begin(page, address)
    buffer = BytesIO()
    Image.effect_noise((6000, 4000), 60).convert("RGB").save(buffer, "JPEG")
    large = FilePayload(name="large.jpg", mimeType="image/jpeg", buffer=buffer.getvalue())
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(large)
    stage = page.get_by_role("application")
    expect(stage).to_be_visible()
    loaded = "performance.getEntriesByType('resource').some(one => one.name.includes('/pictures/'))"
    page.wait_for_function(loaded)
    settled(page)
    stage.hover()
    page.evaluate("""() => {
      window.drawn = 0
      const count = () => { window.drawn += 1; requestAnimationFrame(count) }
      requestAnimationFrame(count)
    }""")
    start = time.perf_counter()
    for number in range(60):
        page.mouse.wheel(0, -100 if number % 30 < 15 else 100)
        page.wait_for_timeout(50)
    return round(float(page.evaluate("window.drawn")) / (time.perf_counter() - start), 1)


def settled(page: Page) -> None:
    """Wait until the page is not being drawn."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


if __name__ == "__main__":
    main()
