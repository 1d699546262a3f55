"""Measure the latency of the page in a browser.

    python benchmarks/page.py --out benchmarks/results/page.json

Needs Chromium, pytest-playwright and the default model. With the model in memory, measures the time from
opening an address to a complete page (a new session, and one with an image, an answer and its box), and from
pressing Enter to the answer with its box; the frames per second while zooming into an image of 24 megapixels;
and how long ten people wait who ask at once in separate tabs, compared with one batch of the same questions
without the page.
"""

from __future__ import annotations

import itertools
import json
import os
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from figures import arguments, publish
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

SAMPLES = Path(__file__).parents[1] / "ui" / "samples"
REPEATS = 5
# The timeout of every step; fetching the model takes longest.
SECONDS = 600
QUESTION = "Where is the cat?"
USERS, ROUNDS = 10, 3
CROWD_QUESTION = "Describe the picture"
# Notes when Enter is pressed and when the answer is complete.
CLOCK = """() => {
  const press = ({ key }) => { if (key === 'Enter') window.asked ??= performance.now() }
  document.addEventListener('keydown', press, true)
  const look = () => {
    if (document.querySelector('[data-testid=stFeedback]')) window.waited ??= performance.now() - window.asked
  }
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true })
}"""
_CUTS = itertools.count(1)


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    options = arguments(__doc__).parse_args()
    with open_browser() as (browser, address):
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        begin(page, address)
        picture(page, "Cat")
        ask(page, QUESTION, 1)  # loads the model
        session = page.url
        figures: dict[str, object] = {
            "first_page_seconds": measured(lambda: begin(page, address)),
            "session_seconds": measured(lambda: reopen(page, session)),
            "answer_seconds": measured(lambda: ask_in_new_session(page, address)),
            "zoom_frames_per_second": zoom(browser, page, address),
        }
        page.close()
        waits = [wait for _ in range(ROUNDS) for wait in crowd(browser, address)]
    batch = statistics.median(one_batch())
    figures["ten_users"] = {
        "one_batch_seconds": round(batch, 2),
        "median_wait_seconds": round(statistics.median(waits), 2),
        "longest_wait_seconds": round(max(waits), 2),
        "median_wait_to_one_batch": round(statistics.median(waits) / batch, 2),
    }
    publish({"repeats": REPEATS, **figures}, options.out)


def measured(do: Callable[[], float | None]) -> dict[str, float]:
    """Return the median and the longest of the repeats; `do` may return its own seconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        seconds = do()
        times.append(time.perf_counter() - start if seconds is None else seconds)
    return {"median": round(statistics.median(times), 2), "longest": round(max(times), 2)}


# --- using the page --------------------------------------------------------------------------------------


@contextmanager
def open_browser() -> Iterator[tuple[Browser, str]]:
    """Serve the page with a temporary database, and yield a browser and the page's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from assistant.ui.cli import main; main()", "ui", "--no-browser"]
        server = subprocess.Popen([*command, f"--port={port}", f"--db={folder}/sessions.db"])
        try:
            _wait(port)
            os.nice(10)  # browsers run on machines of their own and take nothing from the server
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
    """Open a new session and wait until it is complete."""
    page.goto(address)
    expect(page.get_by_role("button", name="Rocket", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stChatInput")).to_be_visible()
    settled(page)


def picture(page: Page, name: str) -> None:
    """Choose a sample photo."""
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("application")).to_be_visible()
    settled(page)


def ask(page: Page, message: str, number: int) -> None:
    """Ask, and wait for the answer to turn `number`."""
    field = page.get_by_test_id("stChatInput").locator("textarea")
    expect(field).to_be_enabled()
    field.fill(message)
    send(page)
    expect(page.get_by_test_id("stFeedback")).to_have_count(number)
    settled(page)


def send(page: Page) -> None:
    """Send the question in the field."""
    field = page.get_by_test_id("stChatInput").locator("textarea")
    while field.input_value():  # the page ignores Enter while it runs
        field.press("Enter")
        page.wait_for_timeout(100)


def ask_in_new_session(page: Page, address: str) -> float:
    """Ask in a new session, and return the seconds until the answer is complete."""
    begin(page, address)
    picture(page, "Cat")
    start = time.perf_counter()
    ask(page, QUESTION, 1)
    expect(page.locator(".box")).to_have_count(1)
    return time.perf_counter() - start


def reopen(page: Page, session: str) -> None:
    """Open a session by its address and wait for its answer and boxes."""
    page.goto(session)
    expect(page.get_by_test_id("stFeedback")).to_be_visible()
    expect(page.locator(".box")).to_have_count(1)
    settled(page)


def zoom(browser: Browser, page: Page, address: str) -> float:
    """Zoom in and out of an image of 24 megapixels for some seconds; return the frames drawn per second.

    The frames are those in a trace of the browser.
    """
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
    browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline.frame"])
    start = time.perf_counter()
    for number in range(60):
        page.mouse.wheel(0, -100 if number % 30 < 15 else 100)
        page.wait_for_timeout(50)
    seconds = time.perf_counter() - start
    events = json.loads(browser.stop_tracing())["traceEvents"]
    drawn = sum(1 for event in events if event["name"] == "DrawFrame")
    return round(drawn / seconds, 1)


# --- ten users -------------------------------------------------------------------------------------------


def crowd(browser: Browser, address: str) -> list[float]:
    """Ask about new images in ten tabs at once; return how many seconds each waits for its answer."""
    pages = [browser.new_context().new_page() for _ in range(USERS)]
    for page, photo in zip(pages, photos(), strict=True):
        begin(page, address)
        file = FilePayload(name="photo.png", mimeType="image/png", buffer=photo)
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
        expect(page.get_by_role("application")).to_be_visible()
        settled(page)
        page.get_by_test_id("stChatInput").locator("textarea").fill(CROWD_QUESTION)
        page.evaluate(CLOCK)
    for page in pages:
        send(page)
    waits = []
    for page in pages:
        page.wait_for_function("window.waited", timeout=SECONDS * 1000, polling=200)
        waits.append(float(page.evaluate("window.waited")) / 1000)
        page.context.close()
    return waits


def photos() -> list[bytes]:
    """Return ten PNG files of the sample photos, each cut a little differently: new to the model."""
    names = itertools.cycle(("astronaut", "cat", "coffee", "rocket"))
    made = []
    for name, cut in zip(names, itertools.islice(_CUTS, USERS), strict=False):
        with Image.open(SAMPLES / f"{name}.jpg") as image:
            buffer = BytesIO()
            image.crop((cut, 0, *image.size)).save(buffer, "PNG")
            made.append(buffer.getvalue())
    return made


def one_batch() -> list[float]:
    """Return the seconds in which the assistant answers all ten at once without the page, by round."""
    from assistant.agent.assistant import Assistant
    from assistant.storage import SessionStore
    from assistant.vlm.vision_language_model import VisionLanguageModel

    times = []
    with tempfile.TemporaryDirectory() as folder, SessionStore.open(Path(folder) / "sessions.db") as store:
        assistant = Assistant(VisionLanguageModel.load(), store)

        def ask_about(photo: bytes) -> None:
            assistant.ask(None, CROWD_QUESTION, photo, store.add_image(photo))

        ask_about(photos()[0])  # the first question prepares kernels
        for _ in range(ROUNDS):
            asked = photos()
            start = time.perf_counter()
            with ThreadPoolExecutor(USERS) as pool:
                list(pool.map(ask_about, asked))
            times.append(time.perf_counter() - start)
    return times


def settled(page: Page) -> None:
    """Wait until the page has stopped running."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


if __name__ == "__main__":
    main()
