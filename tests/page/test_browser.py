"""The page in a real browser: what only a browser can show to work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

expect.set_options(timeout=20_000)

EVIL = "![x](http://example.org/x.png) <script>window.hit=1</script> <img src=x onerror=window.hit=1> [a](b)"


@pytest.fixture
def tab(page: Page, address: str) -> Iterator[Page]:
    """A new session; nothing may fail in the browser, and nothing may be fetched from elsewhere."""
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("request", lambda request: failures.append(request.url) if is_foreign(request.url) else None)
    page.goto(address)
    settled(page)
    yield page
    assert failures == []


def is_foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))


def settled(page: Page) -> None:
    """Wait for the end of the run; to be called after what the run shows was seen."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


# How often Enter is pressed, a second apart, until a question is sent.
PATIENCE = 20


def upload(page: Page, name: str, content: bytes) -> None:
    chat = page.get_by_test_id("stChatInput")
    file = {"name": name, "mimeType": "image/png", "buffer": content}
    chat.locator("input[type=file]").set_input_files(file)
    expect(chat.get_by_text(name)).to_be_visible()


def ask(page: Page, message: str) -> None:
    field = page.get_by_test_id("stChatInput").locator("textarea")
    field.fill(message)
    for _ in range(PATIENCE):
        field.press("Enter")
        try:
            expect(field).not_to_have_value(message, timeout=1000)
        except AssertionError:
            continue  # nothing is sent while a file is still on its way: press again, as a person would
        return
    raise AssertionError(f"{message!r} was never sent")


def answer(page: Page, number: int) -> Locator:
    """Return the answer of a turn, once it is there whole."""
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2 * number)
    message = page.get_by_test_id("stChatMessage").last
    expect(message.get_by_test_id("stFeedback")).to_be_visible()
    settled(page)
    return message


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box on the picture; corners are fractions of it."""
    area = page.get_by_role("application").bounding_box()
    assert area is not None
    for step, (across, down) in enumerate((start, end)):
        page.mouse.move(area["x"] + area["width"] * across, area["y"] + area["height"] * down, steps=4)
        (page.mouse.up if step else page.mouse.down)()


def is_shown_whole(picture: Locator) -> bool:
    return bool(picture.evaluate("image => image.complete && image.naturalWidth > 0"))


def test_a_conversation_from_the_upload_to_its_end(tab: Page, picture: bytes) -> None:
    upload(tab, "red.png", picture)
    ask(tab, "Where is the red square?")
    first = answer(tab, 1)
    expect(first).to_contain_text("[refer]")
    drawn = first.get_by_role("img", name=re.compile("red square"))
    expect(drawn).to_be_visible()
    assert is_shown_whole(drawn)
    ask(tab, "Find all dogs")
    expect(answer(tab, 2)).to_contain_text("2 boxes")
    ask(tab, "What colour are they?")
    expect(answer(tab, 3)).to_contain_text("rown")

    drag(tab, (0.2, 0.2), (0.5, 0.6))
    tab.get_by_role("button", name="What is this?").click()
    expect(answer(tab, 4)).to_contain_text("[identify]")
    expect(tab.get_by_role("button", name="What is this?")).to_have_count(0)

    tab.get_by_role("button", name="Rename, export, delete").click()
    with tab.expect_download() as download:
        tab.get_by_role("button", name="JSON with pictures").click()
    kept = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    region = re.search(r'"region": ?(\{[^}]*\}|\[[^\]]*\])', json.dumps(kept["turns"][3]))
    assert region is not None
    numbers = [int(number) for number in re.findall(r"(?<![a-z])\d+", region[1])]
    assert all(abs(had - meant) <= 1 for had, meant in zip(numbers, (20, 20, 50, 60), strict=True))

    tab.reload()
    answer(tab, 4)
    tab.get_by_role("button", name="New session").click()
    expect(tab.get_by_role("heading", name="What shall we look at?")).to_be_visible()
    tab.get_by_test_id("stSidebar").get_by_role("button", name="Where is the red square?").click()
    answer(tab, 4)

    tab.get_by_role("button", name="Rename, export, delete").click()
    tab.get_by_role("button", name="Delete …").click()
    dialog = tab.get_by_role("dialog", name="Delete this session?")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(tab.get_by_role("heading", name="What shall we look at?")).to_be_visible()
    expect(tab.get_by_role("button", name="Where is the red square?")).to_have_count(0)


def test_a_box_is_drawn_with_the_keyboard(tab: Page) -> None:
    tab.get_by_role("button", name="Cat", exact=True).click()
    area = tab.get_by_role("application")
    expect(area).to_have_accessible_name(re.compile("Drag to draw a box"))
    settled(tab)
    area.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowDown")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="What is this?")).to_be_visible()
    settled(tab)
    area.focus()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("button", name="What is this?")).to_have_count(0)


def test_a_broken_upload_is_told_in_one_line(tab: Page) -> None:
    upload(tab, "broken.png", b"no picture at all")
    ask(tab, "What is it?")
    expect(tab.get_by_role("alert")).to_contain_text("broken.png: this is no picture")


def test_words_that_look_like_markup_are_shown_as_they_are(tab: Page) -> None:
    tab.get_by_role("button", name="Cat", exact=True).click()
    expect(tab.get_by_role("application")).to_be_visible()
    settled(tab)
    ask(tab, f"[vqa] {EVIL}")
    answer(tab, 1)
    expect(tab.get_by_test_id("stChatMessage").first).to_have_text(re.compile(re.escape(EVIL)))
    assert tab.evaluate("window.hit") is None
    assert tab.locator("a[href='b'], img[src^='http://example']").count() == 0


def test_the_page_fits_a_phone_and_a_finger_draws_on_it(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    page.get_by_role("button", name="Cat", exact=True).click()
    expect(page.get_by_role("application")).to_be_visible()
    settled(page)
    ask(page, "Where is the cat?")
    answer(page, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    area = page.get_by_role("application").bounding_box()
    assert area is not None
    assert 0 <= area["y"] < area["y"] + area["height"] < 844 / 2, "the picture stays in view"
    touch(page, (area["x"] + 60, area["y"] + 50), (area["x"] + 200, area["y"] + 150))
    expect(page.get_by_role("button", name="What is this?")).to_be_visible()
    context.close()


def touch(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw with a finger."""
    session = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )
