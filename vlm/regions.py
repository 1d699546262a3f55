"""Regions of an image: read one in pixels; crop to one and map boxes back to the full image.

A request about a region sees a crop of it with a margin; its boxes are mapped back to the full image. Only
`[identify]` sees the full image, with the region in its prompt. `pixel_box` is the only check of boxes in
pixels, for the command line, messages, tool calls and hand-written records.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from reprlib import repr as shortened
from typing import Protocol

from PIL import Image

from .answers import Generation, Request
from .grounding import BINS, Box, GroundedText
from .tasks import Task

# The margin of a crop, as a share of the region's size: context helps the model.
MARGIN = 0.15

# Pixels by which a box may exceed the image: rounding, or corners at the centres of pixels.
_TOLERANCE = 0.5
# Pixels. Bins truncate: without it, a box that we printed could be read back one bin off.
_EPSILON = 1e-6


def pixel_box(corners: object, width: int, height: int) -> Box:
    """Return the box of `[x0, y0, x1, y1]` in pixels of an image of `width` x `height`.

    A box that exceeds the image by at most half a pixel is clipped.

    >>> pixel_box([20, 10, 100, 50], width=200, height=100).bins
    (10, 10, 50, 50)

    Raises:
        ValueError: not four numbers, fractions, corners in another order, no area, or outside of the image;
            the message is one line that starts with the value and says how to correct it.
    """
    if not isinstance(corners, list | tuple) or len(corners) != 4 or not all(map(_is_number, corners)):
        raise ValueError(f"{shortened(corners)} is no box: give four numbers of pixels, [x0, y0, x1, y1]")
    x0, y0, x1, y1 = corners
    written = _written(corners)
    if x0 == x1 or y0 == y1:
        raise ValueError(f"{written} has no area: give left, top, right and bottom edge in pixels")
    if min(corners) >= -_TOLERANCE and max(corners) <= 1 < max(width, height):
        pixels = _written((x0 * width, y0 * height, x1 * width, y1 * height))
        raise ValueError(f"{written} are fractions, but pixels are wanted: give {pixels}")
    check_order(x0, y0, x1, y1)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    cut = max(abs(now - given) for now, given in zip((x0, y0, x1, y1), corners, strict=True))
    if cut > _TOLERANCE or x0 >= x1 or y0 >= y1:
        raise ValueError(f"{written} lies outside of the image of {width} x {height} pixels")
    x0, y0, x1, y1 = (value + _EPSILON for value in (x0, y0, x1, y1))
    return Box.from_pixels(x0, y0, x1, y1, width, height)


def read_corners(text: str) -> list[float]:
    """Return the four numbers of `x0,y0,x1,y1`, with or without brackets around them.

    >>> read_corners("[20, 10, 100, 50]")
    [20.0, 10.0, 100.0, 50.0]

    Raises:
        ValueError: the text is anything else; the message is one line that follows the name of the option.
    """
    try:
        x0, y0, x1, y1 = (float(value) for value in text.strip().strip("[]()").split(","))
    except ValueError:
        raise ValueError(f"takes four numbers x0,y0,x1,y1, not {shortened(text)}") from None
    return [x0, y0, x1, y1]


def check_order(x0: float, y0: float, x1: float, y1: float) -> None:
    """Check that corners are in the order left, top, right, bottom, in any unit.

    Raises:
        ValueError: they are not; the message is one line that suggests what was meant.
    """
    if x0 > x1 or y0 > y1:
        ordered = _written((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
        sized = _written((x0, y0, x0 + x1, y0 + y1))
        raise ValueError(
            f"{_written((x0, y0, x1, y1))} is not in the order left, top, right, bottom: give {ordered}, "
            f"or {sized} if these are a corner, width and height"
        )


def crop(image: Image.Image, region: Box) -> Image.Image:
    """Return the region of an image, with a margin."""
    return image.crop(crop_window(image, region))


class Sized(Protocol):
    """Anything with a size in pixels, such as an image."""

    @property
    def width(self) -> int:
        """Pixels across."""

    @property
    def height(self) -> int:
        """Pixels down."""


def crop_window(image: Sized, region: Box) -> tuple[int, int, int, int]:
    """Return the pixels `(left, top, right, bottom)` of a region's crop, at least one bin in size.

    >>> crop_window(Image.new("RGB", (200, 100)), Box(20, 20, 40, 60))
    (34, 14, 86, 66)
    """
    x0, y0, x1, y1 = region.to_pixels(image.width, image.height)
    x1, y1 = max(x1, x0 + image.width / BINS), max(y1, y0 + image.height / BINS)
    across, down = (x1 - x0) * MARGIN, (y1 - y0) * MARGIN
    left, top = max(int(x0 - across), 0), max(int(y0 - down), 0)
    right, bottom = min(round(x1 + across), image.width), min(round(y1 + down), image.height)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def to_full_image(grounded: GroundedText, image: Image.Image, region: Box) -> GroundedText:
    """Map the boxes found in the region's crop of `image` back to the full image."""
    left, top, right, bottom = crop_window(image, region)

    def moved(box: Box) -> Box:
        x0, y0, x1, y1 = box.to_pixels(right - left, bottom - top)
        corners = (x0 + left, y0 + top, x1 + left, y1 + top)
        return Box.from_pixels(*corners, image.width, image.height).with_score(box.score)

    phrases = (replace(phrase, boxes=tuple(map(moved, phrase.boxes))) for phrase in grounded.phrases)
    return replace(grounded, phrases=tuple(phrases))


def crop_to_region(request: Request) -> Request:
    """Return the request for an engine, with its image cropped to its region.

    Raises:
        ValueError: there is a region but no image.
    """
    if request.region is None or request.task is Task.IDENTIFY:
        return request
    if request.image is None:
        raise ValueError("a region needs an image: give one")
    return replace(request, image=crop(request.image, request.region), region=None)


def map_to_full_image(request: Request, generation: Generation) -> Generation:
    """Return the answer to a cropped request, with boxes of the full image of `request`."""
    if request.image is None or request.region is None or request.task is Task.IDENTIFY:
        return generation
    return replace(generation, grounded=to_full_image(generation.grounded, request.image, request.region))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _written(corners: Iterable[float]) -> str:
    return f"[{', '.join(f'{round(value, 2):.12g}' for value in corners)}]"
