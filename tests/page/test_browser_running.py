"""Running answers in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from assistant.tests.page.browsing import (
    BELOW,
    HOME,
    answer,
    ask,
    below_the_talk,
    boxes,
    drag,
    settled,
    take_sample,
    upload_several,
    watched,
    what,
)
from assistant.tests.page.conftest import Served, png


def test_an_answer_streams_in_and_is_kept_where_it_is_stopped(tab: Page) -> None:
    take_sample(tab)
    ask(tab, "[vqa] count")
    growing = tab.locator("[data-growing]")
    expect(growing).to_have_text(re.compile(r"^1 2 3[ \d]*$"))
    drag(tab, (0.2, 0.2), (0.5, 0.6))
    expect(what(tab)).to_be_visible()
    expect(growing).to_be_visible()
    tab.get_by_role("button", name="Stop").click()
    stopped = answer(tab, 1)
    expect(stopped).to_contain_text("1 2 3")
    expect(stopped).to_contain_text("You stopped this answer")
    expect(growing).to_have_count(0)
    tab.reload()
    expect(answer(tab, 1)).to_contain_text("1 2 3")

    tab.get_by_role("button", name="Regenerate").click()
    expect(growing).to_be_visible()
    tab.get_by_role("button", name="Stop").click()
    answer(tab, 1)


@pytest.fixture(params=[0, 1, 5])
def seconds(request: pytest.FixtureRequest, served: Served) -> Iterator[float]:
    """The seconds that the model takes for each batch of tokens."""
    served.take(request.param)
    yield request.param
    served.take(0)


def test_a_conversation_with_a_model_that_takes_its_time(tab: Page, seconds: float, picture: bytes) -> None:
    take_sample(tab)
    growing = tab.locator("[data-growing]")
    ask(tab, "Find all dogs")
    if seconds > 1:  # a busy machine may show a quicker answer at its end only
        expect(growing).to_be_visible()
        expect(boxes(tab)).to_have_count(1)  # the second is not written yet
    answer(tab, 1)
    expect(boxes(tab)).to_have_count(2)
    ask(tab, "Describe this picture")
    if seconds > 1:  # on a busy machine a quicker answer may end first
        tab.get_by_role("button", name="Stop").click()
        expect(answer(tab, 2)).to_contain_text("You stopped")
        expect(tab.get_by_text("You stopped")).to_have_count(1)
        tab.get_by_role("button", name="Regenerate").click()
        expect(tab.get_by_role("button", name="Stop")).to_be_visible()
        tab.reload()  # the answer goes on
    expect(answer(tab, 2)).to_contain_text("Described the image")
    tab.wait_for_function(f"({BELOW}) > 0")

    session = tab.url
    tab.get_by_role("button", name="Edit question").first.click()
    expect(tab.get_by_text("this session stays as it is")).to_be_visible()
    tab.get_by_label("Your question").fill("Where is the cat?")
    tab.get_by_role("button", name="Ask", exact=True).click()
    expect(answer(tab, 1)).to_contain_text("Found the cat")
    assert tab.url != session
    tab.goto(session)
    answer(tab, 2)

    tab.get_by_role("button", name="New session").click()
    expect(tab.get_by_role("heading", name=HOME)).to_be_visible()
    settled(tab)
    upload_several(tab, picture, png(500, 400))
    ask(tab, "Which of these has a dog?")
    expect(answer(tab, 2)).to_contain_text("Found in all of the 2 images")
    expect(tab.get_by_role("switch", name="Ask about all 2 images")).to_be_checked()


def test_the_newest_answer_stays_in_view_unless_somebody_scrolls_away(tab: Page) -> None:
    take_sample(tab)
    for number in range(1, 5):
        ask(tab, "Describe this picture")
        answer(tab, number)
    assert below_the_talk(tab) > 0
    tab.reload()
    answer(tab, 4)
    tab.wait_for_function(f"({BELOW}) > 0")
    to_newest = tab.get_by_role("button", name="Jump to newest")
    expect(to_newest).to_be_hidden()
    tab.mouse.move(500, 300)
    tab.mouse.wheel(0, -300)
    expect(to_newest).to_be_visible()
    assert below_the_talk(tab) < 0
    to_newest.click()
    expect(to_newest).to_be_hidden()
    assert below_the_talk(tab) > 0


def test_two_tabs_do_not_disturb_each_other(tab: Page, context: BrowserContext, address: str) -> None:
    take_sample(tab)
    ask(tab, "[vqa] count")
    expect(tab.locator("[data-growing]")).to_be_visible()
    for other in watched(context.new_page(), address):
        take_sample(other, "Coffee")
        ask(other, "What colour is it?")
        expect(answer(other, 1)).to_contain_text("Brown.")
        expect(tab.locator("[data-growing]")).to_be_visible()
        tab.get_by_role("button", name="Stop").click()
        expect(answer(tab, 1)).to_contain_text("1 2")
        expect(answer(other, 1)).to_contain_text("Brown.")
        assert tab.url != other.url
