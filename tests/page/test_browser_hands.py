"""The page in a real browser with the keyboard alone, and on a phone."""

from __future__ import annotations

import re
from io import BytesIO

import pillow_heif
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, ViewportSize, expect

from assistant.tests.page.browsing import (
    BELOW,
    HOME,
    TALK_HEIGHT,
    answer,
    ask,
    boxes,
    expect_whole,
    is_accessible,
    phrase,
    settled,
    take_sample,
    watched,
    what,
)


def test_a_box_is_drawn_with_the_keyboard(tab: Page) -> None:
    area = take_sample(tab)
    expect(area).to_have_accessible_name(re.compile("Drag to draw a box"))
    area.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Shift+ArrowDown")
    tab.keyboard.press("Enter")
    expect(what(tab)).to_be_visible()
    settled(tab)
    area.focus()
    tab.keyboard.press("Escape")
    expect(what(tab)).to_have_count(0)


def listening(page: Page) -> None:
    """Wait until the script that handles keys and the camera runs: it lists the keys."""
    expect(page.locator("dialog dt").first).to_be_attached()


def test_everything_is_reached_with_the_keyboard(tab: Page) -> None:
    listening(tab)
    tab.keyboard.press("?")
    sheet = tab.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_be_visible()
    tab.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    tab.get_by_role("button", name="Cat", exact=True).press("Enter")
    expect(tab.get_by_role("application")).to_be_visible()
    settled(tab)
    tab.keyboard.press("/")
    expect(tab.get_by_test_id("stChatInput").locator("textarea")).to_be_focused()
    tab.keyboard.type("Find all dogs")
    tab.keyboard.press("Enter")
    answer(tab, 1)
    tab.get_by_test_id("stChatInput").locator("textarea").blur()
    tab.keyboard.press("u")
    field = tab.get_by_label("Your question")
    field.fill("Where is the cat?")
    tab.get_by_role("button", name="Ask", exact=True).press("Enter")
    expect(answer(tab, 1)).to_contain_text("Found the cat")
    tab.keyboard.press("i")
    expect(tab.get_by_role("application")).to_be_focused()
    tab.keyboard.press("e")
    expect(tab.get_by_role("button", name="Edit boxes")).to_have_attribute("aria-pressed", "true")
    tab.get_by_test_id("stChatInput").locator("textarea").focus()
    tab.get_by_test_id("stChatInput").locator("textarea").blur()
    tab.keyboard.press("n")
    expect(tab.get_by_role("heading", name=HOME)).to_be_visible()


PHONE: ViewportSize = {"width": 390, "height": 844}


def heic() -> bytes:
    """Return a photo as iPhones take them."""
    buffer = BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (640, 480), "teal")).save(buffer)
    return buffer.getvalue()


def test_a_phone_takes_a_photo(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    for page in watched(context.new_page(), address):
        page.evaluate(
            """() => document.addEventListener('click', ({ target: field }) => {
              if (field.matches('[type=file]')) window.camera = [field.getAttribute('capture'), field.accept]
            }, true)"""
        )
        expect(page.get_by_test_id("stFileUploaderDropzone")).to_be_visible()
        listening(page)
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Take a photo").click()
        assert page.evaluate("window.camera") == ["environment", "image/*"]
        chooser.value.set_files(FilePayload(name="photo.heic", mimeType="image/heic", buffer=heic()))
        expect(page.get_by_role("application")).to_be_visible()
        settled(page)
        expect_whole(page)
    context.close()


def test_the_page_fits_a_phone_and_fingers_use_it(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True)
    for page in watched(context.new_page(), address):
        expect(page.get_by_role("img", name="Sample photo: Rocket")).to_be_visible()
        expect(page.get_by_role("heading", name=HOME)).to_be_in_viewport()
        area = take_sample(page)
        for number, question in enumerate(("Where is the cat?", "Describe this picture"), 1):
            ask(page, question)
            answer(page, number)
        page.wait_for_function(f"({BELOW}) > 0")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        place = area.bounding_box()
        assert place is not None
        assert 0 <= place["y"] < place["y"] + place["height"] < 844 / 2, "the picture stays in view"
        assert page.evaluate(TALK_HEIGHT) >= 844 / 2
        assert is_accessible(page)
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        touch(page, [(x - 60, y - 40)], [(x + 30, y + 40)])
        expect(what(page)).to_be_visible()

        expect_whole(page)
        touch(page, [(x - 10, y), (x + 10, y)], [(x - 60, y), (x + 60, y)])
        expect_whole(page, is_whole=False)
        page.get_by_role("button", name="Whole image").click()
        expect_whole(page)
        page.get_by_role("button", name="Full screen").click()
        page.wait_for_function("document.fullscreenElement !== null")
        expect_whole(page)
        page.get_by_role("button", name="Full screen").click()
        page.wait_for_function("document.fullscreenElement === null")
        handle = page.locator(".sheet").bounding_box()
        assert handle is not None
        touch(page, [(x, handle["y"] + 8)], [(x, handle["y"] + 98)])
        page.wait_for_function(
            "([stage, height]) => stage.clientHeight > height + 50",
            arg=[area.element_handle(), place["height"]],
        )
        expect_whole(page)
    context.close()


def test_a_finger_moves_a_box(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True)
    for page in watched(context.new_page(), address):
        take_sample(page)
        ask(page, "Where is the cat?")
        answer(page, 1)
        page.get_by_role("button", name="Edit boxes").click()
        phrase(page, "the cat").click()
        expect(page.locator(".grips")).to_be_visible()
        before = boxes(page).bounding_box()
        assert before is not None
        x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
        touch(page, [(x, y)], [(x + 40, y - 10)])
        settled(page)
        after = boxes(page).bounding_box()
        assert after is not None
        assert abs(after["x"] - before["x"] - 40) < 3
        expect(answer(page, 1)).to_contain_text("boxes corrected by you")
    context.close()


Points = list[tuple[float, float]]


def touch(page: Page, start: Points, end: Points) -> None:
    """Move one finger or more over the screen."""
    session = page.context.new_cdp_session(page)
    middle = [((x0 + x1) / 2, (y0 + y1) / 2) for (x0, y0), (x1, y1) in zip(start, end, strict=True)]
    for kind, points in (("Start", start), ("Move", middle), ("Move", end), ("End", [])):
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": fingers})
