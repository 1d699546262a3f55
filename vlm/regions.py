"""Looking at a part of a picture alone, and telling what is found there of the whole picture.

All tasks but `identify`, which names a region to the model in words, look at a region so.
"""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from .grounding import Box, GroundedText

# This much of the region's size is seen around it, since things make sense in their surroundings.
MARGIN = 0.15


def crop(image: Image.Image, region: Box) -> Image.Image:
    """Return what is looked at for a region: it and a margin round it."""
    return image.crop(window(image, region))


def window(image: Image.Image, region: Box) -> tuple[int, int, int, int]:
    """Return the pixels `(left, top, right, bottom)` to look at for a region, at least one pixel in size."""
    x0, y0, x1, y1 = region.to_pixels(image.width, image.height)
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


__all__ = ["MARGIN", "crop", "in_the_whole", "window"]
