"""Views of a photo for training: mirrored or cropped, with its annotations carried along."""

from __future__ import annotations

import random
import re

from PIL import Image, ImageOps

from .photos import DetectedObject, Photo, Question

# An object that a crop leaves less visible than this is no longer one to ask for ...
VISIBLE = 0.6
# ... yet while more than this of it shows, it may be mistaken for another of its class.
GLIMPSED = 0.1
GLIMPSED_SCORE = 0.3

_SIDES = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)", re.IGNORECASE)


def mirrored(photo: Photo, image: Image.Image) -> tuple[Photo, Image.Image]:
    """Return the photo flipped left to right: boxes, and the words left and right, go with it."""
    objects = tuple(
        item.model_copy(update={"box": (1 - item.box[2], item.box[1], 1 - item.box[0], item.box[3])})
        for item in photo.objects
    )
    questions = tuple(
        Question(question=_swap_sides(item.question), answer=tuple(map(_swap_sides, item.answer)))
        for item in photo.questions
    )
    captions = tuple(map(_swap_sides, photo.captions))
    update = {"objects": objects, "questions": questions, "captions": captions}
    return photo.model_copy(update=update), ImageOps.mirror(image)


def cropped(photo: Photo, image: Image.Image, random_: random.Random) -> tuple[Photo, Image.Image]:
    """Return a random window, half to all of each side, with the objects in it.

    What people said of the whole photo (captions, questions, its name) is dropped.
    """
    width, height = random_.uniform(0.5, 1.0), random_.uniform(0.5, 1.0)
    left, top = random_.uniform(0, 1 - width), random_.uniform(0, 1 - height)
    window = (left, top, left + width, top + height)
    objects = tuple(seen for item in photo.objects if (seen := _seen_through(window, item)) is not None)
    pixels = (
        round(left * image.width),
        round(top * image.height),
        round((left + width) * image.width),
        round((top + height) * image.height),
    )
    update = {"objects": objects, "captions": (), "questions": (), "name": None}
    return photo.model_copy(update=update), image.crop(pixels)


def _seen_through(window: tuple[float, float, float, float], item: DetectedObject) -> DetectedObject | None:
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
    return DetectedObject(label=item.label, score=score, box=box)


def _swap_sides(text: str) -> str:
    return _SIDE.sub(lambda match: _SIDES[match[1].lower()], text)


__all__ = ["cropped", "mirrored"]
