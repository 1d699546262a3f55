"""The picture and its boxes in a real browser."""

from __future__ import annotations

import json
import re
import zipfile

from playwright.sync_api import Locator, Page, expect

from assistant.tests.page.browsing import (
    answer,
    ask,
    boxes,
    drag,
    exported,
    phrase,
    settled,
    take_sample,
    what,
)


def test_phrases_and_boxes_point_at_one_another(tab: Page) -> None:
    picture = take_sample(tab)
    ask(tab, "Describe the picture in detail and show where everything is")
    answer(tab, 1)
    dog, snow = phrase(tab, "a dog"), phrase(tab, "the snow")
    highlighted = tab.locator(".box.highlighted")
    snow.hover()
    expect(highlighted).to_have_attribute("data-phrase", "1")
    dog.focus()
    expect(highlighted).to_have_attribute("data-phrase", "0")
    tab.mouse.move(0, 0)
    dog.blur()
    expect(highlighted).to_have_count(0)

    area = picture.bounding_box()
    assert area is not None
    picture.hover(position={"x": area["width"] * 0.8, "y": area["height"] * 0.9})
    expect(snow).to_have_class("highlighted")
    picture.hover(position={"x": area["width"] * 0.2, "y": area["height"] * 0.8})
    expect(dog).to_have_class("highlighted")
    expect(snow).not_to_have_class("highlighted")
    picture.click(position={"x": area["width"] * 0.2, "y": area["height"] * 0.8})
    tab.mouse.move(0, 0)
    expect(dog).to_have_attribute("aria-pressed", "true")
    expect(highlighted).to_have_attribute("data-phrase", "0")
    expect(what(tab)).to_be_visible()  # the next question is about the picked box
    dog.press("Enter")
    expect(dog).to_have_attribute("aria-pressed", "false")
    expect(what(tab)).to_have_count(0)


def marks(page: Page) -> list[tuple[str, list[int]]]:
    """Return the labels and corners of the visible boxes, in hundredths of the stage."""
    found: list[tuple[str, list[int]]] = page.get_by_role("application").evaluate(
        """stage => [...stage.querySelectorAll('.box:not([hidden])')].map(box => {
             const [own, all] = [box.getBoundingClientRect(), stage.getBoundingClientRect()]
             const name = stage.querySelector(`.name[data-mark="${box.dataset.mark}"]`).textContent
             return [name, [(own.left - all.left) / all.width, (own.top - all.top) / all.height,
               (own.right - all.left) / all.width, (own.bottom - all.top) / all.height
             ].map(value => Math.round(100 * value))]
           }).sort()"""
    )
    return found


def test_boxes_are_moved_resized_named_deleted_undone_and_kept(tab: Page) -> None:
    take_sample(tab)
    ask(tab, "Find all dogs")
    answer(tab, 1)
    expect(boxes(tab)).to_have_count(2)
    tab.get_by_role("button", name="Edit boxes").click()
    drag(tab, (0.6, 0.1), (0.9, 0.3))
    name = tab.get_by_role("textbox", name="What is in the box")
    expect(name).to_be_focused()
    name.fill("ear")
    name.press("Enter")
    expect(phrase(tab, "ear")).to_be_visible()
    drag(tab, (0.75, 0.2), (0.7, 0.3))
    drag(tab, (0.85, 0.4), (0.95, 0.5))
    assert ("ear", [55, 20, 95, 50]) in map(tuple, marks(tab))
    tab.keyboard.press("Control+z")
    assert ("ear", [55, 20, 85, 40]) in map(tuple, marks(tab))
    tab.keyboard.press("Control+Shift+z")
    phrase(tab, "dogs").click()
    tab.get_by_role("button", name="Delete box").click()
    expect(boxes(tab)).to_have_count(2)
    assert ("ear", [55, 20, 95, 50]) in map(tuple, marks(tab))
    settled(tab)
    tab.reload()
    answer(tab, 1)
    expect(boxes(tab)).to_have_count(2)
    assert [text for text, _ in marks(tab)] == ["dogs 83%", "ear"]
    expect(tab.get_by_test_id("stChatMessage").last).to_contain_text("boxes corrected by you")
    lines = zipfile.ZipFile(exported(tab, "Train on my corrections"))
    assert json.loads(lines.read("own.jsonl"))["answer"].keys() == {"dogs", "ear"}
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Edit boxes").click()
    tab.get_by_role("button", name="Back to the model's boxes").click()
    expect(phrase(tab, "ear")).to_have_count(0)
    expect(boxes(tab)).to_have_count(2)


def test_the_picture_is_zoomed_with_wheel_and_keys_and_its_boxes_stay_in_place(tab: Page) -> None:
    picture = take_sample(tab)
    ask(tab, "Where is the cat?")
    answer(tab, 1)
    whole = marks(tab)
    picture.hover(position={"x": 5, "y": 5})
    tab.mouse.wheel(0, -300)
    expect(tab.locator(".box")).not_to_have_css("width", picture_width(whole, picture))
    picture.focus()
    tab.keyboard.press("0")
    tab.wait_for_function("true")
    expect(tab.locator(".box")).to_have_css("width", picture_width(whole, picture))
    assert marks(tab) == whole
    tab.get_by_role("button", name="Full screen").click()
    tab.wait_for_function("document.fullscreenElement !== null")
    tab.get_by_role("button", name="Full screen").click()
    tab.wait_for_function("document.fullscreenElement === null")


def picture_width(shown: list[tuple[str, list[int]]], picture: Locator) -> re.Pattern[str]:
    """Return the style of the first box."""
    area = picture.bounding_box()
    assert area is not None
    left, _, right, _ = shown[0][1]
    return re.compile(rf"^{int((right - left) / 100 * area['width'])}(\.|px)")


def test_what_is_unsure_or_missing_looks_different(tab: Page) -> None:
    take_sample(tab)
    ask(tab, "Where is the cat?")
    answer(tab, 1)
    expect(boxes(tab)).to_have_css("border-style", "solid")
    ask(tab, "Where is the shadow?")
    expect(answer(tab, 2)).to_contain_text("Perhaps found the shadow (25%)")
    expect(boxes(tab)).to_have_css("border-style", "dashed")
    expect(tab.locator(".name")).to_have_text("the shadow unsure, 25%")
    ask(tab, "Where is the unicorn?")
    expect(answer(tab, 3)).to_contain_text("Did not find the unicorn")
    expect(boxes(tab)).to_have_count(0)
    expect(tab.get_by_role("list", name="What was found")).to_have_text("the unicorn: not found")


def test_improbable_boxes_are_hidden_while_the_slider_moves(tab: Page) -> None:
    take_sample(tab)
    ask(tab, "Where is the cat?")
    answer(tab, 1)
    slider = tab.get_by_role("slider", name="Hide boxes")
    slider.fill("0.9")
    expect(boxes(tab)).to_be_hidden()
    expect(phrase(tab, "the cat")).to_be_hidden()
    slider.fill("0.5")
    expect(boxes(tab)).to_be_visible()
