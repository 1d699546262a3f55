"""Regions of a picture: reading one that came in pixels, and looking at one alone.

A region that is asked about is looked at alone, cut out with a margin, and what is found there is given as
boxes of the whole picture. Only `[identify]` sees the picture as a whole, with the region named in words.
`pixel_box` is the one check of boxes in pixels, wherever they come from: the command line, a message, a
tool's call, records written by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from reprlib import repr as shortened
from typing import Any, Protocol

from PIL import Image

from .answers import Generation, Request
from .grounding import BINS, Box, GroundedText
from .tasks import Task

# This much of the region's size is seen around it, since things make sense in their surroundings.
MARGIN = 0.15

# Pixels by which a box may stick out of the picture: rounding, or corners that are the middles of pixels.
_BEYOND = 0.5
# Pixels. Bins are cut off, not rounded: without it a box that we printed could come back as its neighbour.
_WHISKER = 1e-6


def pixel_box(corners: Any, width: int, height: int) -> Box:
    """Return `[x0, y0, x1, y1]`, in pixels of a picture of `width` x `height`, as a box.

    What sticks out by half a pixel or less is cut off.

    Raises:
        ValueError: not four numbers, fractions, corners in another order, no area, or outside of the picture;
            the message is one line that opens with the value and says what is wanted.
    """
    if not isinstance(corners, list | tuple) or len(corners) != 4 or not all(map(_is_number, corners)):
        raise ValueError(f"{shortened(corners)} is no box: give four numbers of pixels, [x0, y0, x1, y1]")
    x0, y0, x1, y1 = corners
    written = _written(corners)
    if x0 == x1 or y0 == y1:
        raise ValueError(f"{written} has no area: give left, top, right and bottom edge in pixels")
    if min(corners) >= -_BEYOND and max(corners) <= 1 < max(width, height):
        pixels = _written((x0 * width, y0 * height, x1 * width, y1 * height))
        raise ValueError(f"{written} are fractions, but pixels are wanted: give {pixels}")
    check_order(x0, y0, x1, y1)
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    cut = max(abs(now - given) for now, given in zip((x0, y0, x1, y1), corners, strict=True))
    if cut > _BEYOND or x0 >= x1 or y0 >= y1:
        raise ValueError(f"{written} lies outside of the picture of {width} x {height} pixels")
    x0, y0, x1, y1 = (value + _WHISKER for value in (x0, y0, x1, y1))
    return Box.from_pixels(x0, y0, x1, y1, width, height)


def check_order(x0: float, y0: float, x1: float, y1: float) -> None:
    """Refuse corners in another order than left, top, right, bottom, in whatever unit.

    Raises:
        ValueError: one line with what may be meant.
    """
    if x0 > x1 or y0 > y1:
        ordered = _written((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
        sized = _written((x0, y0, x0 + x1, y0 + y1))
        raise ValueError(
            f"{_written((x0, y0, x1, y1))} is not in the order left, top, right, bottom: give {ordered}, "
            f"or {sized} if these are a corner, width and height"
        )


def crop(image: Image.Image, region: Box) -> Image.Image:
    """Return what is looked at for a region: it and a margin round it."""
    return image.crop(window(image, region))


class Sized(Protocol):
    """What has a size in pixels, such as a picture."""

    @property
    def width(self) -> int:
        """Pixels across."""

    @property
    def height(self) -> int:
        """Pixels down."""


def window(image: Sized, region: Box) -> tuple[int, int, int, int]:
    """Return the pixels `(left, top, right, bottom)` to look at for a region, at least one bin in size."""
    x0, y0, x1, y1 = region.to_pixels(image.width, image.height)
    x1, y1 = max(x1, x0 + image.width / BINS), max(y1, y0 + image.height / BINS)
    across, down = (x1 - x0) * MARGIN, (y1 - y0) * MARGIN
    left, top = max(int(x0 - across), 0), max(int(y0 - down), 0)
    right, bottom = min(round(x1 + across), image.width), min(round(y1 + down), image.height)
    left, top = min(left, image.width - 1), min(top, image.height - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def in_the_whole(grounded: GroundedText, image: Image.Image, region: Box) -> GroundedText:
    """Return what was found in the part of `image` that `crop` gives, with boxes of the whole picture."""
    left, top, right, bottom = window(image, region)

    def moved(box: Box) -> Box:
        x0, y0, x1, y1 = box.to_pixels(right - left, bottom - top)
        corners = (x0 + left, y0 + top, x1 + left, y1 + top)
        return Box.from_pixels(*corners, image.width, image.height).with_score(box.score)

    phrases = (replace(phrase, boxes=tuple(map(moved, phrase.boxes))) for phrase in grounded.phrases)
    return replace(grounded, phrases=tuple(phrases))


def looked_at(request: Request) -> Request:
    """Return the request as an engine gets it, with the part of the picture that it is about.

    Raises:
        ValueError: there is a region but no picture.
    """
    if request.region is None or request.task is Task.IDENTIFY:
        return request
    if request.image is None:
        raise ValueError("a region is a part of a picture, and there is none: give one")
    return replace(request, image=crop(request.image, request.region), region=None)


def answered(request: Request, generation: Generation) -> Generation:
    """Return the answer to what `looked_at` gave for a request, with boxes of the whole picture."""
    if request.image is None or request.region is None or request.task is Task.IDENTIFY:
        return generation
    return replace(generation, grounded=in_the_whole(generation.grounded, request.image, request.region))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _written(corners: Iterable[float]) -> str:
    return f"[{', '.join(f'{round(value, 2):.12g}' for value in corners)}]"


__all__ = [
    "MARGIN",
    "Sized",
    "answered",
    "check_order",
    "crop",
    "in_the_whole",
    "looked_at",
    "pixel_box",
    "window",
]
