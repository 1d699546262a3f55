"""Views of a photo for training: mirrored or cropped, with its annotations carried along."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image, ImageOps

from .photos import DetectedObject, Photo, Question

Window: TypeAlias = tuple[float, float, float, float]
"""`(left, top, right, bottom)` in fractions 0..1 of the picture's width and height."""

# An object that a crop leaves less visible than this is no longer one to ask for ...
VISIBLE = 0.6
# ... yet while more than this of it shows, it may be mistaken for another of its class.
GLIMPSED = 0.1
GLIMPSED_SCORE = 0.3

_SIDES = {"left": "right", "right": "left"}
# "right next to" something is no side.
_SIDE = re.compile(
    r"\b(left|right(?!\s+(?:next|beside|behind|above|below|in front)\b))(?=(?:most)?\b)", re.IGNORECASE
)


@dataclass(frozen=True)
class View:
    """One way to look at a photo: `window` cuts out that part (of the mirrored photo, if it is mirrored)."""

    mirror: bool = False
    window: Window | None = None

    def photo(self, photo: Photo) -> Photo:
        """Return the annotations as they stand in the view."""
        if self.mirror:
            photo = mirrored(photo)
        return photo if self.window is None else cropped(photo, self.window)

    def picture(self, image: Image.Image) -> Image.Image:
        """Return what is seen of the picture."""
        if self.mirror:
            image = ImageOps.mirror(image)
        if self.window is None:
            return image
        left, top, right, bottom = self.window
        width, height = image.size
        return image.crop(
            (round(left * width), round(top * height), round(right * width), round(bottom * height))
        )


def random_window(random_: random.Random) -> Window:
    """Return a window of half to all of each side."""
    width, height = random_.uniform(0.5, 1.0), random_.uniform(0.5, 1.0)
    left, top = random_.uniform(0, 1 - width), random_.uniform(0, 1 - height)
    return left, top, left + width, top + height


def mirrored(photo: Photo) -> Photo:
    """Return the photo's annotations flipped left to right: the words left and right go with the boxes."""
    objects = tuple(
        item.model_copy(update={"box": (1 - item.box[2], item.box[1], 1 - item.box[0], item.box[3])})
        for item in photo.objects
    )
    questions = tuple(
        Question(question=_swap_sides(item.question), answer=tuple(map(_swap_sides, item.answer)))
        for item in photo.questions
    )
    captions = tuple(map(_swap_sides, photo.captions))
    return photo.model_copy(update={"objects": objects, "questions": questions, "captions": captions})


def cropped(photo: Photo, window: Window) -> Photo:
    """Return the annotations of a window: the objects in it.

    What people said of the whole photo (captions, questions, its name) is dropped.
    """
    objects = tuple(seen for item in photo.objects if (seen := _seen_through(window, item)) is not None)
    return photo.model_copy(update={"objects": objects, "captions": (), "questions": (), "name": None})


def _seen_through(window: Window, item: DetectedObject) -> DetectedObject | None:
    left, top, right, bottom = window
    x0, y0, x1, y1 = item.box
    seen = (max(x0, left), max(y0, top), min(x1, right), min(y1, bottom))
    area = max(seen[2] - seen[0], 0.0) * max(seen[3] - seen[1], 0.0)
    visible = area / max((x1 - x0) * (y1 - y0), 1e-9)
    if visible < GLIMPSED:
        return None
    width, height = right - left, bottom - top
    box = (
        (seen[0] - left) / width,
        (seen[1] - top) / height,
        (seen[2] - left) / width,
        (seen[3] - top) / height,
    )
    score = item.score if visible >= VISIBLE else min(item.score, GLIMPSED_SCORE)
    return item.model_copy(update={"score": score, "box": box})


def _swap_sides(text: str) -> str:
    return _SIDE.sub(lambda match: _SIDES[match[1].lower()], text)


__all__ = ["View", "Window", "cropped", "mirrored", "random_window"]
