"""The page in a real browser: a whole conversation, untrusted input, accessibility."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from assistant.tests.page.browsing import (
    HOME,
    answer,
    ask,
    boxes,
    drag,
    exported,
    is_accessible,
    phrase,
    settled,
    take_sample,
    upload,
    watched,
    what,
)
from assistant.tests.page.conftest import Served

EVIL = "![x](http://example.org/x.png) <script>window.hit=1</script> <img src=x onerror=window.hit=1> [a](b)"


# --- from the first picture to the end of a session ------------------------------------------------------


def test_a_conversation_from_the_upload_to_its_end(tab: Page, picture: bytes) -> None:
    upload(tab, "red.png", picture)
    ask(tab, "Where is the red square?")
    expect(answer(tab, 1)).to_contain_text("Found the red square (83%)")
    shown = tab.get_by_role("application").get_by_role("img")
    expect(shown).to_have_accessible_name(re.compile(r"red square \(1\)"))
    ask(tab, "Find all dogs")
    expect(answer(tab, 2)).to_contain_text("Found 2 dogs")
    expect(boxes(tab)).to_have_count(2)
    ask(tab, "What colour are they?")
    expect(answer(tab, 3)).to_contain_text("Brown.")
    ask(tab, "Describe this picture")
    expect(answer(tab, 4)).to_contain_text("Described the image")

    drag(tab, (0.2, 0.2), (0.5, 0.6))
    what(tab).click()
    expect(answer(tab, 5)).to_contain_text("Named what is in the box")
    expect(what(tab)).to_have_count(0)
    tab.get_by_test_id("stFeedback").last.locator("button").first.click()
    settled(tab)

    kept = json.loads(exported(tab, "JSON with images").read_text(encoding="utf-8"))
    corners = [
        abs(had - meant) for had, meant in zip(kept["turns"][4]["region"], (20, 20, 50, 60), strict=True)
    ]
    assert max(corners) <= 1
    assert kept["turns"][4]["feedback"] == 1
    coco = json.loads(exported(tab, "Boxes as COCO").read_text(encoding="utf-8"))
    assert len(coco["annotations"]) == 4
    assert zipfile.ZipFile(exported(tab, "Markdown with images")).namelist()[0] == "conversation.md"
    assert exported(tab, "Last image with boxes").read_bytes().startswith(b"\x89PNG")

    tab.get_by_label("Title").fill("Red things")
    tab.get_by_label("Title").press("Enter")
    settled(tab)
    tab.reload()
    answer(tab, 5)
    expect(tab.get_by_label("Title")).to_have_value("Red things")
    tab.get_by_role("button", name="New session").click()
    expect(tab.get_by_role("heading", name=HOME)).to_be_visible()
    settled(tab)
    field = tab.get_by_test_id("stFileUploaderDropzone")
    expect(field).not_to_have_attribute("role", "presentation")  # also in a later session
    search = tab.get_by_role("textbox", name="Search sessions")
    search.fill("colour")
    search.press("Enter")
    tab.get_by_role("button", name="Red things").click()
    answer(tab, 5)

    tab.get_by_role("button", name="Pin, export, delete").click()
    tab.get_by_role("button", name="Delete …").first.click()
    dialog = tab.get_by_role("dialog", name="Delete?")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(tab.get_by_role("heading", name=HOME)).to_be_visible()
    expect(tab.get_by_role("button", name="Red things")).to_have_count(0)

    # The exported session is dropped where images go.
    settled(tab)
    session = FilePayload(name="a.json", mimeType="application/json", buffer=json.dumps(kept).encode())
    tab.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(session)
    expect(answer(tab, 5)).to_contain_text("Named what is in the box")


# --- untrusted input -------------------------------------------------------------------------------------


def test_uploads_that_are_no_pictures_or_too_large_are_refused_in_one_line(tab: Page, tmp_path: Path) -> None:
    upload(tab, "broken.png", b"no picture at all")
    ask(tab, "What is it?")
    expect(tab.get_by_role("alert")).to_contain_text("broken.png: this is not an image")
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(31 * 1024 * 1024)
    tab.get_by_test_id("stChatInput").locator("input[type=file]").set_input_files(large)
    expect(tab.get_by_text("File must be 30.0MB or smaller.")).to_be_visible()


def test_markup_in_words_is_shown_verbatim(tab: Page) -> None:
    take_sample(tab)
    ask(tab, f"[refer] {EVIL}")
    answer(tab, 1)
    expect(tab.get_by_test_id("stChatMessage").first).to_have_text(re.compile(re.escape(EVIL)))
    expect(tab.locator(".name")).to_have_text(f"{EVIL} 83%")
    expect(phrase(tab, EVIL)).to_be_visible()
    tab.get_by_test_id("stExpander").click()
    assert tab.evaluate("window.hit") is None
    assert tab.locator("a[href='b'], img[src^='http://example'], img[src='x']").count() == 0


# --- accessibility ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 860})  # type: ignore[arg-type]
    for page in watched(context.new_page(), address):
        assert is_accessible(page)
        take_sample(page)
        ask(page, "Find all dogs")
        answer(page, 1)
        page.get_by_test_id("stExpander").click()
        drag(page, (0.2, 0.2), (0.5, 0.6))
        expect(what(page)).to_be_visible()
        settled(page)
        assert is_accessible(page)
        page.get_by_role("button", name="Settings").click()
        expect(page.get_by_text("Check every box")).to_be_visible()
        assert is_accessible(page)
        page.keyboard.press("Escape")
        page.get_by_role("link", name="About the model").click()
        expect(page.get_by_role("heading", name="How good it is")).to_be_visible()
        settled(page)
        assert is_accessible(page)
        page.get_by_role("link", name="Back to the chat").click()
        answer(page, 1)
    context.close()


def test_a_session_survives_a_server_that_is_killed(page: Page, served: Served) -> None:
    page.goto(served.address)  # not watched: the browser calls the lost connection an error
    take_sample(page)
    ask(page, "Where is the cat?")
    answer(page, 1)
    served.kill()
    served.start()
    page.goto(page.url)
    expect(answer(page, 1)).to_contain_text("Found the cat")
    expect(boxes(page)).to_have_count(1)
