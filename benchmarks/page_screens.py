"""Take the pictures of the page that the documentation shows: `python benchmarks/page_screens.py`.

It needs Chromium, pytest-playwright and the default model; the pictures go to `docs/images`.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from page import ask, begin, browsed, picture
from PIL import Image
from playwright.sync_api import Browser, Page, expect

FOLDER = Path(__file__).parents[1] / "docs" / "images"
DESKTOP, PHONE = (1280, 860), (390, 844)
QUESTION = "Where is the woman?"
DESCRIPTION = "Describe the picture in detail and show where everything is"


def main() -> None:
    """Serve the page, use it, and keep what it looks like."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with browsed() as (browser, address):
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
    """Keep what the page looks like after `use`, in the `light` or `dark` scheme."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    begin(page, address)
    use(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # the page moves to the answer
    shot = Image.open(BytesIO(page.screenshot()))
    # A palette makes the file a third as large, and nobody sees it.
    shot.convert("RGB").quantize(256).save(FOLDER / f"{name}.png", optimize=True)
    context.close()


def welcome(page: Page) -> None:
    """Wait for the sample photos."""
    expect(page.get_by_role("img", name="Sample photo: Rocket")).to_be_visible()


def found(page: Page) -> None:
    """Have one thing found, and the whole described."""
    picture(page, "Astronaut")
    ask(page, QUESTION, 1)
    ask(page, "Describe the picture", 2)


def described(page: Page) -> None:
    """Have the whole described, and unfold how that came about."""
    picture(page, "Astronaut")
    ask(page, DESCRIPTION, 1)
    page.get_by_test_id("stExpander").last.click()
    expect(page.get_by_text("Model wrote")).to_be_visible()


if __name__ == "__main__":
    main()
