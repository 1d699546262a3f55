"""The page in a real browser: behaviour that needs one."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FilePayload, Locator, Page, Route, expect

from assistant.tests.page.conftest import Served, png

# For busy machines; an idle one never waits that long.
expect.set_options(timeout=60_000)

EVIL = "![x](http://example.org/x.png) <script>window.hit=1</script> <img src=x onerror=window.hit=1> [a](b)"
HOME = "What shall we look at?"


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, object]) -> dict[str, object]:
    return {**browser_context_args, "reduced_motion": "reduce"}


@pytest.fixture
def tab(page: Page, address: str) -> Iterator[Page]:
    """A new session; fails on errors in the browser and on requests to other hosts."""
    yield from watched(page, address)


def watched(page: Page, address: str) -> Iterator[Page]:
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))

    def refuse(route: Route) -> None:
        failures.append(route.request.url)
        route.abort()

    page.route(re.compile(r"^(?!http://127\.0\.0\.1|data:|blob:)"), refuse)
    page.on("websocket", lambda socket: None if "ws://127.0.0.1" in socket.url else refuse(socket))
    page.goto(address)
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    settled(page)
    yield page
    assert failures == []


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
    file = {"name": name, "mimeType": "image/png", "buffer": content}
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
    expect(answer(tab, 4)).to_contain_text("Described the picture")

    drag(tab, (0.2, 0.2), (0.5, 0.6))
    what(tab).click()
    expect(answer(tab, 5)).to_contain_text("Named what is in the box")
    expect(what(tab)).to_have_count(0)
    tab.get_by_test_id("stFeedback").last.locator("button").first.click()
    settled(tab)

    kept = json.loads(exported(tab, "JSON with pictures").read_text(encoding="utf-8"))
    corners = [
        abs(had - meant) for had, meant in zip(kept["turns"][4]["region"], (20, 20, 50, 60), strict=True)
    ]
    assert max(corners) <= 1
    assert kept["turns"][4]["feedback"] == 1
    coco = json.loads(exported(tab, "Boxes as COCO").read_text(encoding="utf-8"))
    assert len(coco["annotations"]) == 4
    assert zipfile.ZipFile(exported(tab, "Markdown with pictures")).namelist()[0] == "conversation.md"
    assert exported(tab, "Last picture with boxes").read_bytes().startswith(b"\x89PNG")

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

    # The exported session is dropped where pictures go.
    settled(tab)
    session = FilePayload(name="a.json", mimeType="application/json", buffer=json.dumps(kept).encode())
    tab.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(session)
    expect(answer(tab, 5)).to_contain_text("Named what is in the box")


def exported(page: Page, form: str) -> Path:
    """Download the session in a format."""
    button = page.get_by_role("button", name=form)
    if not button.is_visible():
        page.get_by_role("button", name="Pin, export, delete").click()
    with page.expect_download() as download:
        button.click()
    return Path(download.value.path())


def test_phrases_and_boxes_point_at_one_another(tab: Page) -> None:
    picture = take_sample(tab)
    ask(tab, "Describe the picture in detail and show where everything is")
    answer(tab, 1)
    dog, snow = phrase(tab, "a dog"), phrase(tab, "the snow")
    lit = tab.locator(".box.lit")
    snow.hover()
    expect(lit).to_have_attribute("data-phrase", "1")
    dog.focus()
    expect(lit).to_have_attribute("data-phrase", "0")
    tab.mouse.move(0, 0)
    dog.blur()
    expect(lit).to_have_count(0)

    area = picture.bounding_box()
    assert area is not None
    picture.hover(position={"x": area["width"] * 0.8, "y": area["height"] * 0.9})
    expect(snow).to_have_class("lit")
    picture.hover(position={"x": area["width"] * 0.2, "y": area["height"] * 0.8})
    expect(dog).to_have_class("lit")
    expect(snow).not_to_have_class("lit")
    picture.click(position={"x": area["width"] * 0.2, "y": area["height"] * 0.8})
    tab.mouse.move(0, 0)
    expect(dog).to_have_attribute("aria-pressed", "true")
    expect(lit).to_have_attribute("data-phrase", "0")
    expect(what(tab)).to_be_visible()  # the next question is about the picked box
    dog.press("Enter")
    expect(dog).to_have_attribute("aria-pressed", "false")
    expect(what(tab)).to_have_count(0)


# --- zooming, and correcting boxes -----------------------------------------------------------------------


def marks(page: Page) -> list[tuple[str, list[int]]]:
    """Return the labels and corners of the visible boxes, in hundredths of the stage."""
    return page.get_by_role("application").evaluate(
        """stage => [...stage.querySelectorAll('.box:not([hidden])')].map(box => {
             const [own, all] = [box.getBoundingClientRect(), stage.getBoundingClientRect()]
             const name = stage.querySelector(`.name[data-mark="${box.dataset.mark}"]`).textContent
             return [name, [(own.left - all.left) / all.width, (own.top - all.top) / all.height,
               (own.right - all.left) / all.width, (own.bottom - all.top) / all.height
             ].map(value => Math.round(100 * value))]
           }).sort()"""
    )


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
    lines = zipfile.ZipFile(exported(tab, "Corrections and good answers"))
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


# --- a running answer ------------------------------------------------------------------------------------


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
    if seconds:
        tab.get_by_role("button", name="Stop").click()
        expect(answer(tab, 2)).to_contain_text("You stopped")
        expect(tab.get_by_text("You stopped")).to_have_count(1)
        tab.get_by_role("button", name="Regenerate").click()
        expect(tab.get_by_role("button", name="Stop")).to_be_visible()
        tab.reload()  # the answer goes on
    expect(answer(tab, 2)).to_contain_text("Described the picture")
    tab.wait_for_function(f"({BELOW}) > 0")

    session = tab.url
    tab.get_by_role("button", name="Change question").first.click()
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
    expect(answer(tab, 2)).to_contain_text("Found in all of the 2 pictures")
    expect(tab.get_by_role("switch", name="Ask about all 2 pictures")).to_be_checked()


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


TALK_HEIGHT = """document.querySelector('[data-testid="stBottomBlockContainer"]').getBoundingClientRect().top
  - document.querySelector('.st-key-picture').getBoundingClientRect().bottom"""
BELOW = """document.querySelector('[data-testid="stBottomBlockContainer"]').getBoundingClientRect().top
  - document.querySelector('.st-key-talk').getBoundingClientRect().bottom"""


def below_the_talk(page: Page) -> float:
    """Return the pixels between the end of the conversation and the input field."""
    return float(page.evaluate(BELOW))


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


# --- boxes drawn without a mouse -------------------------------------------------------------------------


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


def test_everything_is_reached_with_the_keyboard(tab: Page) -> None:
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
            """() => document.addEventListener('click', ({ target }) => {
              if (target.matches('input[type=file]')) window.camera = [target.capture, target.accept]
            }, true)"""
        )
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


# --- untrusted input -------------------------------------------------------------------------------------


def test_uploads_that_are_no_pictures_or_too_large_are_told_in_one_line(tab: Page, tmp_path: Path) -> None:
    upload(tab, "broken.png", b"no picture at all")
    ask(tab, "What is it?")
    expect(tab.get_by_role("alert")).to_contain_text("broken.png: this is no picture")
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(31 * 1024 * 1024)
    tab.get_by_test_id("stChatInput").locator("input[type=file]").set_input_files(large)
    expect(tab.get_by_text("File must be 30.0MB or smaller.")).to_be_visible()


def test_words_that_look_like_markup_are_shown_as_they_are(tab: Page) -> None:
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


def test_a_session_survives_a_server_that_is_killed(tab: Page, served: Served) -> None:
    take_sample(tab)
    ask(tab, "Where is the cat?")
    answer(tab, 1)
    served.kill()
    served.start()
    tab.goto(tab.url)
    expect(answer(tab, 1)).to_contain_text("Found the cat")
    expect(boxes(tab)).to_have_count(1)
