"""Take the pictures of the page that the documentation shows: `python benchmarks/page_screens.py`.

It needs Chromium, pytest-playwright and the default model; the pictures go to `docs/images`.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "images"
PORT = 8601
SECONDS = 180
SIZES = {"page-desktop": (1280, 860), "page-phone": (390, 844)}
QUESTION = "Where is the woman?"


def main() -> None:
    """Serve the page, use it, and keep what it looks like."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("assistant")), "ui", "--no-browser", f"--port={PORT}"]
        server = subprocess.Popen([*command, f"--db={folder}/sessions.db"])
        try:
            _wait()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), chromium_sandbox=False
                )
                for name, (width, height) in SIZES.items():
                    _take(browser, name, width, height)
                browser.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)


def _wait() -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=1).close()
            return
        except OSError:
            time.sleep(0.25)
    raise SystemExit("the page is not served")


def _take(browser: Browser, name: str, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"http://127.0.0.1:{PORT}")
    page.get_by_role("button", name="Astronaut", exact=True).click()
    expect(page.get_by_role("application")).to_be_visible()
    _settled(page)
    field = page.get_by_test_id("stChatInput").locator("textarea")
    field.fill(QUESTION)
    field.press("Enter")
    expect(page.get_by_test_id("stFeedback")).to_be_visible(timeout=SECONDS * 1000)
    _settled(page)
    page.wait_for_timeout(1500)  # the page moves to the answer
    FOLDER.mkdir(parents=True, exist_ok=True)
    page.mouse.move(0, 0)
    shot = Image.open(BytesIO(page.screenshot()))
    # A palette makes the file a third as large, and nobody sees it.
    shot.convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
    page.close()


def _settled(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=20_000
    )


if __name__ == "__main__":
    main()
