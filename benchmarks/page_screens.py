"""Take the screenshots and the film of the page for the documentation: `python benchmarks/page_screens.py`.

Needs Chromium, pytest-playwright and the default model; writes to `docs/images`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from page import ask, begin, open_browser, picture, settled
from PIL import Image
from playwright.sync_api import Browser, Page, expect

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DESKTOP, PHONE, FILM = (1280, 860), (390, 844), (960, 645)
MOST_BYTES = 3_000_000
QUESTION = "Where is the woman?"
DESCRIPTION = "Describe the picture in detail and show where everything is"


def main() -> None:
    """Serve the page, use it, and take screenshots."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open_browser() as (browser, address):
        take(browser, address, "page-welcome", DESKTOP, "light", welcome)
        take(browser, address, "page-desktop", DESKTOP, "light", found)
        take(browser, address, "page-dark", DESKTOP, "dark", described)
        take(browser, address, "page-phone", PHONE, "light", found)
        film(browser, address)


def take(
    browser: Browser,
    address: str,
    name: str,
    size: tuple[int, int],
    scheme: str,
    use: Callable[[Page], None],
) -> None:
    """Take a screenshot after `use`, in the `light` or `dark` scheme."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    begin(page, address)
    use(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # the page scrolls to the answer
    shot = Image.open(BytesIO(page.screenshot()))
    # A palette cuts the file to a third without a visible difference.
    shot.convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
    context.close()


def film(browser: Browser, address: str) -> None:
    """Take a GIF of the main states: a question, its answer, the boxes near by, a part asked about."""
    context = browser.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]})
    page = context.new_page()
    frames: list[Image.Image] = []

    def shoot() -> None:
        page.wait_for_timeout(700)  # movements end
        shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
        frames.append(shot.resize(FILM, Image.Resampling.LANCZOS))

    begin(page, address)
    welcome(page)
    shoot()
    picture(page, "Astronaut")
    field = page.get_by_test_id("stChatInput").locator("textarea")
    field.fill(DESCRIPTION)
    shoot()
    field.press("Enter")
    expect(page.locator("[data-growing]")).to_be_visible()
    shoot()
    expect(page.get_by_test_id("stFeedback")).to_have_count(1)
    settled(page)
    shoot()
    stage = page.get_by_role("application")
    stage.hover()
    page.mouse.wheel(0, -300)
    shoot()
    stage.press("0")
    drag(page, (0.62, 0.03), (0.95, 0.45))
    ask_button = page.get_by_role("button", name="What is this?")
    expect(ask_button).to_be_visible()
    shoot()
    ask_button.click()
    expect(page.get_by_test_id("stFeedback")).to_have_count(2)
    settled(page)
    page.mouse.move(0, 0)
    shoot()
    context.close()
    palette = frames[-1].quantize(256)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    path = FOLDER / "page.gif"
    first.save(path, save_all=True, append_images=others, duration=1800, loop=0, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path} is larger than {MOST_BYTES} bytes: take fewer or smaller frames")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a box on the image; corners are fractions of it."""
    area = page.get_by_role("application").bounding_box()
    if area is None:
        raise SystemExit("there is no picture to draw on")
    for step, (across, down) in enumerate((start, end)):
        page.mouse.move(area["x"] + area["width"] * across, area["y"] + area["height"] * down, steps=4)
        (page.mouse.up if step else page.mouse.down)()


def welcome(page: Page) -> None:
    """Wait for the sample photos."""
    expect(page.get_by_role("img", name="Sample photo: Rocket")).to_be_visible()


def found(page: Page) -> None:
    """Find one thing, and describe the image."""
    picture(page, "Astronaut")
    ask(page, QUESTION, 1)
    ask(page, "Describe the picture", 2)


def described(page: Page) -> None:
    """Describe the image, and unfold the details of the answer."""
    picture(page, "Astronaut")
    ask(page, DESCRIPTION, 1)
    page.get_by_test_id("stExpander").last.click()
    expect(page.get_by_text("Model wrote")).to_be_visible()


if __name__ == "__main__":
    main()
