"""Use the served page in a browser as a person would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FilePayload, Locator, Page, Route, WebSocket, expect

# For busy machines; an idle one never waits that long.
expect.set_options(timeout=60_000)

HOME = "What shall we look at?"


def watched(page: Page, address: str) -> Iterator[Page]:
    """Open a new session; fail on errors, also in its console, and on requests to other hosts."""
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)

    def refuse(route: Route) -> None:
        failures.append(route.request.url)
        route.abort()

    def note_foreign(socket: WebSocket) -> None:
        if "ws://127.0.0.1" not in socket.url:
            failures.append(socket.url)

    page.route(re.compile(r"^(?!http://127\.0\.0\.1|data:|blob:)"), refuse)
    page.on("websocket", note_foreign)
    page.goto(address)
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    settled(page)
    yield page
    assert not failures, failures


def settled(page: Page) -> None:
    """Wait for the end of the run and for the style sheet; call it once the run's output is visible."""
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    # The style sheet is an element of the page, and may take effect after the elements that it colours.
    expect(app).to_have_css("--text", re.compile("#"))


# How often to press Enter, a second apart, until a question is sent.
PATIENCE = 30


def upload(page: Page, name: str, content: bytes) -> None:
    chat = page.get_by_test_id("stChatInput")
    file: FilePayload = {"name": name, "mimeType": "image/png", "buffer": content}
    chat.locator("input[type=file]").set_input_files(file)
    expect(chat.get_by_text(name)).to_be_visible()


def ask(page: Page, message: str) -> None:
    field = page.get_by_test_id("stChatInput").locator("textarea")
    expect(field).to_be_enabled()
    field.fill(message)
    for _ in range(PATIENCE):
        field.press("Enter")
        try:
            expect(field).not_to_have_value(message, timeout=1000)
        except AssertionError:
            continue  # nothing is sent during an upload: press again, as a person would
        return
    raise AssertionError(f"{message!r} was never sent")


def upload_several(page: Page, *pictures: bytes) -> None:
    chat = page.get_by_test_id("stChatInput")
    files = [
        FilePayload(name=f"{number}.png", mimeType="image/png", buffer=picture)
        for number, picture in enumerate(pictures, 1)
    ]
    chat.locator("input[type=file]").set_input_files(files)
    expect(chat.get_by_text(f"{len(pictures)}.png")).to_be_visible()


def answer(page: Page, number: int) -> Locator:
    """Return the answer of a turn, once it is complete."""
    expect(page.get_by_test_id("stFeedback")).to_have_count(number)
    settled(page)
    return page.get_by_test_id("stChatMessage").last


def take_sample(page: Page, name: str = "Cat") -> Locator:
    page.get_by_role("button", name=name, exact=True).click()
    picture = page.get_by_role("application")
    expect(picture).to_be_visible()
    settled(page)
    return picture


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box on the picture; corners are fractions of it."""
    area = page.get_by_role("application").bounding_box()
    assert area is not None
    for step, (across, down) in enumerate((start, end)):
        page.mouse.move(area["x"] + area["width"] * across, area["y"] + area["height"] * down, steps=4)
        (page.mouse.up if step else page.mouse.down)()


def what(page: Page) -> Locator:
    return page.get_by_role("button", name="What is this?")


def boxes(page: Page) -> Locator:
    return page.locator(".box")


def phrase(page: Page, words: str) -> Locator:
    return page.get_by_role("list", name="What was found").get_by_role("button", name=words)


def is_accessible(page: Page) -> bool:
    """Check the page with axe-core and list the violations."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    return True


def exported(page: Page, form: str) -> Path:
    """Download the session in a format."""
    button = page.get_by_role("button", name=form)
    if not button.is_visible():
        page.get_by_role("button", name="Pin, export, delete").click()
    with page.expect_download() as download:
        button.click()
    return Path(download.value.path())


# Whether the whole picture is in view.
IS_WHOLE = """stage => {
  const { view, data } = stage.closest('.picture').picture
  const [left, top, right, bottom] = view.toScreen([0, 0, data.width, data.height])
  return left > -1 && top > -1 && right < stage.clientWidth + 1 && bottom < stage.clientHeight + 1
}"""


def expect_whole(page: Page, *, is_whole: bool = True) -> None:
    """Wait until the picture is, or is not, in view as a whole."""
    stage = page.get_by_role("application").element_handle()
    page.wait_for_function(f"stage => ({IS_WHOLE})(stage) === {str(is_whole).lower()}", arg=stage)


TALK_HEIGHT = """document.querySelector('[data-testid="stBottomBlockContainer"]').getBoundingClientRect().top
  - document.querySelector('.st-key-picture').getBoundingClientRect().bottom"""
BELOW = """document.querySelector('[data-testid="stBottomBlockContainer"]').getBoundingClientRect().top
  - document.querySelector('.st-key-talk').getBoundingClientRect().bottom"""


def below_the_talk(page: Page) -> float:
    """Return the pixels between the end of the conversation and the input field."""
    return float(page.evaluate(BELOW))
