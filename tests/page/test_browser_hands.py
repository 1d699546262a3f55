"""The page in a real browser with the keyboard alone, and on a phone."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, FilePayload, Page, expect

from assistant.tests.page.browsing import (
    HOME,
    TALK_HEIGHT,
    answer,
    ask,
    is_accessible,
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


def test_a_phone_takes_a_photo(browser: Browser, address: str, picture: bytes) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
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
        chooser.value.set_files(FilePayload(name="photo.png", mimeType="image/png", buffer=picture))
        expect(page.get_by_role("application")).to_be_visible()
        settled(page)
    context.close()


def test_the_page_fits_a_phone_and_a_finger_draws_on_it(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    for page in watched(context.new_page(), address):
        area = take_sample(page)
        ask(page, "Where is the cat?")
        answer(page, 1)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        place = area.bounding_box()
        assert place is not None
        assert 0 <= place["y"] < place["y"] + place["height"] < 844 / 2, "the picture stays in view"
        assert page.evaluate(TALK_HEIGHT) >= 844 / 2
        assert is_accessible(page)
        touch(page, (place["x"] + 60, place["y"] + 50), (place["x"] + 150, place["y"] + 150))
        expect(what(page)).to_be_visible()
    context.close()


def touch(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw with a finger."""
    session = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", [])):
        session.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )
