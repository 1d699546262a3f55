"""Sessions, their visitors and their links in a real browser."""

from __future__ import annotations

import re
import zipfile

from playwright.sync_api import Browser, BrowserContext, Page, expect

from assistant.tests.page.browsing import (
    HOME,
    answer,
    ask,
    is_accessible,
    settled,
    take_sample,
    upload_several,
    watched,
)
from assistant.tests.page.conftest import png


def test_answers_are_copied_and_asked_of_another_picture(
    tab: Page, context: BrowserContext, picture: bytes
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    upload_several(tab, picture, png(500, 400))
    ask(tab, "Is there a dog?")
    answer(tab, 2)
    tab.get_by_role("button", name="Copy answer").last.click()
    tab.wait_for_function("navigator.clipboard.readText().then(words => words.startsWith('Brown'))")
    tab.get_by_text("Ask about all 2 images").click()
    settled(tab)
    ask(tab, "Describe this picture")
    answer(tab, 3)
    tab.get_by_role("button", name="Ask about another image").click()
    tab.get_by_role("menuitem", name="Image 1").or_(tab.get_by_role("option", name="Image 1")).click()
    answer(tab, 4)
    first = tab.get_by_role("button", name="Image 1")
    expect(first).to_have_attribute("aria-pressed", "true")
    ask(tab, "Compare them")
    expect(answer(tab, 6)).to_contain_text("All 2 images:")


def test_sessions_are_pinned_searched_exported_and_deleted_together(tab: Page) -> None:
    for question in ("Where is the cat?", "What colour is it?"):
        take_sample(tab)
        ask(tab, question)
        answer(tab, 1)
        if question.startswith("Where"):
            tab.get_by_label("Title").fill("My cat")
            tab.get_by_label("Title").press("Enter")
            tab.get_by_role("button", name="Pin, export, delete").click()
            tab.locator(".st-key-pin button").click()
            expect(tab.get_by_role("button", name="Unpin")).to_be_visible()
            settled(tab)
            tab.keyboard.press("Escape")
        tab.get_by_role("button", name="New session").click()
        expect(tab.get_by_role("heading", name=HOME)).to_be_visible()
        settled(tab)
    sidebar = tab.get_by_test_id("stSidebar")
    entries = sidebar.locator("[class*=st-key-open-]")
    expect(entries).to_have_text([re.compile("My cat.*now|min"), re.compile("What colour is it")])
    expect(sidebar.get_by_text("Where is the cat?")).to_be_visible()  # the first question
    expect(entries.first.locator("img")).to_have_js_property("naturalWidth", 128)
    search = tab.get_by_role("textbox", name="Search sessions")
    search.fill("colour")
    search.press("Enter")
    expect(entries).to_have_count(1)
    expect(sidebar.locator("strong").filter(has_text="colour")).to_be_visible()
    search.fill("")
    search.press("Enter")
    expect(entries).to_have_count(2)

    settled(tab)
    tab.get_by_role("button", name="Several sessions").click()
    chosen = tab.get_by_role("combobox", name="Sessions")
    for name in ("My cat", "What colour is it"):
        chosen.click()
        tab.get_by_role("option", name=name).click()
        settled(tab)
    tab.get_by_text("To import a session").click()  # closes the list
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Export as JSON").click()
    assert len(zipfile.ZipFile(download.value.path()).namelist()) == 2
    tab.get_by_role("button", name="Delete …").click()
    dialog = tab.get_by_role("dialog", name="Delete?")
    expect(dialog).to_contain_text("2 sessions")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(entries).to_have_count(0)


def test_a_visitor_sees_what_another_links_to_and_nothing_else(
    tab: Page, browser: Browser, address: str
) -> None:
    take_sample(tab)
    ask(tab, "Where is the cat?")
    answer(tab, 1)
    tab.get_by_role("button", name="Pin, export, delete").click()
    tab.get_by_text("Read-only link").click()
    link = tab.get_by_test_id("stCode")
    expect(link).to_contain_text("?link=")
    other = browser.new_context()
    for page in watched(other.new_page(), address):
        expect(page.locator("[class*=st-key-open-]")).to_have_count(0)
        page.goto(tab.url)
        expect(page.get_by_text("That session is no longer there")).to_be_visible()
        page.goto(link.inner_text().strip())
        expect(page.get_by_test_id("stChatMessage").last).to_contain_text("The cat is on the left.")
        picture = page.get_by_role("img", name="The image of question 1")
        expect(picture).not_to_have_js_property("naturalWidth", 0)
        expect(page.get_by_role("textbox")).to_have_count(0)
        settled(page)
        assert is_accessible(page)
    other.close()
