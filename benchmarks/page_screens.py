"""Take the screenshots of the page for the documentation: `python benchmarks/page_screens.py`.

Needs Chromium, pytest-playwright and the default model; writes to `docs/images`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from page import ask, begin, open_browser, picture
from PIL import Image
from playwright.sync_api import Browser, Page, expect

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DESKTOP, PHONE = (1280, 860), (390, 844)
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
